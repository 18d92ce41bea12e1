// The floor of an attach: what this kernel, iscsid and udev take for the bare primitives, one after
// the other, with nothing of the engine's between them. Prints milliseconds as one JSON document.
//
//   floor --target IQN --lun N --portal HOST[:PORT]...
#include <charconv>
#include <chrono>
#include <iostream>
#include <string_view>
#include <vector>

#include "dm/device_mapper.h"
#include "host/linux_host.h"
#include "iscsid/client.h"
#include "model/lun.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

struct Volume {
  std::string target{};
  std::uint16_t lun = 0;
  std::vector<Portal> portals{};
};

Result<Volume> parse_arguments(const std::vector<std::string_view>& words) {
  Volume volume;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const std::string_view value = words[i + 1];
    if (words[i] == "--target") {
      volume.target = value;
    } else if (words[i] == "--portal") {
      HAWSER_TRY_ASSIGN(Portal portal, parse_portal(value));
      volume.portals.push_back(std::move(portal));
    } else if (words[i] == "--lun") {
      (void)std::from_chars(value.data(), value.data() + value.size(), volume.lun);
    }
  }
  if (!volume.target.empty() && !volume.portals.empty()) return volume;
  return Error(Errc::invalid_argument, "give --target, --lun and --portal");
}

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> took = now - start_;
    start_ = now;
    return took.count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Floor {
 public:
  Floor(LinuxHost& host, const Volume& volume) : host_(host), volume_(volume) {}

  Status measure(const Ctx& ctx) {
    HAWSER_TRY(iscsid_.layout(ctx));  // What a process does once is not the floor's business.
    Stopwatch watch;
    HAWSER_TRY(log_in(ctx));
    logins_ms_ = watch.lap_ms();

    HAWSER_TRY_ASSIGN(sessions_, host_.sessions(ctx));
    const std::uint32_t lun = kernel_lun(volume_.lun, LunAddressing::automatic);
    (void)watch.lap_ms();
    HAWSER_TRY(host_.scan(ctx, sessions_.front(), lun));
    HAWSER_TRY_ASSIGN(device_, host_.wait_for_device(ctx, sessions_.front(), lun));
    HAWSER_TRY(host_.probe(ctx, device_));  // It is in sysfs a moment before it can be opened.
    scan_ms_ = watch.lap_ms();

    const std::string wwid = wwid_of(device_.identity);
    uuid_ = std::string(kMapUuidPrefix) + wwid;
    (void)watch.lap_ms();
    HAWSER_TRY(dm_.create(ctx, {.name = wwid,
                                .uuid = uuid_,
                                .sectors = device_.sectors,
                                .target_type = "multipath",
                                .table = simple_table({device_.dev})}));
    dm_create_ms_ = watch.lap_ms();
    HAWSER_TRY(host_.wait_for_udev(ctx, uuid_));
    udev_map_ms_ = watch.lap_ms();
    return ok();
  }

  // multipathd, if it runs, may make the map anew for as long as the device is there.
  Status clean_up(const Ctx& ctx) {
    HAWSER_TRY(host_.remove_map(ctx, uuid_));
    HAWSER_TRY(host_.remove_device(ctx, device_));
    HAWSER_TRY(host_.pause(ctx, 300ms));
    HAWSER_TRY(host_.wipe_map(ctx, uuid_));
    HAWSER_TRY(host_.remove_map(ctx, uuid_));
    for (const Session& session : sessions_)
      HAWSER_TRY(host_.logout(ctx, session.sid));
    return host_.wait_for_udev_gone(ctx, uuid_);
  }

  void print() const {
    std::cout << "{\"logins_ms\": " << logins_ms_ << ", \"scan_ms\": " << scan_ms_
              << ", \"dm_create_ms\": " << dm_create_ms_ << ", \"udev_map_ms\": " << udev_map_ms_
              << "}\n";
  }

 private:
  // All requests are sent before the first answer is waited for.
  Status log_in(const Ctx& ctx) {
    std::vector<IscsidExchange> exchanges;
    for (const Portal& portal : volume_.portals) {
      HAWSER_TRY_ASSIGN(IscsidExchange sent, iscsid_.send_login(ctx, {.target = volume_.target,
                                                                      .address = portal.host,
                                                                      .port = portal.port}));
      exchanges.push_back(std::move(sent));
    }
    for (IscsidExchange& exchange : exchanges) {
      HAWSER_TRY_ASSIGN(const IscsidReply reply, exchange.read_reply(ctx));
      if (reply.result != iscsid_result::kSuccess) {
        return iscsid_error(reply.result, IscsidCommand::session_login);
      }
    }
    return ok();
  }

  LinuxHost& host_;
  const Volume& volume_;
  IscsidClient iscsid_{};
  const DeviceMapper dm_{};
  std::vector<Session> sessions_{};
  ScsiDevice device_{};
  std::string uuid_{};
  double logins_ms_ = 0;
  double scan_ms_ = 0;
  double dm_create_ms_ = 0;
  double udev_map_ms_ = 0;
};

Status run(const std::vector<std::string_view>& words) {
  HAWSER_TRY_ASSIGN(const Volume volume, parse_arguments(words));
  HAWSER_TRY_ASSIGN(const auto host, LinuxHost::open());
  const SystemClock clock;
  const Ctx ctx{.clock = clock, .deadline = clock.now() + 60s};
  Floor floor(*host, volume);
  HAWSER_TRY(floor.measure(ctx));
  HAWSER_TRY(floor.clean_up(ctx));
  floor.print();
  return ok();
}

}  // namespace
}  // namespace hawser

int main(int argc, char** argv) {
  const hawser::Status status = hawser::run({argv + 1, argv + argc});
  if (status) return 0;
  std::cerr << "floor: " << status.error().message() << '\n';
  return 1;
}
