// What this kernel, iscsid and udev take for the bare primitives of an attach and of a detach, one
// after the other, with nothing of the engine's between them. Prints milliseconds as one JSON
// document.
//
//   floor up|more|down|less --target IQN --lun N [--portal HOST[:PORT]]...
//
// "up" is logins, a scan on each session and one map; "more" is the last two of these, on the
// sessions that are there; "down" is flush, removal of the map, deletion of the disks and logouts;
// "less" stays logged in. What is done on every path is done side by side.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "dm/device_mapper.h"
#include "engine/run_all.h"
#include "host/linux_host.h"
#include "iscsid/client.h"
#include "model/lun.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

struct Volume {
  std::string target{};
  std::uint32_t lun = 0;  // As the kernel numbers it.
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
      std::uint16_t lun = 0;
      (void)std::from_chars(value.data(), value.data() + value.size(), lun);
      volume.lun = kernel_lun(lun, LunAddressing::automatic);
    }
  }
  if (!volume.target.empty()) return volume;
  return Error(Errc::invalid_argument, "give up, more, down or less, then --target and --lun");
}

class Floor {
 public:
  Floor(LinuxHost& host, const Volume& volume) : host_(host), volume_(volume) {}

  Status log_in(const Ctx& ctx) {
    HAWSER_TRY(iscsid_.layout(ctx));  // What a process does once is not the floor's business.
    return measure("logins", [&] { return log_in_side_by_side(ctx); });
  }

  Status bring_up(const Ctx& ctx) {
    HAWSER_TRY(find_sessions(ctx));
    const auto scan = [&](const Ctx& task_ctx, const Session& session) -> Status {
      HAWSER_TRY(host_.scan(task_ctx, session, volume_.lun));
      HAWSER_TRY_ASSIGN(const ScsiDevice device,
                        host_.wait_for_device(task_ctx, session, volume_.lun));
      return host_.probe(task_ctx, device);  // It is in sysfs a moment before it can be opened.
    };
    HAWSER_TRY(measure("scan", [&] { return on_every_session(ctx, scan); }));
    HAWSER_TRY(find_disks(ctx));
    std::vector<DevT> paths;
    for (const ScsiDevice& disk : disks_)
      paths.push_back(disk.dev);
    const std::string wwid = wwid_of(disks_.front().identity);
    const Map map{.name = wwid,
                  .uuid = map_uuid(),
                  .sectors = disks_.front().sectors,
                  .target_type = "multipath",
                  .table = simple_table(paths)};
    HAWSER_TRY(measure("dm_create", [&] { return dm_.create(ctx, map); }));
    if (!has_udev()) return ok();
    return measure("udev_map", [&] { return host_.wait_for_udev(ctx, map.uuid); });
  }

  Status take_down(const Ctx& ctx) {
    HAWSER_TRY(find_sessions(ctx));
    HAWSER_TRY(find_disks(ctx));
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host_.find_map(ctx, map_uuid()));
    if (!map) return Error(Errc::not_found, "there is no map " + map_uuid());
    const std::string node = "dm-" + std::to_string(map->minor);
    HAWSER_TRY(measure("flush", [&] { return host_.flush(ctx, node); }));
    HAWSER_TRY(measure("dm_remove", [&] { return host_.remove_map(ctx, map->uuid); }));
    const auto remove = [&](const Ctx& task_ctx, const Session& session) -> Status {
      const auto disk = std::find_if(disks_.begin(), disks_.end(),
                                     [&](const ScsiDevice& one) { return one.sid == session.sid; });
      return host_.remove_device(task_ctx, *disk);
    };
    return measure("delete", [&] { return on_every_session(ctx, remove); });
  }

  Status log_out(const Ctx& ctx) {
    const auto log_out = [&](const Ctx& task_ctx, const Session& session) {
      return host_.logout(task_ctx, session.sid);
    };
    return measure("logouts", [&] { return on_every_session(ctx, log_out); });
  }

  // multipathd, if it runs, may have made the map anew for as long as a disk was there.
  Status clean_up(const Ctx& ctx) {
    HAWSER_TRY(host_.pause(ctx, 300ms));
    HAWSER_TRY(host_.wipe_map(ctx, map_uuid()));
    HAWSER_TRY(host_.remove_map(ctx, map_uuid()));
    return host_.wait_for_udev_gone(ctx, map_uuid());
  }

  void print() const {
    const char* separator = "{";
    for (const auto& [name, took_ms] : laps_)
      std::cout << std::exchange(separator, ", ") << '"' << name << "_ms\": " << took_ms;
    std::cout << "}\n";
  }

 private:
  Status measure(const char* name, const std::function<Status()>& primitive) {
    const auto start = std::chrono::steady_clock::now();
    HAWSER_TRY(primitive());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    laps_.emplace_back(name, took.count());
    return ok();
  }

  // All requests are sent before the first answer is waited for.
  Status log_in_side_by_side(const Ctx& ctx) {
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

  Status on_every_session(const Ctx& ctx,
                          const std::function<Status(const Ctx&, const Session&)>& primitive) {
    std::vector<std::function<Status(const Ctx&)>> tasks;
    for (const Session& session : sessions_) {
      tasks.emplace_back(
          [&primitive, &session](const Ctx& task_ctx) { return primitive(task_ctx, session); });
    }
    return run_all(ctx, host_, std::move(tasks));
  }

  Status find_sessions(const Ctx& ctx) {
    HAWSER_TRY_ASSIGN(sessions_, host_.sessions_to(ctx, volume_.target));
    return sessions_.empty() ? Error(Errc::not_found, "no session of " + volume_.target) : Status();
  }

  Status find_disks(const Ctx& ctx) {
    for (const Session& session : sessions_) {
      HAWSER_TRY_ASSIGN(ScsiDevice disk, host_.wait_for_device(ctx, session, volume_.lun));
      disks_.push_back(std::move(disk));
    }
    return ok();
  }

  std::string map_uuid() const { return map_uuid_of(wwid_of(disks_.front().identity)); }

  static bool has_udev() { return ::access("/run/udev/control", F_OK) == 0; }

  LinuxHost& host_;
  const Volume& volume_;
  IscsidClient iscsid_{};
  const DeviceMapper dm_{};
  std::vector<Session> sessions_{};
  std::vector<ScsiDevice> disks_{};
  std::vector<std::pair<const char*, double>> laps_{};
};

Status run(std::string_view what, const std::vector<std::string_view>& words) {
  HAWSER_TRY_ASSIGN(const Volume volume, parse_arguments(words));
  HAWSER_TRY_ASSIGN(const auto host, LinuxHost::open());
  const SystemClock clock;
  const Ctx ctx{.clock = clock, .deadline = clock.now() + 60s};
  Floor floor(*host, volume);
  if (what == "up") HAWSER_TRY(floor.log_in(ctx));
  if (what == "up" || what == "more") HAWSER_TRY(floor.bring_up(ctx));
  if (what == "down" || what == "less") HAWSER_TRY(floor.take_down(ctx));
  // At once, while udev handles the removals, as it is in a detach.
  if (what == "down") HAWSER_TRY(floor.log_out(ctx));
  if (what == "down" || what == "less") HAWSER_TRY(floor.clean_up(ctx));
  floor.print();
  return ok();
}

}  // namespace
}  // namespace hawser

int main(int argc, char** argv) {
  const hawser::Status status =
      hawser::run(argc > 1 ? argv[1] : "", {argv + std::min(argc, 2), argv + argc});
  if (status) return 0;
  std::cerr << "floor: " << status.error().message() << '\n';
  return 1;
}
