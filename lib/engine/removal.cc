// Removing maps and devices, and making sure that they stay away.
#include <algorithm>
#include <set>
#include <utility>

#include "base/listed.h"
#include "engine/budget.h"
#include "engine/rivals.h"
#include "engine/run_all.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// multipathd makes a map again from a uevent that was under way when we removed it. It can do so
// only over a device that is there, so a look after the last one is gone sees it. A device comes
// again only from a scan, which needs a session: while there is one, we look for as long as one may
// be under way.
constexpr auto kQuietTime = 200ms;

// Nothing announces that multipathd has let go of a path: it does so a moment after udev, mostly.
constexpr std::chrono::milliseconds kFirstLookInterval = 10ms;
constexpr std::chrono::milliseconds kLookInterval = 100ms;

// udev is usually done with a map in less.
constexpr auto kUdevLookInterval = 1s;
// One that is further behind takes its link away later.
constexpr auto kUdevBudget = 30s;

// What udev still says of a removed disk, a multipathd that starts would believe of the next disk
// of that number, and put it into the map of a volume that is gone. Such a start is rare, and a
// udev that is far behind is not waited for.
constexpr auto kForgetBudget = 10s;

// As long as multipathd shows a path, or does not answer, it may make a map of it. Under load it
// has been seen to be twenty seconds behind; one that does so for ever is broken.
constexpr auto kMultipathdBudget = 30s;

// Whoever was freed by an error table needs a moment to let go; udev's workers are slow under load.
constexpr auto kLetGoBudget = 10s;
constexpr int kWipes = 3;

// By force, for a disk whose target is silent: until the kernel gives its session up.
constexpr auto kDeleteBudget = 60s;

// Each partition has its map open once.
bool is_open(const Map& map, const std::vector<Map>& partitions) {
  return map.open_count > static_cast<int>(partitions.size()) ||
         std::any_of(partitions.begin(), partitions.end(),
                     [](const Map& partition) { return partition.open_count > 0; });
}

class TakeDown {
 public:
  TakeDown(Operation& operation, const Look& look, Removal removal)
      : operation_(operation), look_(look), removal_(removal) {}

  Status run(const Ctx& ctx, const std::function<void()>& meanwhile) {
    Status done = run_to_the_end(ctx, meanwhile);
    if (done || !has_changed_) return done;
    return std::move(done).error().with(Outcome::unknown);
  }

 private:
  Host& host() const { return operation_.host(); }

  Status run_to_the_end(const Ctx& ctx, const std::function<void()>& meanwhile) {
    HAWSER_TRY(find_gone(ctx));
    HAWSER_TRY(remove_for_good(ctx, meanwhile));
    if (!has_changed_ && gone_.empty()) return ok();
    HAWSER_TRY(wait_for_udev(ctx));
    const Ctx forget_ctx = ctx.within(at_most(ctx, kForgetBudget));
    const Status forgotten = host().wait_for_udev_to_forget(forget_ctx, gone_);
    if (!forgotten) operation_.warn("udev.slow", forgotten.error().message());
    return ok();
  }

  // A process that is dead by now may have removed these, and multipathd be behind with it.
  Status find_gone(const Ctx& ctx) {
    HAWSER_TRY_ASSIGN(const LogState state, operation_.state());
    for (const DeviceEntry& entry : state.devices) {
      if (entry.progress != Progress::done || entry.name.empty()) continue;
      HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> there, host().find_device(ctx, entry.dev));
      if (there) continue;
      gone_.push_back({.hctl = entry.hctl, .sid = entry.sid, .name = entry.name, .dev = entry.dev});
    }
    multipathd_end_ = ctx.clock.now() + at_most(ctx, kMultipathdBudget);
    return ok();
  }

  Status remove_for_good(const Ctx& ctx, const std::function<void()>& meanwhile) {
    TimePoint last_seen = ctx.clock.now();
    bool is_first = true;
    for (std::chrono::milliseconds interval = kFirstLookInterval;;) {
      HAWSER_TRY_ASSIGN(const bool was_there, remove_what_is_there(ctx));
      if (was_there) {
        last_seen = ctx.clock.now();
        continue;
      }
      if (std::exchange(is_first, false)) {
        meanwhile();
        if (!has_changed_ && gone_.empty()) return ok();
        continue;
      }
      HAWSER_TRY_ASSIGN(const bool is_known, is_known_to_multipathd(ctx));
      if (is_known) last_seen = ctx.clock.now();
      const bool is_quiet = !has_session_ || ctx.clock.now() - last_seen >= kQuietTime;
      if (!is_known && is_quiet) return ok();
      HAWSER_TRY(host().pause(ctx, interval));  // The deadline bounds us.
      interval = std::min(2 * interval, kLookInterval);
    }
  }

  // A link that stays may be that of a map that was made since.
  Status wait_for_udev(const Ctx& ctx) {
    const Ctx udev_ctx = ctx.within(at_most(ctx, kUdevBudget));
    for (std::size_t i = 0; i < uuids_.size();) {
      const std::string uuid = uuids_[i];
      const Status gone = closing_.contains(uuid)
                              ? ok()
                              : host().wait_for_udev_gone(udev_ctx.within(kUdevLookInterval), uuid);
      if (!gone && gone.error().code() == Errc::deadline_exceeded && udev_ctx.check()) {
        HAWSER_TRY(remove_what_is_there(ctx));
        continue;
      }
      if (!gone) operation_.warn("udev.slow", gone.error().message());
      ++i;
    }
    return ok();
  }

  // True if there was something.
  Result<bool> remove_what_is_there(const Ctx& ctx) {
    HAWSER_TRY_ASSIGN(Footprint there, look_(ctx));
    there.devices.insert(there.devices.end(), there.strays.begin(), there.strays.end());
    has_session_ = there.has_session;
    for (const std::string& uuid : there.map_uuids) {
      if (std::find(uuids_.begin(), uuids_.end(), uuid) == uuids_.end()) uuids_.push_back(uuid);
    }
    bool was_there = false;
    for (const std::string& uuid : uuids_) {
      HAWSER_TRY_ASSIGN(const bool is_others, is_others_now(ctx, uuid, there));
      if (is_others) continue;
      Result<bool> had_map = remove_tree(ctx, uuid);
      if (!had_map) return std::move(had_map).error().with(Stage::map);
      was_there = was_there || *had_map;
    }
    std::erase_if(there.devices, [&](const ScsiDevice& device) {
      return std::any_of(there.spared.begin(), there.spared.end(),
                         [&](const ScsiDevice& spared) { return spared.dev == device.dev; });
    });
    HAWSER_TRY_ASSIGN(const bool had_device, remove_devices(ctx, there.devices));
    return was_there || had_device;
  }

  // What was ours in an earlier look may have been made by somebody else since, over disks of his.
  Result<bool> is_others_now(const Ctx& ctx, const std::string& uuid, const Footprint& there) {
    const auto& ours = there.map_uuids;
    if (std::find(ours.begin(), ours.end(), uuid) != ours.end()) return false;
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host().find_map(ctx, uuid));
    if (!map) return false;
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> strangers,
                      strangers_in(ctx, host(), *map, there.devices));
    return !strangers.empty();
  }

  // A map and its partition maps. False if it was not there.
  Result<bool> remove_tree(const Ctx& ctx, const std::string& uuid) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host().find_map(ctx, uuid));
    if (!map) return false;
    const bool is_left = map->target_type == "error" || closing_.contains(uuid);
    if (map->is_closing && is_left) return false;  // Its openers' now.
    if (removed_.contains(uuid)) {
      // It may queue for a path that is gone already, with a udev worker stuck on it.
      operation_.tell(Event::Level::info, "map.came_back", "map " + uuid + " came back");
      HAWSER_TRY(removal_ == Removal::by_force ? wipe(ctx, uuid) : host().wipe_map(ctx, uuid));
    } else if (removal_ == Removal::by_force) {
      HAWSER_TRY(wipe(ctx, uuid));
      has_changed_ = true;
    }
    const std::string wwid = uuid.substr(kMapUuidPrefix.size());
    HAWSER_TRY_ASSIGN(const std::vector<Map> partitions, host().partition_maps(ctx, wwid));
    if (has_to_be_closed() && is_open(*map, partitions)) {
      return Error(Errc::busy, "map " + uuid + " is open");  // Before those are gone.
    }
    for (const Map& partition : partitions)
      HAWSER_TRY(remove_map(ctx, partition.uuid));
    operation_.tell(Event::Level::info, "map.remove", "removing map " + uuid);
    Status removed = remove_map(ctx, uuid);
    if (!removed && !partitions.empty()) {
      return std::move(removed).error().with("the maps of its partitions are gone, but");
    }
    HAWSER_TRY(std::move(removed));
    has_changed_ = true;
    if (removed_.insert(uuid).second) HAWSER_TRY(log_removal(uuid));
    return true;
  }

  // After a detach was interrupted, another of this name is not what was attached. An undo has to
  // look for it again.
  Status log_removal(const std::string& uuid) {
    if (closing_.contains(uuid)) return ok();
    HAWSER_TRY_ASSIGN(const LogState state, operation_.state());
    if (state.phase != Phase::detaching) return ok();
    for (const MapEntry& entry : state.maps) {
      if (entry.uuid == uuid && entry.progress != Progress::ended) {
        operation_.undone(step::kMap, entry.number);
      }
    }
    return ok();
  }

  // A map that comes when something is gone already is not what was handed out.
  bool has_to_be_closed() const { return removal_ == Removal::if_closed && !has_changed_; }

  Status remove_map(const Ctx& ctx, const std::string& uuid) {
    if (has_to_be_closed()) return host().remove_map_if_closed(ctx, uuid);
    if (removal_ != Removal::by_force) return host().remove_map(ctx, uuid);
    return remove_by_force(ctx, uuid);
  }

  // multipathd may load its own table again over the one that fails all I/O; then nobody lets go.
  Status remove_by_force(const Ctx& ctx, const std::string& uuid) {
    Status gone;
    for (int i = 0; i < kWipes; ++i) {
      gone = host().remove_map(ctx.within(at_most(ctx, kLetGoBudget)), uuid);
      if (gone) return ok();
      HAWSER_TRY(ctx.check());
      HAWSER_TRY_ASSIGN(const std::optional<Map> map, host().find_map(ctx, uuid));
      if (!map || map->target_type != "multipath") break;
      HAWSER_TRY(wipe(ctx, uuid));
    }
    const Ctx last_ctx = ctx.within(at_most(ctx, kLetGoBudget));
    HAWSER_TRY(tolerate(host().remove_map_when_closed(last_ctx, uuid)));
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host().find_map(ctx, uuid));
    if (!map) return ok();
    closing_.insert(uuid);
    const char* what = map->target_type == "error" ? ": it fails all I/O, and" : ": it";
    operation_.warn("map.still_open", gone.error().message() + what + " goes when it is closed");
    return ok();
  }

  Status wipe(const Ctx& ctx, const std::string& uuid) {
    return tolerate(host().wipe_map(ctx.within(at_most(ctx, kLetGoBudget)), uuid));
  }

  Result<bool> remove_devices(const Ctx& ctx, const std::vector<ScsiDevice>& devices) {
    std::vector<std::function<Status(const Ctx&)>> tasks;
    for (const ScsiDevice& device : devices) {
      if (left_.contains(device.name)) continue;
      tasks.emplace_back(
          [this, device](const Ctx& task_ctx) { return remove_device(task_ctx, device); });
      gone_.push_back(device);
    }
    if (tasks.empty()) return false;
    has_changed_ = true;
    multipathd_end_ = ctx.clock.now() + at_most(ctx, kMultipathdBudget);
    Status removed = run_all(ctx, host(), std::move(tasks));
    if (removed) return true;
    if (removal_ != Removal::by_force) return std::move(removed).error().with(Stage::remove);
    HAWSER_TRY(ctx.check());
    for (const ScsiDevice& device : devices)
      left_.insert(device.name);  // Tried once; the logout may take them.
    HAWSER_TRY(tolerate(std::move(removed)));
    return true;
  }

  Status remove_device(const Ctx& ctx, const ScsiDevice& device) {
    operation_.tell(Event::Level::info, "device.remove", "removing " + device.name);
    const bool is_bounded = removal_ == Removal::by_force;
    const auto budget = std::min<std::chrono::nanoseconds>(kDeleteBudget, ctx.left() / 2);
    return host().remove_device(is_bounded ? ctx.within(budget) : ctx, device);
  }

  Result<bool> is_known_to_multipathd(const Ctx& ctx) {
    if (gone_.empty() || is_multipathd_late_) return false;
    HAWSER_TRY_ASSIGN(const bool is_known, host().is_known_to_multipathd(ctx, gone_));
    if (!is_known || ctx.clock.now() < multipathd_end_) return is_known;
    operation_.warn("multipathd.slow",
                    "multipathd has not let go of " + gone_.front().name +
                        " yet: it may make a map of it, or write its WWID down, when it is gone");
    is_multipathd_late_ = true;
    return false;
  }

  // By force: a warning, unless the time is up.
  Status tolerate(Status status) {
    if (status || removal_ != Removal::by_force) return status;
    operation_.warn("detach.left", status.error().message());
    return ok();
  }

  Operation& operation_;
  const Look& look_;
  const Removal removal_;
  bool has_changed_ = false;
  bool has_session_ = true;  // When we looked last.
  TimePoint multipathd_end_{};
  std::vector<std::string> uuids_{};  // Every map that is, or might be, ours.
  std::set<std::string> removed_{};   // Of those, the ones that were removed.
  std::set<std::string> closing_{};   // Maps that their openers keep for now.
  std::set<std::string> left_{};      // Devices that could not be deleted, and are given up.
  std::vector<ScsiDevice> gone_{};    // Devices that were removed, by us or before us.
  bool is_multipathd_late_ = false;
};

}  // namespace

Status take_down(const Ctx& ctx, Operation& operation, const Look& look, Removal removal,
                 const std::function<void()>& meanwhile) {
  return TakeDown(operation, look, removal).run(ctx, meanwhile);
}

std::vector<std::string> what_is_left(const Ctx& ctx, Host& host, const Footprint& there) {
  std::vector<std::string> left;
  for (const std::string& uuid : there.map_uuids) {
    const Result<std::optional<Map>> map = host.find_map(ctx, uuid);
    if (map && !*map) continue;
    std::string text = "map " + uuid;
    if (map && (*map)->is_closing) {
      text += (*map)->target_type == "error" ? " (fails all I/O, goes" : " (goes";
      text += " when it is closed";
      const auto openers = host.openers(ctx, "dm-" + std::to_string((*map)->minor));
      if (openers && !openers->empty()) text += " by " + listed(*openers);
      text += ")";
    }
    left.push_back(std::move(text));
  }
  std::vector<ScsiDevice> devices = there.devices;
  devices.insert(devices.end(), there.strays.begin(), there.strays.end());
  for (const ScsiDevice& device : devices)
    left.push_back("device " + device.name + " (" + to_string(device.hctl) + ")");
  return left;
}

std::vector<std::string> what_is_left(const Ctx& ctx, Operation& operation, const LogState& state) {
  Host& host = operation.host();
  const Result<Footprint> there = unit_footprint(ctx, operation, state);
  if (!there) return {"what is there cannot be seen: " + there.error().message()};
  std::vector<std::string> left = what_is_left(ctx, host, *there);

  const Result<LogState> now = operation.state();
  const Result<std::vector<Session>> sessions = host.sessions(ctx);
  if (!now || !sessions) return left;
  for (const SessionEntry& entry : now->sessions) {
    if (entry.progress == Progress::ended || entry.origin == Origin::foreign) continue;
    for (const Session& session : *sessions) {
      if (!runs_through(session, entry.key)) continue;
      left.push_back("session " + std::to_string(session.sid) + " (" + to_string(entry.key) + ")");
    }
  }
  return left;
}

}  // namespace hawser
