// The part of LinuxHost that is about who uses block devices, and about the data on its way to
// them.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/event_wait.h"
#include "host/linux_host.h"
#include "scsi/block_io.h"
#include "scsi/block_users.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr const char* kProc = "/proc";

// No event says that a device was closed after reading.
constexpr auto kMapTick = 50ms;
// For a disk every process has to be looked at.
constexpr auto kDiskTick = 250ms;
// A disk that cannot be opened at once is one whose path is lost: that is for others to find out.
constexpr auto kOpenBudget = 1s;

// One that takes longer is over a file system that does not answer, and over no device.
constexpr auto kLoopBudget = 1s;

// False if it was the way to the device that failed, and not the device.
bool could_ask(const Error& error) {
  switch (error.code()) {
    case Errc::exhausted:
    case Errc::permission_denied:
    case Errc::identity_mismatch: return false;
    default: return error.sys_errno() != ENOENT;
  }
}

bool is_partition_map(const std::string& uuid) { return uuid.starts_with("part"); }

// multipathd keeps what it checks open, and writes nothing there.
bool is_checker(const std::string& opener) { return opener.starts_with("multipathd (pid "); }

}  // namespace

// The partitions of a disk, and the partition maps (kpartx) over a map.
Result<std::vector<std::string>> LinuxHost::parts_of(const std::string& device) const {
  std::vector<std::string> parts;
  const std::string directory = "class/block/" + device + "/";
  HAWSER_TRY_ASSIGN(const std::vector<std::string> entries, sysfs_.list(directory));
  for (const std::string& entry : entries) {
    if (entry.starts_with(device) && sysfs_.exists(directory + entry + "/partition")) {
      parts.push_back(entry);
    }
  }
  HAWSER_TRY_ASSIGN(const std::vector<std::string> holders, scsi_.holders(device));
  for (const std::string& holder : holders) {
    const Result<std::string> uuid = sysfs_.attribute("class/block/" + holder + "/dm/uuid");
    if (uuid && is_partition_map(*uuid)) parts.push_back(holder);
  }
  return parts;
}

// Of the device and its parts. Those that are going are left out.
Result<std::vector<DevT>> LinuxHost::numbers_of(const std::string& device) const {
  HAWSER_TRY_ASSIGN(std::vector<std::string> names, parts_of(device));
  names.push_back(device);
  std::vector<DevT> numbers;
  for (const std::string& name : names) {
    const Result<DevT> number = scsi_.number(name);
    if (number) numbers.push_back(*number);
  }
  return numbers;
}

Result<std::vector<std::string>> LinuxHost::stacked_on(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(ctx.check());
  std::vector<std::string> users;
  HAWSER_TRY_ASSIGN(const std::vector<std::string> parts, parts_of(device));
  std::vector<std::string> names = parts;
  names.push_back(device);
  for (const std::string& name : names) {
    HAWSER_TRY_ASSIGN(const std::vector<std::string> stacked, scsi_.holders(name));
    for (const std::string& holder : stacked) {
      if (std::find(parts.begin(), parts.end(), holder) != parts.end()) continue;
      const Result<std::string> uuid = sysfs_.attribute("class/block/" + holder + "/dm/uuid");
      if (uuid && uuid->starts_with(kMapUuidPrefix)) continue;  // The map over a path is ours.
      // A map that is just going has no attributes any more.
      if (holder.starts_with("dm-") && !sysfs_.exists("class/block/" + holder + "/dm")) continue;
      users.push_back("used by " + holder + (uuid && !uuid->empty() ? " (" + *uuid + ")" : ""));
    }
  }
  return users;
}

Result<std::vector<std::string>> LinuxHost::holders(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY_ASSIGN(const std::vector<DevT> numbers, numbers_of(device));
  HAWSER_TRY_ASSIGN(std::vector<std::string> users, mounts_of(ctx, kProc, numbers));
  HAWSER_TRY_ASSIGN(const std::vector<std::string> stacked, stacked_on(ctx, device));
  users.insert(users.end(), stacked.begin(), stacked.end());
  HAWSER_TRY_ASSIGN(const std::vector<std::string> blocks, sysfs_.list("block"));
  for (const std::string& block : blocks) {
    if (!block.starts_with("loop") || !sysfs_.exists("block/" + block + "/loop/backing_file"))
      continue;
    const Result<bool> is_over = is_loop_over(ctx.within(kLoopBudget), "/dev/" + block, numbers);
    HAWSER_TRY(ctx.check());
    if (!is_over && is_over.error().code() == Errc::exhausted) return is_over.error();
    if (is_over && *is_over) users.push_back("used by " + block);
  }
  return users;
}

Result<std::vector<std::string>> LinuxHost::openers(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY_ASSIGN(const std::vector<DevT> numbers, numbers_of(device));
  HAWSER_TRY_ASSIGN(std::vector<std::string> openers, openers_of(ctx, kProc, numbers));
  std::erase_if(openers, is_checker);
  return openers;
}

Result<bool> LinuxHost::is_map_unused(const std::string& uuid) const {
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, dm_.find(uuid));
  if (!map) return true;
  HAWSER_TRY_ASSIGN(const std::vector<Map> partitions, dm_.stacked_on(map->uuid));
  return map->open_count <= static_cast<int>(partitions.size()) &&
         std::all_of(partitions.begin(), partitions.end(),
                     [](const Map& partition) { return partition.open_count == 0; });
}

// The kernel tells nobody how often a disk is open: who has it open is looked for, and whoever
// claims it without a descriptor is found by claiming it ourselves. Who does neither, a loop device
// for one, has to be among the holders.
Result<bool> LinuxHost::is_disk_unused(const Ctx& ctx, const std::string& device) {
  const Result<DevT> number = scsi_.number(device);
  if (!number) return true;
  HAWSER_TRY_ASSIGN(const std::vector<std::string> openers, this->openers(ctx, device));
  if (!openers.empty()) return false;
  HAWSER_TRY_ASSIGN(const bool is_claimed, this->is_claimed(ctx, device, *number));
  return !is_claimed;
}

Result<bool> LinuxHost::is_claimed(const Ctx& ctx, const std::string& device,
                                   const DevT& dev) const {
  const Status claimed = try_exclusive(ctx.within(kOpenBudget), "/dev/" + device, dev);
  HAWSER_TRY(ctx.check());
  if (claimed) return false;
  if (claimed.error().code() == Errc::busy) return true;
  // The kernel looks for claims before it opens the disk itself, which may fail or take its time.
  if (could_ask(claimed.error()) || !scsi_.number(device)) return false;
  return claimed.error();
}

Status LinuxHost::wait_until_unused(const Ctx& ctx, const std::string& device) {
  const Result<std::string> uuid = sysfs_.attribute("class/block/" + device + "/dm/uuid");
  const auto look = [&]() -> Result<bool> {
    return uuid ? is_map_unused(*uuid) : is_disk_unused(ctx, device);
  };
  const Status unused =
      wait_until(ctx, UdevMonitor::Source::udev, uuid ? kMapTick : kDiskTick, look);
  if (unused || unused.error().code() != Errc::deadline_exceeded) return unused;
  return Error(Errc::busy, device + " stayed open until the deadline");
}

// A map says of its paths' caches what held when its table was loaded, a disk what held when it was
// scanned. Either may be from a time when no path answered, and deny a cache that is there.
Result<bool> LinuxHost::is_written(const Ctx& ctx, const Map& map,
                                   const std::vector<ScsiDevice>& devices) {
  HAWSER_TRY(ctx.check());
  std::vector<std::string> names{"dm-" + std::to_string(map.minor)};
  for (const ScsiDevice& device : devices)
    names.push_back(device.name);
  for (const std::string& name : names) {
    const Result<std::string> cache =
        sysfs_.attribute("class/block/" + name + "/queue/write_cache");
    if (!cache || *cache != "write through") return false;
  }
  HAWSER_TRY_ASSIGN(const std::optional<Map> now, dm_.find(map.uuid));
  return now && now->open_count == 0;
}

Status LinuxHost::flush_one(const Ctx& ctx, const std::string& name) const {
  HAWSER_TRY_ASSIGN(const DevT dev, scsi_.number(name));
  return flush_device(ctx, "/dev/" + name, dev);
}

Status LinuxHost::flush(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY_ASSIGN(const std::vector<std::string> parts, parts_of(device));
  for (const std::string& part : parts) {
    Status flushed = flush_one(ctx, part);
    const bool is_gone = !flushed && flushed.error().code() == Errc::not_found;
    if (!flushed && !is_gone) return flushed;
  }
  return flush_one(ctx, device);
}

}  // namespace hawser
