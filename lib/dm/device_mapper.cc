// The one file that includes <libdevmapper.h>. libdevmapper keeps state per process (control
// descriptor, log function, buffers) and has no lock around it, so each task runs under g_dm_mutex.
// What may wait in the kernel for a path must not hold that: see map_change.h.
#include "dm/device_mapper.h"

#include <fcntl.h>
#include <libdevmapper.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/c_ptr.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "dm/map_change.h"
#include "wire/dm_table.h"

namespace hawser {
namespace {

Mutex g_dm_mutex;  // NOLINT(readability-identifier-naming): g_ warns that it is global.

using Task = CPtr<dm_task, &dm_task_destroy>;

constexpr const char* kControl = "/dev/mapper/control";
constexpr const char* kMultipath = "multipath";

// multipathd may load a table between our load and our switch, or right after.
constexpr int kWipes = 5;

// For the removal of a map that nobody could have opened yet.
constexpr std::chrono::seconds kUndoBudget{5};

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

// What udev's rules get with the uevent of a change. Source: _do_dm_ioctl() and
// dm_task_set_cookie() of libdevmapper.
constexpr std::uint32_t event_of(std::uint16_t udev_flags) {
  return static_cast<std::uint32_t>(udev_flags | DM_UDEV_PRIMARY_SOURCE_FLAG)
         << DM_UDEV_FLAGS_SHIFT;
}

TableChange multipath_change(const Map& map, const MapTable& table, std::uint16_t udev_flags) {
  return {.uuid = map.uuid,
          .sectors = map.sectors,
          .type = kMultipath,
          .params = encode_table(table),
          .is_read_only = map.is_read_only,
          .event_nr = event_of(udev_flags)};
}

bool is_left_behind(const Error& error) {
  const bool is_late = error.code() == Errc::deadline_exceeded || error.code() == Errc::cancelled;
  return is_late && error.outcome() == Outcome::unknown;
}

// A map without a table.
Status create_empty(const Map& map) {
  const MutexLock lock(g_dm_mutex);
  HAWSER_TRY_ASSIGN(const Task task, make_task(DM_DEVICE_CREATE, map.uuid));
  if (::dm_task_set_name(task.get(), map.name.c_str()) == 0) {
    return Error(Errc::invalid_argument, "map name '" + map.name + "' is no name");
  }
  Status made = run(task, "create map " + map.name);
  if (made || made.error().code() != Errc::busy) return made;
  if (is_closing(map.uuid)) {
    return Error(Errc::busy, "map " + map.uuid +
                                 " was removed by force and is still open: it goes when its last "
                                 "user closes it");
  }
  return Error(Errc::already_exists,
               "a map of name " + map.name + " or uuid " + map.uuid + " exists");
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
  HAWSER_TRY(create_empty(map));
  Status completed =
      change_table(ctx, "complete", multipath_change(map, map.table, kNoFallback | kNoPartitions));
  if (completed || is_left_behind(completed.error())) return completed;

  // An empty map would keep the uuid from everybody.
  const Status removed = remove(ctx.for_undo(kUndoBudget), map.uuid);
  if (removed) return std::move(completed).error().with(Outcome::unchanged);
  return std::move(completed).error().with(removed.error().message()).with(Outcome::unknown);
}

Status DeviceMapper::reload(const Ctx& ctx, const Map& map, const MapTable& table) const {
  return change_table(
      ctx, "reload", multipath_change(map, table, kNoFallback | kNoPartitions | kOnlyPathsChanged));
}

// Without the flag that only paths have changed: partitions and file systems care for the length.
Status DeviceMapper::resize(const Ctx& ctx, const Map& map, const MapTable& table,
                            std::uint64_t sectors) const {
  TableChange change = multipath_change(map, table, kNoFallback | kNoPartitions);
  change.sectors = sectors;
  change.flushes = true;
  return change_table(ctx, "resize", std::move(change));
}

Status DeviceMapper::resume(const Ctx& ctx, const std::string& uuid) const {
  return resume_map(ctx, uuid, event_of(kNoFallback | kNoPartitions | kOnlyPathsChanged));
}

Status DeviceMapper::remove(const Ctx& ctx, const std::string& uuid, WhenOpen when_open) const {
  if (!has_device_mapper()) return ok();
  return remove_map(ctx, uuid, when_open == WhenOpen::defer, event_of(kNoFallback));
}

Status DeviceMapper::wipe(const Ctx& ctx, const std::string& uuid) const {
  for (int i = 0; i < kWipes; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, find(uuid));
    if (!map || (i > 0 && map->target_type == "error")) return ok();
    Status wiped = change_table(
        ctx, "wipe",
        {.uuid = uuid,
         .sectors = std::max<std::uint64_t>(map->sectors, 1),
         .type = "error",
         .is_read_only = map->is_read_only,
         .event_nr = event_of(kNoFallback | kNoPartitions | kOnlyPathsChanged | kNoPaths)});
    if (!wiped) return is_absent(wiped) ? ok() : std::move(wiped);
  }
  return Error(Errc::busy, "somebody keeps loading other tables for map " + uuid);
}

Status DeviceMapper::message(const Ctx& ctx, const std::string& uuid,
                             const std::string& text) const {
  return message_map(ctx, uuid, text);
}

}  // namespace hawser
