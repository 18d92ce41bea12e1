// The part of LinuxHost that is about maps.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "host/event_wait.h"
#include "host/linux_host.h"
#include "wire/multipathd_answer.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr auto kUdevTick = 200ms;
// No event says that a device was closed after reading.
constexpr auto kCloseTick = 50ms;
// multipathd gives up its own lock after 4 s; a path that it does not know yet is not worth that.
constexpr auto kOfferBudget = 2s;
constexpr auto kShowBudget = 2s;
// Takes milliseconds, unless a path does not let itself be opened.
constexpr auto kLoadBudget = 10s;
constexpr const char* kShowAddresses = "show paths raw format \"%d %i\"";

std::string by_uuid_link(const std::string& uuid) {
  return "/dev/disk/by-id/dm-uuid-" + kernel_uuid(uuid);
}

// Where somebody else listens in its place it cannot run.
bool is_absent(const Error& multipathd) {
  return multipathd.code() == Errc::unavailable || multipathd.code() == Errc::permission_denied;
}

}  // namespace

Result<std::optional<Map>> LinuxHost::find_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(ctx.check());
  return dm_.find(uuid);
}

// kpartx calls them "part<N>-mpath-<WWID>".
Result<std::vector<Map>> LinuxHost::partition_maps(const Ctx& ctx, const std::string& wwid) {
  HAWSER_TRY(ctx.check());
  return dm_.stacked_on(map_uuid_of(wwid));
}

Status LinuxHost::create_map(const Ctx& ctx, const Map& map) {
  return dm_.create(ctx.within(kLoadBudget), map);
}

Status LinuxHost::reload_map(const Ctx& ctx, const Map& map, const MapTable& table) {
  return dm_.reload(ctx.within(kLoadBudget), map, table);
}

Status LinuxHost::resize_map(const Ctx& ctx, const Map& map, const MapTable& table,
                             std::uint64_t sectors) {
  return dm_.resize(ctx, map, table, sectors);
}

Status LinuxHost::resume_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, find_map(ctx, uuid));
  if (!map || !map->is_suspended) return ok();
  return dm_.resume(ctx, uuid);
}

Status LinuxHost::remove_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(ctx.check());
  // A udev worker may have opened it since we looked: it is waited for, not taken for a user.
  const Status gone = wait_until(ctx, UdevMonitor::Source::udev, kCloseTick, [&]() -> Result<bool> {
    const Status removed = dm_.remove(ctx, uuid);
    if (removed) return true;
    if (removed.error().code() == Errc::busy) return false;
    return removed.error();
  });
  const bool was_open = !gone && gone.error().code() == Errc::deadline_exceeded &&
                        gone.error().outcome() == Outcome::unchanged;
  if (!was_open) return gone;
  return Error(Errc::busy, "map " + uuid + " stayed open until the deadline").with(Stage::map);
}

Status LinuxHost::remove_map_if_closed(const Ctx& ctx, const std::string& uuid) {
  return dm_.remove(ctx, uuid);
}

Status LinuxHost::remove_map_when_closed(const Ctx& ctx, const std::string& uuid) {
  return dm_.remove(ctx, uuid, WhenOpen::defer);
}

Status LinuxHost::wipe_map(const Ctx& ctx, const std::string& uuid) { return dm_.wipe(ctx, uuid); }

Status LinuxHost::reinstate_path(const Ctx& ctx, const std::string& uuid, const DevT& dev) {
  return dm_.message(ctx, uuid, "reinstate_path " + to_string(dev));
}

Status LinuxHost::wait_for_udev(const Ctx& ctx, const std::string& uuid) {
  if (!udev_runs()) {
    return Error(Errc::unsupported, "no udev here: " + by_uuid_link(uuid) + " will not appear")
        .with(Stage::udev);
  }
  // One that is behind may still have the link of a map of before, whose number is another's now.
  Status shown = wait_until(ctx, UdevMonitor::Source::udev, kUdevTick, [&]() -> Result<bool> {
    struct stat status {};
    if (::stat(by_uuid_link(uuid).c_str(), &status) != 0) return false;
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, dm_.find(uuid));
    return map && S_ISBLK(status.st_mode) && ::minor(status.st_rdev) == map->minor;
  });
  if (shown) return ok();
  return std::move(shown)
      .error()
      .with("waiting for udev to make " + by_uuid_link(uuid))
      .with(Stage::udev);
}

Status LinuxHost::wait_for_udev_gone(const Ctx& ctx, const std::string& uuid) {
  if (!udev_runs()) return ok();
  Status gone = wait_until(ctx, UdevMonitor::Source::udev, kUdevTick, [&]() -> Result<bool> {
    return ::faccessat(AT_FDCWD, by_uuid_link(uuid).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  });
  if (gone) return ok();
  return std::move(gone)
      .error()
      .with("waiting for udev to take away " + by_uuid_link(uuid))
      .with(Stage::udev);
}

Status LinuxHost::wait_for_udev_to_forget(const Ctx& ctx, const std::vector<ScsiDevice>& devices) {
  if (!udev_runs()) return ok();
  std::string remembered;
  // A number that is in use again has a record that is not of ours.
  const auto is_forgotten = [&]() -> Result<bool> {
    const auto found = std::find_if(devices.begin(), devices.end(), [&](const ScsiDevice& device) {
      return udev_remembers(device.dev) && !sysfs_.exists("dev/block/" + to_string(device.dev));
    });
    if (found == devices.end()) return true;
    remembered = found->name;
    return false;
  };
  Status forgotten = wait_until(ctx, UdevMonitor::Source::udev, kUdevTick, is_forgotten);
  if (forgotten) return ok();
  return std::move(forgotten)
      .error()
      .with("waiting for udev to forget " + remembered)
      .with(Stage::udev);
}

Status LinuxHost::wait_for_udev_to_forget_namesake(const Ctx& ctx, const ScsiDevice& device,
                                                   TimePoint scanned) {
  if (!udev_runs()) return ok();
  Status forgotten = wait_until(ctx, UdevMonitor::Source::udev, kUdevTick, [&]() -> Result<bool> {
    HAWSER_TRY_ASSIGN(const std::optional<UdevRecord> record, udev_record(device.dev));
    return !record || record->handled >= scanned;
  });
  if (forgotten) return ok();
  return std::move(forgotten)
      .error()
      .with("waiting for udev to forget the disk that was " + device.name + " before")
      .with(Stage::udev);
}

// A multipathd that lags takes a new disk for the one that had its name before, and would make a
// map of that one's unit over it.
void LinuxHost::forget_namesake(const Ctx& ctx, const ScsiDevice& device) {
  const Result<std::string> paths = multipathd_.command(ctx, kShowAddresses);
  if (!paths) return;
  const std::optional<std::string> address = parse_path_field(*paths, device.name);
  // The name may be another disk's by now: then it is ours that is old.
  if (address && *address != to_string(device.hctl) && scsi_.state(device)) {
    (void)multipathd_.command(ctx, "del path " + device.name);
  }
}

Result<PathVerdict> LinuxHost::offer_path(const Ctx& ctx, const ScsiDevice& device) {
  const Ctx offer_ctx = ctx.within(kOfferBudget);
  forget_namesake(offer_ctx, device);
  const Result<std::string> answer = multipathd_.command(offer_ctx, "add path " + device.name);
  HAWSER_TRY(ctx.check());
  if (!answer && is_absent(answer.error())) return PathVerdict::not_running;
  if (!answer) return PathVerdict::undecided;
  switch (parse_add_path(*answer)) {
    case PathOffer::accepted: return PathVerdict::accepted;
    case PathOffer::blacklisted: return PathVerdict::blacklisted;
    case PathOffer::undecided: break;
  }
  // Without udev no event tells it of the device: it will never look.
  return udev_runs() ? PathVerdict::undecided : PathVerdict::not_running;
}

// Up to 0.9.6 it looks at one path only, and for a while after a map was made it says "fail".
Status LinuxHost::announce_size(const Ctx& ctx, const Map& map) {
  const std::string name = "dm-" + std::to_string(map.minor);
  const Result<std::string> answer =
      multipathd_.command(ctx.within(kOfferBudget), "resize map " + name);
  HAWSER_TRY(ctx.check());
  if (!answer && is_absent(answer.error())) return ok();
  if (!answer) return answer.error();
  if (answer->starts_with("ok")) return ok();
  return Error(Errc::io, "multipathd answers '" + *answer + "' to 'resize map " + name + "'");
}

Result<bool> LinuxHost::is_known_to_multipathd(const Ctx& ctx,
                                               const std::vector<ScsiDevice>& devices) {
  const Result<std::string> paths = multipathd_.command(ctx.within(kShowBudget), kShowAddresses);
  HAWSER_TRY(ctx.check());
  // One that starts reads all devices first, and answers when it has made its maps.
  if (!paths) return !is_absent(paths.error());
  // Since 0.9.8 it says "fail" before that.
  if (paths->starts_with("timeout") || paths->starts_with("fail")) return true;
  // A name alone may belong to another device by now.
  return std::any_of(devices.begin(), devices.end(), [&](const ScsiDevice& device) {
    return parse_path_field(*paths, device.name) == to_string(device.hctl);
  });
}

Result<std::vector<std::string>> LinuxHost::known_wwids(const Ctx& ctx) { return wwids_.list(ctx); }

Status LinuxHost::remember_wwid(const Ctx& ctx, const std::string& wwid) {
  return wwids_.add(ctx, wwid);
}

Status LinuxHost::forget_wwid(const Ctx& ctx, const std::string& wwid) {
  return wwids_.remove(ctx, wwid);
}

Result<std::vector<std::string>> LinuxHost::claims(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY_ASSIGN(std::vector<std::string> claims, holders(ctx, device.name));
  HAWSER_TRY_ASSIGN(const std::vector<std::string> names, scsi_.holders(device.name));
  for (const std::string& name : names) {
    const Result<std::string> uuid = sysfs_.attribute("class/block/" + name + "/dm/uuid");
    if (uuid && uuid->starts_with(kMapUuidPrefix)) {
      claims.push_back("used by " + name + " (" + *uuid + ")");
    }
  }
  if (!claims.empty()) return claims;
  // Some file systems are mounted under a number of their own, and some users leave no trace.
  HAWSER_TRY_ASSIGN(const bool is_claimed, this->is_claimed(ctx, device.name, device.dev));
  if (is_claimed) claims.push_back("claimed by something that cannot be found");
  return claims;
}

}  // namespace hawser
