#include "dm/map_change.h"

// The requests and their data: Linux include/uapi/linux/dm-ioctl.h.
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "model/map.h"
#include "os/bounded.h"

namespace hawser {
namespace {

constexpr std::uint32_t kNoFlush = DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
constexpr std::uint32_t kFlush = DM_SKIP_LOCKFS_FLAG;

// Somebody else may suspend and resume a map while we look at it; he does so a few times in a row.
constexpr int kResumeTries = 10;

Result<UniqueFd> open_control() {
  constexpr const char* path = "/dev/mapper/control";
  UniqueFd control(::open(path, O_RDWR | O_CLOEXEC));
  if (!control) return Error::from_errno(errno, std::string("open ") + path);
  return {std::move(control)};
}

dm_ioctl request_on(const std::string& uuid, std::uint32_t flags, std::uint32_t event_nr = 0) {
  dm_ioctl io{};
  io.version[0] = DM_VERSION_MAJOR;
  io.data_size = sizeof io;
  io.data_start = sizeof io;
  io.flags = flags;
  io.event_nr = event_nr;
  kernel_uuid(uuid).copy(io.uuid, sizeof io.uuid - 1);
  return io;
}

// A request and what belongs to it, one after the other.
template <class Head>
std::vector<char> with_data(dm_ioctl io, const Head& head, const std::string& text) {
  std::vector<char> request(sizeof io + sizeof head + text.size() + 1);
  io.data_size = static_cast<std::uint32_t>(request.size());
  std::memcpy(request.data(), &io, sizeof io);
  std::memcpy(request.data() + sizeof io, &head, sizeof head);
  text.copy(request.data() + sizeof io + sizeof head, text.size());
  return request;
}

int load_on(int control, const TableChange& change, bool is_read_only) {
  dm_ioctl io = request_on(change.uuid, is_read_only ? DM_READONLY_FLAG : 0);
  io.target_count = 1;
  dm_target_spec spec{};
  spec.length = change.sectors;
  change.type.copy(spec.target_type, sizeof spec.target_type - 1);
  std::vector<char> request = with_data(io, spec, change.params);
  return ::ioctl(control, DM_TABLE_LOAD, request.data()) == 0 ? 0 : errno;
}

Status load(int control, const TableChange& change) {
  int err = load_on(control, change, change.is_read_only);
  // A path that the kernel has made read-only cannot be opened for writing.
  if (err == EROFS && !change.is_read_only) err = load_on(control, change, true);
  if (err == 0) return ok();
  return Error::from_errno(err, "load table '" + change.params + "'");
}

// Drops a table that was loaded and not switched to.
void clear(int control, const std::string& uuid) {
  dm_ioctl io = request_on(uuid, 0);
  (void)::ioctl(control, DM_TABLE_CLEAR, &io);  // If that fails the map is gone, and the table.
}

int resume_on(int control, const std::string& uuid, std::uint32_t flags, std::uint32_t event_nr) {
  dm_ioctl io = request_on(uuid, flags, event_nr);
  return ::ioctl(control, DM_DEV_SUSPEND, &io) == 0 ? 0 : errno;
}

bool is_gone(int control, const std::string& uuid) {
  dm_ioctl io = request_on(uuid, 0);
  return ::ioctl(control, DM_DEV_STATUS, &io) != 0 && errno == ENXIO;
}

bool is_live(int control, const std::string& uuid) {
  dm_ioctl io = request_on(uuid, 0);
  return ::ioctl(control, DM_DEV_STATUS, &io) == 0 && (io.flags & DM_SUSPEND_FLAG) == 0;
}

// Switches a map to the table that was loaded, if any.
Status switch_table(int control, const std::string& uuid, std::uint32_t flags,
                    std::uint32_t event_nr) {
  const int err = resume_on(control, uuid, flags, event_nr);
  if (err == 0) return ok();
  Error error = Error::from_errno(err, "switch map " + uuid + " to its new table");
  for (int i = 0; i < kResumeTries; ++i) {
    // Somebody else, multipathd mostly, has resumed it between the two halves of this, suspension
    // and switch; what he has loaded is for the caller to see. Source: do_resume() and
    // dm_swap_table() in Linux drivers/md.
    if (is_live(control, uuid)) return err == EINVAL ? ok() : Status(std::move(error));
    // Or has removed it between load and switch.
    if (is_gone(control, uuid)) return error;
    // The kernel has suspended the map and dropped the table: without this all I/O would hang.
    const int again = resume_on(control, uuid, kNoFlush, event_nr);
    if (again == 0) return error;
    if (again != EINVAL) break;  // Else he has resumed it in this very moment.
  }
  return std::move(error).with("map " + uuid + " is left suspended").with(Outcome::unknown);
}

}  // namespace

Status change_table(const Ctx& ctx, const std::string& doing, TableChange change) {
  const auto is_left = std::make_shared<std::atomic<bool>>(false);
  const std::string what = doing + " map " + change.uuid;
  Status changed = run_bounded(ctx, what, [change = std::move(change), is_left]() -> Status {
    HAWSER_TRY_ASSIGN(const UniqueFd control, open_control());
    HAWSER_TRY(load(control.get(), change));
    const bool names_disks = !change.params.empty();
    if (!names_disks || !*is_left) {
      return switch_table(control.get(), change.uuid, change.flushes ? kFlush : kNoFlush,
                          change.event_nr);
    }
    // Whoever resumes the map next would switch to it, and it may name a disk that is another's
    // now.
    clear(control.get(), change.uuid);
    return ok();
  });
  *is_left = true;
  return changed;
}

Status resume_map(const Ctx& ctx, const std::string& uuid, std::uint32_t event_nr) {
  return run_bounded(ctx, "resume map " + uuid, [uuid, event_nr]() -> Status {
    HAWSER_TRY_ASSIGN(const UniqueFd control, open_control());
    clear(control.get(), uuid);
    return switch_table(control.get(), uuid, kNoFlush, event_nr);
  });
}

Status remove_map(const Ctx& ctx, const std::string& uuid, bool when_closed,
                  std::uint32_t event_nr) {
  const std::string doing = "remove map " + uuid;
  return run_bounded(ctx, doing, [uuid, doing, when_closed, event_nr]() -> Status {
    HAWSER_TRY_ASSIGN(const UniqueFd control, open_control());
    dm_ioctl io = request_on(uuid, when_closed ? DM_DEFERRED_REMOVE : 0, event_nr);
    if (::ioctl(control.get(), DM_DEV_REMOVE, &io) == 0 || errno == ENXIO) return ok();
    return Error::from_errno(errno, doing);
  });
}

Status message_map(const Ctx& ctx, const std::string& uuid, const std::string& text) {
  const std::string doing = "tell map " + uuid + " to " + text;
  return run_bounded(ctx, doing, [uuid, doing, text]() -> Status {
    HAWSER_TRY_ASSIGN(const UniqueFd control, open_control());
    // A dm_target_msg, whose flexible array C++ does not have, is its sector and the text.
    std::vector<char> request = with_data(request_on(uuid, 0), std::uint64_t{0}, text);
    if (::ioctl(control.get(), DM_TARGET_MSG, request.data()) == 0) return ok();
    return Error::from_errno(errno, doing);
  });
}

}  // namespace hawser
