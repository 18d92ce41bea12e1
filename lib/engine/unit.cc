#include "engine/unit.h"

#include <algorithm>
#include <utility>

#include "base/listed.h"
#include "engine/access.h"
#include "engine/map_paths.h"
#include "engine/rivals.h"
#include "model/lun.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// multipathd may reload a map between our look and our load; it does so once for each uevent.
constexpr int kGrowTries = 10;

constexpr auto kRescanBudget = 5s;
// How long udev may take to handle a new device, after which multipathd looks at it.
constexpr auto kClaimBudget = 15s;
constexpr auto kOfferInterval = 500ms;

// multipathd announces nothing before it makes a map.
constexpr int kLooks = 3;
constexpr auto kLookInterval = 100ms;

// A map that multipathd has just made is open for as long as udev probes it.
constexpr auto kReleaseBudget = 20s;

bool is_left_behind(const Error& load) {
  return load.code() == Errc::deadline_exceeded && load.outcome() == Outcome::unknown;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

std::string blacklists(const Path& path) {
  return "multipathd blacklists " + path.device.name +
         " and would destroy a map over it; see its multipath.conf";
}

Error mismatch(const Path& path, const std::string& why) {
  return Error(Errc::identity_mismatch,
               path.device.name + " (" + to_string(path.device.hctl) + "): " + why)
      .with(Stage::identify)
      .with_path(to_string(path.logged.spec.portal), path.logged.spec.target, path.logged.spec.lun);
}

}  // namespace

std::string bare_device_warning(const std::string& why) {
  return why + ": a single bare device is used, with reduced performance and safety";
}

Status Unit::admit(const Ctx& ctx, Path path) {
  HAWSER_TRY(identify(ctx, path));
  HAWSER_TRY(check_access(path));
  if (paths_.empty()) HAWSER_TRY(learn(ctx, path));
  if (multipath_ == Multipath::off) {
    HAWSER_TRY(keep_bare(ctx, path));
  } else if (wants_map_) {
    HAWSER_TRY(check_not_stacked(ctx, path));
    HAWSER_TRY(add_to_map(ctx, path));
  }
  if (!has_map_) HAWSER_TRY(use_bare(ctx, path));
  paths_.push_back(std::move(path));
  return ok();
}

// An old device at a reused LUN number shows an old identity, or answers nothing any more: one new
// scan tells.
Status Unit::identify(const Ctx& ctx, Path& path) {
  Status first = compare(path);
  if (first && path.doubt.empty()) return ok();
  if (first) first = mismatch(path, "was there before, and " + path.doubt);
  operation_.warn("path.other_unit", first.error().message() + "; scanning it anew",
                  to_string(path.logged.spec.portal));
  Result<Path> again = bring_up_again(ctx, operation_, path);
  if (!again) {
    return std::move(again).error().with(first.error().message()).with(Stage::identify);
  }
  path = *std::move(again);
  return compare(path);
}

Status Unit::compare(const Path& path) const {
  const Identity& seen = path.device.identity;
  if (!spec_.expected_wwid.empty() && !matches_wwid(seen, spec_.expected_wwid)) {
    return mismatch(path, "is unit " + wwid_of(seen) + ", expected " + spec_.expected_wwid);
  }
  if (paths_.empty()) {
    if (known_.empty() || same_unit(seen, known_)) return ok();
    // The controller may have put another volume there since; without a word of it we say no.
    if (!spec_.expected_wwid.empty()) return ok();
    return mismatch(path,
                    "is unit " + wwid_of(seen) + ", but this volume was " + wwid_of(known_) +
                        " when it was attached before; pass expected_wwid if it was replaced");
  }
  const ScsiDevice& first = paths_.front().device;
  if (!same_unit(seen, first.identity)) {
    return mismatch(path, "is unit " + wwid_of(seen) + ", but " + first.name + " is " + wwid_);
  }
  if (path.device.sectors != first.sectors) {
    return mismatch(path, "has " + std::to_string(path.device.sectors) + " sectors, but " +
                              first.name + " has " + std::to_string(first.sectors));
  }
  return ok();
}

// One read-only path would make the whole map read-only, or fail the writes that come its way.
Status Unit::check_access(const Path& path) const {
  if (spec_.access_mode == AccessMode::read_only || !path.device.read_only) return ok();
  return Error(Errc::permission_denied, path.device.name + " (" + to_string(path.device.hctl) +
                                            "): the target exports the unit read-only there, but "
                                            "access_mode is rw")
      .with(Stage::identify);
}

Status Unit::learn(const Ctx& ctx, const Path& path) {
  HAWSER_TRY_ASSIGN(std::string wwid, operation_.host().wwid(ctx, path.device));
  if (wwid != wwid_) {
    if (map_step_) {
      is_fatal_ = true;
      return mismatch(path, "is unit " + wwid +
                                ", but that of the path before it, which was "
                                "refused, is " +
                                wwid_ + " and may have a map");
    }
    wwid_step_.reset();  // It is of another WWID, which stays in the log.
  }
  wwid_ = std::move(wwid);
  if (wwid_.empty() && multipath_ != Multipath::off) {
    HAWSER_TRY(refuse_map(ctx, path.device.name + " says nothing that identifies it"));
  }
  Fields fields{{"wwid", wwid_}};
  put(fields, path.device.identity);
  HAWSER_TRY(operation_.note(step::kIdentity, std::move(fields)));
  if (wwid_.empty()) return ok();
  HAWSER_TRY_ASSIGN(const LogState state, operation_.state());
  Status alone = check_no_rival(ctx, operation_, wwid_, state.paths);
  is_fatal_ = !alone;  // Other paths lead to the same.
  return alone;
}

Status Unit::use_bare(const Ctx& ctx, Path& path) {
  if (spec_.access_mode == AccessMode::read_write) return ok();
  return make_read_only(ctx, operation_, path);
}

// Has the WWID in the list of multipath-tools, and out of it again when the log is undone, whoever
// puts it there: multipathd does so too when it makes a map.
Status Unit::remember_wwid(const Ctx& ctx) {
  if (contains(wwids_before_, wwid_)) return ok();
  HAWSER_TRY_ASSIGN(wwid_step_, operation_.intent(step::kWwid, {{"wwid", wwid_}}));
  HAWSER_TRY(operation_.host().remember_wwid(ctx, wwid_));
  return operation_.done(step::kWwid, *wwid_step_);
}

Status Unit::forget_wwid(const Ctx& ctx) {
  if (!wwid_step_) return ok();
  HAWSER_TRY(operation_.host().forget_wwid(ctx, wwid_));
  operation_.undone(step::kWwid, *std::exchange(wwid_step_, std::nullopt));
  return ok();
}

// No map can be had. A bare device has to do, unless the caller said that it will not.
Status Unit::refuse_map(const Ctx& ctx, const std::string& why) {
  if (multipath_ == Multipath::required) {
    is_fatal_ = true;
    return Error(Errc::unsupported, why + ": no map can be made, and multipath is required")
        .with(Stage::map);
  }
  operation_.warn("map.none", bare_device_warning(why));
  wants_map_ = false;
  has_map_ = false;
  if (map_step_) operation_.undone(step::kMap, *std::exchange(map_step_, std::nullopt));
  return forget_wwid(ctx);
}

std::vector<LoggedPath> Unit::drop_spare_paths() {
  std::vector<LoggedPath> spare;
  if (has_map_ || paths_.empty()) return spare;
  for (auto path = paths_.begin() + 1; path != paths_.end(); ++path)
    spare.push_back(path->logged);
  paths_.resize(1);
  return spare;
}

// A bare device under a map of multipathd's is of no use: its user would find it busy.
Status Unit::check_claimed(const Ctx& ctx, const Path& path) {
  if (wwid_.empty()) return ok();
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, operation_.host().find_map(ctx, map_uuid()));
  if (!map || !map->has_path(path.device.dev)) return ok();
  return claimed(path, *map);
}

Error Unit::claimed(const Path& path, const Map& map) {
  is_fatal_ = true;
  return Error(Errc::busy, path.device.name + " is claimed by multipath map " + map.name +
                               "; attach it with multipath, or blacklist it in multipath.conf")
      .with(Stage::map);
}

// With multipath off the device stays bare: a map that multipathd makes over it, now or when the
// uevent of the device gets to it, is taken away. One that somebody else had before is not.
Status Unit::keep_bare(const Ctx& ctx, const Path& path) {
  if (wwid_.empty()) return ok();
  HAWSER_TRY_ASSIGN(const LogState state, operation_.state());
  const bool is_ours =
      std::any_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& entry) {
        return entry.sid == path.session.sid && entry.lun == path.device.hctl.lun && !entry.existed;
      });
  if (!is_ours) return check_claimed(ctx, path);

  if (!contains(wwids_before_, wwid_)) {
    HAWSER_TRY_ASSIGN(wwid_step_, operation_.intent(step::kWwid, {{"wwid", wwid_}}));
  }
  HAWSER_TRY_ASSIGN(map_step_, operation_.intent(step::kMap, {{"uuid", map_uuid()}}));
  HAWSER_TRY(release(ctx, path));
  operation_.undone(step::kMap, *std::exchange(map_step_, std::nullopt));
  return forget_wwid(ctx);
}

// multipathd does not claim a device again that it knows already. So it is made to look now, and
// what comes of that is taken away. It cannot look before udev has handled the device.
Status Unit::release(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  const TimePoint give_up = ctx.clock.now() + kClaimBudget;
  PathVerdict verdict = PathVerdict::undecided;
  for (;;) {
    HAWSER_TRY_ASSIGN(verdict, host.offer_path(ctx, path.device));
    if (verdict != PathVerdict::undecided || ctx.clock.now() >= give_up) break;
    HAWSER_TRY(host.pause(ctx, kOfferInterval));
  }
  if (verdict == PathVerdict::undecided) {
    operation_.warn("map.undecided", "multipathd has not looked at " + path.device.name +
                                         " yet; it may claim the device when it does");
  }
  const bool may_come = verdict == PathVerdict::accepted || verdict == PathVerdict::undecided;
  for (int quiet = 0; quiet < (may_come ? kLooks : 1);) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, map_uuid()));
    const bool has_ours = map && map->has_path(path.device.dev);
    // Without multipathd nobody takes our device into somebody else's map.
    if (!map || (!has_ours && !map->paths.empty() && !may_come)) {
      if (may_come) HAWSER_TRY(host.pause(ctx, kLookInterval));
      ++quiet;
      continue;
    }
    quiet = 0;
    if (map->paths.size() != (has_ours ? 1 : 0)) return claimed(path, *map);
    operation_.tell(Event::Level::info, "map.release",
                    "taking " + path.device.name + " back from map " + map->name);
    const Status removed = host.remove_map(ctx.within(kReleaseBudget), map_uuid());
    if (!removed) return claimed(path, *map).with(removed.error().message());
  }
  return ok();
}

// A mount keeps the disk from a map, another target of device-mapper's does not.
Status Unit::check_not_stacked(const Ctx& ctx, const Path& path) {
  HAWSER_TRY_ASSIGN(const std::vector<std::string> stacked,
                    operation_.host().stacked_on(ctx, path.device.name));
  if (stacked.empty()) return ok();
  return Error(Errc::busy, path.device.name + " is in use: " + listed(stacked)).with(Stage::map);
}

Status Unit::add_to_map(const Ctx& ctx, const Path& path) {
  if (hung_) return check_in_map(ctx, path);
  Status added = has_map_ ? grow_map(ctx, path) : create_map(ctx, path);
  if (added) return ok();
  if (is_left_behind(added.error()) && ctx.check()) hung_ = added.error();
  return std::move(added).error().with(Stage::map).with("map " + map_uuid());
}

// The kernel loads no other table for the map until the one that hangs is done.
Status Unit::check_in_map(const Ctx& ctx, const Path& path) {
  if (!has_map_) return *hung_;
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, operation_.host().find_map(ctx, map_uuid()));
  if (!map || !map->has_path(path.device.dev)) return *hung_;
  const Result<bool> checked = check_members(ctx, *map, path);
  return checked ? ok() : checked.error();
}

Status Unit::create_map(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  HAWSER_TRY(remember_wwid(ctx));
  HAWSER_TRY_ASSIGN(const PathVerdict verdict, host.offer_path(ctx, path.device));
  if (verdict == PathVerdict::blacklisted) return refuse_map(ctx, blacklists(path));

  HAWSER_TRY_ASSIGN(const std::optional<Map> before, host.find_map(ctx, map_uuid()));
  HAWSER_TRY_ASSIGN(map_step_, operation_.intent(step::kMap, {{"uuid", map_uuid()},
                                                              {"existed", before ? "1" : "0"}}));
  operation_.tell(Event::Level::info, "map.create", "making map " + map_uuid());
  Status made = host.create_map(ctx, {.name = wwid_,
                                      .uuid = map_uuid(),
                                      .sectors = path.device.sectors,
                                      .is_read_only = spec_.access_mode == AccessMode::read_only,
                                      .target_type = "multipath",
                                      .table = simple_table({path.device.dev})});
  // multipathd may have been first. Then its map is ours to use, with our path in it.
  if (!made && made.error().code() != Errc::already_exists) {
    // It may be there all the same, and the next path may show another unit. One that is being
    // loaded cannot be removed.
    const bool can_go = !before && !is_left_behind(made.error());
    if (can_go && host.remove_map(ctx.within(kReleaseBudget), map_uuid())) {
      operation_.undone(step::kMap, *std::exchange(map_step_, std::nullopt));
    }
    return made;
  }
  has_map_ = true;
  is_map_ours_ = made.has_value();
  if (!made) HAWSER_TRY(grow_map(ctx, path));
  HAWSER_TRY(operation_.done(step::kMap, *map_step_));
  return settle_access(ctx);
}

Status Unit::grow_map(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  for (int i = 0; i < kGrowTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, map_uuid()));
    if (!map) return Error(Errc::busy, "somebody removed it while it was being built");
    const bool has_table = map->sectors != 0;  // Else somebody is making it just now.
    if (has_table && map->sectors != path.device.sectors) {
      return mismatch(path, "has " + std::to_string(path.device.sectors) + " sectors, but map " +
                                map->name + ", which is there, has " +
                                std::to_string(map->sectors));
    }
    HAWSER_TRY_ASSIGN(const bool has_others, check_members(ctx, *map, path));
    if (map->has_path(path.device.dev)) return ok();
    HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, find_again(ctx, host, path.device));
    if (!now) return Error(Errc::unavailable, path.device.name + " is gone");
    // Based on the table that is loaded, so that what multipathd chose stays as it is; but not on
    // one that only knows disks that are gone.
    const bool is_worth_keeping = map->target_type == "multipath" && has_others;
    const MapTable table =
        is_worth_keeping ? with_path(map->table, path.device.dev) : simple_table({path.device.dev});
    HAWSER_TRY(has_table ? reload_map(ctx, host, *map, table)
                         : host.resize_map(ctx, *map, table, path.device.sectors));
  }
  return Error(Errc::busy, "somebody keeps taking " + path.device.name + " out of it");
}

// Refuses a map that somebody has made over another unit with this WWID, or is making: I/O would go
// to either. True if it has disks that are there.
Result<bool> Unit::check_members(const Ctx& ctx, const Map& map, const Path& path) {
  std::vector<ScsiDevice> ours{path.device};
  for (const Path& other : paths_)
    ours.push_back(other.device);
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> strangers,
                    strangers_in(ctx, operation_.host(), map, ours));
  for (const ScsiDevice& device : strangers) {
    const Status checked = check_stranger(ctx, device, path);
    if (checked) continue;
    is_fatal_ = checked.error().code() == Errc::identity_mismatch;
    return checked.error();
  }
  return !strangers.empty() || std::any_of(ours.begin(), ours.end(), [&](const ScsiDevice& device) {
    return map.has_path(device.dev);
  });
}

Status Unit::check_stranger(const Ctx& ctx, const ScsiDevice& device, const Path& path) {
  Host& host = operation_.host();
  const auto refuse = [&](const std::string& why) {
    return mismatch(path, "map " + map_uuid() + " is there and has " + device.name + ", " + why);
  };
  if (device.sid == 0) return refuse("which is no iSCSI disk");
  HAWSER_TRY_ASSIGN(const std::optional<Session> session, host.session(ctx, device.sid));
  if (!session) return ok();  // It is going just now.
  const bool is_meant =
      std::any_of(spec_.paths.begin(), spec_.paths.end(), [&](const PathSpec& wanted) {
        return wanted.target == session->target &&
               kernel_lun(wanted.lun, spec_.addressing) == device.hctl.lun;
      });
  if (!is_meant) {
    return refuse("which is LUN " + std::to_string(device.hctl.lun) + " of " + session->target +
                  ": two units show one WWID, or the specification does not name all its targets");
  }
  // It is an old device: what the kernel knows of it may be old, too.
  (void)host.rescan(ctx.within(kRescanBudget), device);  // A path that is lost says nothing new.
  HAWSER_TRY(ctx.check());
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, host.find_device(ctx, device.dev));
  if (!now || same_unit(now->identity, path.device.identity)) return ok();
  return refuse("which is unit " + wwid_of(now->identity));
}

Status Unit::settle(const Ctx& ctx) {
  if (!has_map_) return ok();
  Host& host = operation_.host();
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, map_uuid()));
  if (!map) {
    // multipathd may not have known the path well enough to say so when it was asked.
    HAWSER_TRY_ASSIGN(const PathVerdict verdict, host.offer_path(ctx, paths_.front().device));
    if (verdict == PathVerdict::blacklisted) {
      HAWSER_TRY(refuse_map(ctx, blacklists(paths_.front())));
      return use_bare(ctx, paths_.front());
    }
  }
  HAWSER_TRY(bring_all_in(ctx));
  return settle_access(ctx);
}

// One that is lost by now may have been taken out, and cannot be brought in. It may come back
// later; the volume can be used without it.
Status Unit::bring_all_in(const Ctx& ctx) {
  std::vector<Error> lost;
  for (int i = 0; i < kGrowTries; ++i) {
    HAWSER_TRY_ASSIGN(lost, bring_in(ctx));
    // A reload of multipathd's that knows only some of them may have come in between.
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, operation_.host().find_map(ctx, map_uuid()));
    const auto out = std::count_if(paths_.begin(), paths_.end(), [&](const Path& path) {
      return !map || !map->has_path(path.device.dev);
    });
    if (static_cast<std::size_t>(out) <= lost.size()) break;
    if (i + 1 == kGrowTries) {
      operation_.warn("map.contended", "somebody keeps taking paths out of map " + map_uuid());
    }
  }
  if (!lost.empty() && lost.size() == paths_.size()) return lost.back();
  for (const Error& error : lost) {
    operation_.warn("path.lost", error.portal() + ": " + error.message(), error.portal());
  }
  return ok();
}

// Those that are lost.
Result<std::vector<Error>> Unit::bring_in(const Ctx& ctx) {
  std::vector<Error> lost;
  for (const Path& path : paths_) {
    Status added = add_to_map(ctx, path);
    if (added) continue;
    HAWSER_TRY_ASSIGN(const bool is_lost, has_lost(ctx, path));
    if (is_fatal_ || !(is_lost || hung_)) return std::move(added).error();
    lost.push_back(std::move(added)
                       .error()
                       .with(path.device.name + " is left out of the map")
                       .with_path(to_string(path.logged.spec.portal), path.logged.spec.target,
                                  path.logged.spec.lun));
  }
  return lost;
}

Result<bool> Unit::has_lost(const Ctx& ctx, const Path& path) const {
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now,
                    find_again(ctx, operation_.host(), path.device));
  return !now || now->state != "running";
}

Status Unit::settle_access(const Ctx& ctx) {
  Status settled = settle_map_access(ctx, operation_, map_uuid(), is_map_ours_,
                                     spec_.access_mode == AccessMode::read_only);
  if (settled) return ok();
  return std::move(settled).error().with(Stage::map);
}

}  // namespace hawser
