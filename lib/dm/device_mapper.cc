// The one file that includes <libdevmapper.h>. libdevmapper keeps state per process (control
// descriptor, log function, buffers) and has no lock around it, so each task runs under g_dm_mutex.
#include "dm/device_mapper.h"

#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/c_ptr.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "os/bounded.h"
#include "wire/dm_table.h"

namespace hawser {
namespace {

Mutex g_dm_mutex;  // NOLINT(readability-identifier-naming): g_ warns that it is global.

using Task = CPtr<dm_task, &dm_task_destroy>;

constexpr const char* kControl = "/dev/mapper/control";
constexpr const char* kMultipath = "multipath";

// Flags of the uevents that a change makes, for udev's rules. Source: multipath-tools
// libmultipath/devmapper.h and its 11-dm-mpath.rules.
constexpr std::uint16_t kNoFallback = DM_UDEV_DISABLE_LIBRARY_FALLBACK;  // udev makes the nodes.
constexpr std::uint16_t kOnlyPathsChanged = DM_SUBSYSTEM_UDEV_FLAG0;  // No need to probe it again.
constexpr std::uint16_t kNoPartitions = DM_SUBSYSTEM_UDEV_FLAG1;      // Guests' business, not ours.
constexpr std::uint16_t kNoPaths = DM_SUBSYSTEM_UDEV_FLAG2;           // Do not read from it.

// libdevmapper prints to stderr unless it is told otherwise; what matters comes as errno.
void discard_log(int, const char*, int, int, const char*, ...) {}

Result<Task> make_task(int type, const std::string& uuid) HAWSER_REQUIRES(g_dm_mutex) {
  Task task(::dm_task_create(type));
  if (!task) return Error(Errc::io, "dm_task_create: no device-mapper or no memory");
  if (!uuid.empty() && ::dm_task_set_uuid(task.get(), uuid.c_str()) == 0) {
    return Error(Errc::invalid_argument, "map uuid '" + uuid + "' is no uuid");
  }
  return task;
}

Status run(const Task& task, const std::string& doing) HAWSER_REQUIRES(g_dm_mutex) {
  if (::dm_task_run(task.get()) != 0) return ok();
  const int err = ::dm_task_get_errno(task.get());
  return Error::from_errno(err == 0 ? EIO : err, doing);
}

// With udev synchronisation off this only hands the flags over; no semaphore is made.
Status set_udev_flags(const Task& task, std::uint16_t flags) HAWSER_REQUIRES(g_dm_mutex) {
  std::uint32_t cookie = 0;
  if (::dm_task_set_cookie(task.get(), &cookie, flags) != 0) return ok();
  return Error(Errc::io, "dm_task_set_cookie");
}

// Without device-mapper there are no maps, and libdevmapper can make no task.
bool has_device_mapper() {
  const UniqueFd control(::open(kControl, O_RDWR | O_CLOEXEC));
  return control || (errno != ENOENT && errno != ENODEV && errno != ENXIO);
}

bool is_absent(const Status& status) { return !status && status.error().code() == Errc::not_found; }

// One question; nullopt if there is no such map.
Result<std::optional<Task>> ask(int type, const std::string& uuid) HAWSER_REQUIRES(g_dm_mutex) {
  HAWSER_TRY_ASSIGN(Task task, make_task(type, uuid));
  ::dm_task_no_flush(task.get());  // A question must not wait for I/O.
  const Status done = run(task, "look at map " + uuid);
  if (is_absent(done)) return std::optional<Task>{};
  HAWSER_TRY(done);
  dm_info info{};
  if (::dm_task_get_info(task.get(), &info) == 0 || info.exists == 0) return std::optional<Task>{};
  return {std::move(task)};
}

bool is_closing(const std::string& uuid) HAWSER_REQUIRES(g_dm_mutex) {
  const Result<std::optional<Task>> task = ask(DM_DEVICE_INFO, uuid);
  dm_info info{};
  return task && *task && ::dm_task_get_info((*task)->get(), &info) != 0 &&
         info.deferred_remove != 0;
}

struct Target {
  std::uint64_t sectors = 0;
  std::string type{};
  std::string params{};
};

Target only_target(const Task& task) HAWSER_REQUIRES(g_dm_mutex) {
  std::uint64_t start = 0;
  std::uint64_t sectors = 0;
  char* type = nullptr;
  char* params = nullptr;
  ::dm_get_next_target(task.get(), nullptr, &start, &sectors, &type, &params);
  if (type == nullptr) return {};
  return {.sectors = sectors, .type = type, .params = params == nullptr ? "" : params};
}

void take_info(const Task& task, Map& map) HAWSER_REQUIRES(g_dm_mutex) {
  dm_info info{};
  ::dm_task_get_info(task.get(), &info);
  const char* name = ::dm_task_get_name(task.get());
  const char* uuid = ::dm_task_get_uuid(task.get());
  map.name = name == nullptr ? "" : name;
  map.uuid = uuid == nullptr ? "" : uuid;
  map.minor = info.minor;
  map.open_count = info.open_count;
  map.is_suspended = info.suspended != 0;
  map.is_read_only = info.read_only != 0;
  map.is_closing = info.deferred_remove != 0;
}

Status load(const std::string& uuid, const Target& target, bool is_read_only)
    HAWSER_REQUIRES(g_dm_mutex) {
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_RELOAD, uuid));
  if (::dm_task_add_target(task.get(), 0, target.sectors, target.type.c_str(),
                           target.params.c_str()) == 0) {
    return Error(Errc::invalid_argument, "table '" + target.params + "'");
  }
  if (is_read_only) ::dm_task_set_ro(task.get());
  Status loaded = run(task, "load table '" + target.params + "'");
  // A path that the kernel has made read-only cannot be opened for writing.
  if (!loaded && loaded.error().sys_errno() == EROFS && !is_read_only) {
    return load(uuid, target, true);
  }
  return loaded;
}

Status resume_new(const std::string& uuid, std::uint16_t flags) HAWSER_REQUIRES(g_dm_mutex) {
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_RESUME, uuid));
  ::dm_task_skip_lockfs(task.get());
  ::dm_task_no_flush(task.get());
  HAWSER_TRY(set_udev_flags(task, flags));
  return run(task, "resume map " + uuid);
}

dm_ioctl request_on(const std::string& uuid, std::uint32_t flags) {
  dm_ioctl io{};
  io.version[0] = DM_VERSION_MAJOR;
  io.data_size = sizeof io;
  io.data_start = sizeof io;
  io.flags = flags;
  kernel_uuid(uuid).copy(io.uuid, sizeof io.uuid - 1);
  return io;
}

// The ioctl waits for I/O in flight on paths that may be lost, and so must not hold the lock: it is
// made here, on a descriptor of its own.
int resume_on(int control, const std::string& uuid, std::uint32_t flags, std::uint16_t udev_flags) {
  dm_ioctl io = request_on(uuid, flags);
  io.event_nr = static_cast<std::uint32_t>(udev_flags | DM_UDEV_PRIMARY_SOURCE_FLAG)
                << DM_UDEV_FLAGS_SHIFT;
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

constexpr std::uint32_t kNoFlush = DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
constexpr std::uint32_t kFlush = DM_SKIP_LOCKFS_FLAG;

// Switches a live map to its new table.
Status switch_table(const std::string& uuid, std::uint32_t flags, std::uint16_t udev_flags) {
  const UniqueFd control(::open(kControl, O_RDWR | O_CLOEXEC));
  if (!control) return Error::from_errno(errno, std::string("open ") + kControl);
  const int err = resume_on(control.get(), uuid, flags, udev_flags);
  if (err == 0) return ok();
  // Somebody else has resumed it between the two halves of this, suspension and switch. Source:
  // do_resume() and dm_swap_table() in Linux drivers/md.
  if (err == EINVAL && is_live(control.get(), uuid)) return ok();
  // Somebody else, multipathd mostly, has removed it between load and switch.
  Error error = Error::from_errno(err, "switch map " + uuid + " to its new table");
  if (err == ENXIO && is_gone(control.get(), uuid)) return error;
  // The kernel has suspended the map and dropped the table: without this all I/O would hang.
  const int again = resume_on(control.get(), uuid, kNoFlush, udev_flags);
  if (again == 0) return error;
  return std::move(error).with("map " + uuid + " is left suspended").with(Outcome::unknown);
}

// Drops a table that was loaded and not switched to.
Status clear_table(const std::string& uuid) {
  const MutexLock lock(g_dm_mutex);
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_CLEAR, uuid));
  return run(task, "drop the new table of map " + uuid);
}

// The switch waits for I/O in flight, so it runs on a worker. The load does not: one that comes
// when the caller has gone on could name a device that is another's by then.
Status change_table(const Ctx& ctx, const std::string& doing, const Map& map, const Target& target,
                    std::uint32_t flags, std::uint16_t udev_flags) {
  HAWSER_TRY(ctx.check());
  {
    const MutexLock lock(g_dm_mutex);
    HAWSER_TRY(load(map.uuid, target, map.is_read_only));
  }
  const auto has_begun = std::make_shared<std::atomic<bool>>(false);
  Status changed =
      run_bounded(ctx, doing + " map " + map.uuid, [uuid = map.uuid, flags, udev_flags, has_begun] {
        *has_begun = true;
        return switch_table(uuid, flags, udev_flags);
      });
  if (changed || *has_begun) return changed;
  // It would stay for whoever resumes the map next.
  const Status cleared = clear_table(map.uuid);
  if (cleared || is_absent(cleared)) return changed;
  return std::move(changed).error().with(cleared.error().message()).with(Outcome::unknown);
}

}  // namespace

DeviceMapper::DeviceMapper() {
  const MutexLock lock(g_dm_mutex);
  ::dm_log_with_errno_init(&discard_log);
  ::dm_udev_set_sync_support(0);
}

Status DeviceMapper::check_available() const {
  const UniqueFd control(::open(kControl, O_RDWR | O_CLOEXEC));
  if (!control && errno != ENOENT && errno != ENODEV) {
    return Error::from_errno(errno, std::string("open ") + kControl).with(Stage::preflight);
  }
  const Error missing =
      Error(Errc::unsupported, "the kernel has no multipath target: load the module dm_multipath")
          .with(Stage::preflight);
  if (!control) return missing;
  const MutexLock lock(g_dm_mutex);
  // Asking for its version makes the kernel load the module.
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_GET_TARGET_VERSION, ""));
  if (::dm_task_set_name(task.get(), kMultipath) == 0) return Error(Errc::io, "dm_task_set_name");
  if (run(task, "ask for the multipath target")) return ok();
  return missing;
}

Result<std::optional<Map>> DeviceMapper::find(const std::string& uuid) const {
  if (!has_device_mapper()) return std::optional<Map>{};
  const MutexLock lock(g_dm_mutex);
  Map map;
  {
    HAWSER_TRY_ASSIGN(const std::optional<Task> table, ask(DM_DEVICE_TABLE, uuid));
    if (!table) return std::optional<Map>{};
    take_info(*table, map);
    const Target target = only_target(*table);
    map.sectors = target.sectors;
    map.target_type = target.type;
    if (target.type != kMultipath) return {std::move(map)};
    HAWSER_TRY_ASSIGN(map.table, decode_table(target.params));
  }
  HAWSER_TRY_ASSIGN(const std::optional<Task> status, ask(DM_DEVICE_STATUS, uuid));
  if (!status) return std::optional<Map>{};
  const Target target = only_target(*status);
  if (target.type == kMultipath) {
    HAWSER_TRY_ASSIGN(map.paths, decode_status(target.params));
  }
  return {std::move(map)};
}

Result<std::vector<Map>> DeviceMapper::stacked_on(const std::string& suffix) const {
  if (!has_device_mapper()) return std::vector<Map>{};
  const MutexLock lock(g_dm_mutex);
  HAWSER_TRY_ASSIGN(const Task list, make_task(DM_DEVICE_LIST, ""));
  HAWSER_TRY(run(list, "list maps"));
  std::vector<Map> maps;
  const dm_names* entry = ::dm_task_get_names(list.get());
  if (entry == nullptr || entry->dev == 0) return maps;
  for (;;) {
    const Task info(::dm_task_create(DM_DEVICE_INFO));
    if (info && ::dm_task_set_name(info.get(), entry->name) != 0 &&
        ::dm_task_run(info.get()) != 0) {
      Map map;
      take_info(info, map);
      if (map.uuid != suffix && map.uuid.ends_with(suffix)) maps.push_back(std::move(map));
    }
    if (entry->next == 0) return maps;
    const auto* bytes = reinterpret_cast<const char*>(entry);
    entry = reinterpret_cast<const dm_names*>(bytes + entry->next);
  }
}

// Three steps instead of one composite task, which before libdevmapper 1.02.197 loses the errno
// that tells a map of somebody else's from a failure.
Status DeviceMapper::create(const Ctx& ctx, const Map& map) const {
  HAWSER_TRY(ctx.check());
  const MutexLock lock(g_dm_mutex);
  {
    HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_CREATE, map.uuid));
    if (::dm_task_set_name(task.get(), map.name.c_str()) == 0) {
      return Error(Errc::invalid_argument, "map name '" + map.name + "' is no name");
    }
    const Status made = run(task, "create map " + map.name);
    if (!made && made.error().code() == Errc::busy) {
      if (is_closing(map.uuid)) {
        return Error(Errc::busy, "map " + map.uuid +
                                     " was removed by force and is still open: it goes when its "
                                     "last user closes it");
      }
      return Error(Errc::already_exists,
                   "a map of name " + map.name + " or uuid " + map.uuid + " exists");
    }
    HAWSER_TRY(made);
  }
  Status completed = load(
      map.uuid, {.sectors = map.sectors, .type = kMultipath, .params = encode_table(map.table)},
      map.is_read_only);
  if (completed) completed = resume_new(map.uuid, kNoFallback | kNoPartitions);
  if (completed) return ok();

  // An empty map would keep the uuid from everybody.
  HAWSER_TRY_ASSIGN(const Task removal, make_task(DM_DEVICE_REMOVE, map.uuid));
  HAWSER_TRY(set_udev_flags(removal, kNoFallback));
  const Status removed = run(removal, "remove the empty map " + map.name);
  if (removed) return completed;
  return std::move(completed).error().with(removed.error().message()).with(Outcome::unknown);
}

Status DeviceMapper::reload(const Ctx& ctx, const Map& map, const MapTable& table) const {
  return change_table(ctx, "reload", map,
                      {.sectors = map.sectors, .type = kMultipath, .params = encode_table(table)},
                      kNoFlush, kNoFallback | kNoPartitions | kOnlyPathsChanged);
}

// Without the flag that only paths have changed: partitions and file systems care for the length.
Status DeviceMapper::resize(const Ctx& ctx, const Map& map, const MapTable& table,
                            std::uint64_t sectors) const {
  return change_table(ctx, "resize", map,
                      {.sectors = sectors, .type = kMultipath, .params = encode_table(table)},
                      kFlush, kNoFallback | kNoPartitions);
}

Status DeviceMapper::resume(const Ctx& ctx, const std::string& uuid) const {
  constexpr std::uint16_t flags = kNoFallback | kNoPartitions | kOnlyPathsChanged;
  return run_bounded(ctx, "resume map " + uuid,
                     [uuid] { return switch_table(uuid, kNoFlush, flags); });
}

Status DeviceMapper::remove(const std::string& uuid, WhenOpen when_open) const {
  if (!has_device_mapper()) return ok();
  const MutexLock lock(g_dm_mutex);
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_REMOVE, uuid));
  HAWSER_TRY(set_udev_flags(task, kNoFallback));
  if (when_open == WhenOpen::defer) ::dm_task_deferred_remove(task.get());
  const Status removed = run(task, "remove map " + uuid);
  return is_absent(removed) ? ok() : removed;
}

Status DeviceMapper::wipe(const Ctx& ctx, const std::string& uuid) const {
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, find(uuid));
  if (!map) return ok();
  const std::uint64_t sectors = std::max<std::uint64_t>(map->sectors, 1);
  const Status wiped =
      change_table(ctx, "wipe", *map, {.sectors = sectors, .type = "error"}, kNoFlush,
                   kNoFallback | kNoPartitions | kOnlyPathsChanged | kNoPaths);
  return is_absent(wiped) ? ok() : wiped;
}

Status DeviceMapper::message(const std::string& uuid, const std::string& text) const {
  const MutexLock lock(g_dm_mutex);
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_TARGET_MSG, uuid));
  if (::dm_task_set_sector(task.get(), 0) == 0 ||
      ::dm_task_set_message(task.get(), text.c_str()) == 0) {
    return Error(Errc::invalid_argument, "message '" + text + "'");
  }
  return run(task, "tell map " + uuid + " to " + text);
}

}  // namespace hawser
