#include "engine/unit.h"

#include <algorithm>
#include <utility>

#include "engine/access.h"
#include "engine/rivals.h"
#include "model/lun.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// multipathd may reload a map between our look and our load; it does so once for each uevent.
constexpr int kGrowTries = 10;

constexpr auto kRescanBudget = 5s;

Error mismatch(const Path& path, const std::string& why) {
  return Error(Errc::identity_mismatch,
               path.device.name + " (" + to_string(path.device.hctl) + "): " + why)
      .with(Stage::identify)
      .with_path(to_string(path.logged.spec.portal), path.logged.spec.target, path.logged.spec.lun);
}

}  // namespace

Status Unit::admit(const Ctx& ctx, Path path) {
  HAWSER_TRY(identify(ctx, path));
  HAWSER_TRY(check_access(path));
  if (paths_.empty()) HAWSER_TRY(learn(ctx, path));
  if (multipath_ == Multipath::off) {
    HAWSER_TRY(check_claimed(ctx, path));
  } else if (wants_map_) {
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
  HAWSER_TRY_ASSIGN(wwid_, operation_.host().wwid(ctx, path.device));
  if (wwid_.empty() && multipath_ != Multipath::off) {
    if (multipath_ == Multipath::required) {
      is_fatal_ = true;
      return mismatch(path, "says nothing that identifies it, so no map can be made");
    }
    operation_.warn("map.no_identity",
                    path.device.name + " says nothing that identifies it: no map, one path");
    wants_map_ = false;
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

// A bare device under a map of multipathd's is of no use: its user would find it busy.
Status Unit::check_claimed(const Ctx& ctx, const Path& path) {
  if (wwid_.empty()) return ok();
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, operation_.host().find_map(ctx, map_uuid()));
  if (!map || !map->has_path(path.device.dev)) return ok();
  is_fatal_ = true;
  return Error(Errc::busy, path.device.name + " is claimed by multipath map " + map->name +
                               "; attach it with multipath, or blacklist it in multipath.conf")
      .with(Stage::map);
}

Status Unit::add_to_map(const Ctx& ctx, const Path& path) {
  Status added = has_map_ ? grow_map(ctx, path) : create_map(ctx, path);
  if (added) return ok();
  return std::move(added).error().with(Stage::map).with("map " + map_uuid());
}

Status Unit::create_map(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  HAWSER_TRY_ASSIGN(const bool is_known, host.knows_wwid(ctx, wwid_));
  if (!is_known) {
    HAWSER_TRY_ASSIGN(const std::uint32_t number,
                      operation_.intent(step::kWwid, {{"wwid", wwid_}}));
    HAWSER_TRY(host.remember_wwid(ctx, wwid_));
    HAWSER_TRY(operation_.done(step::kWwid, number));
  }

  HAWSER_TRY_ASSIGN(const PathVerdict verdict, host.offer_path(ctx, path.device));
  if (verdict == PathVerdict::blacklisted) {
    const std::string why = "multipathd blacklists " + path.device.name +
                            " and would destroy a map over it; see its multipath.conf";
    if (multipath_ == Multipath::required) {
      is_fatal_ = true;
      return Error(Errc::unsupported, why);
    }
    operation_.warn("map.blacklisted", why +
                                           ": one bare path is used, which is neither as fast "
                                           "nor as safe");
    wants_map_ = false;
    return ok();
  }

  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation_.intent(step::kMap, {{"uuid", map_uuid()}}));
  operation_.tell(Event::Level::info, "map.create", "making map " + map_uuid());
  Status made = host.create_map(ctx, {.name = wwid_,
                                      .uuid = map_uuid(),
                                      .sectors = path.device.sectors,
                                      .is_read_only = spec_.access_mode == AccessMode::read_only,
                                      .target_type = "multipath",
                                      .table = simple_table({path.device.dev})});
  // multipathd may have been first. Then its map is ours to use, with our path in it.
  if (!made && made.error().code() != Errc::already_exists) return made;
  has_map_ = true;
  is_map_ours_ = made.has_value();
  if (!made) HAWSER_TRY(grow_map(ctx, path));
  HAWSER_TRY(operation_.done(step::kMap, number));
  return settle_access(ctx);
}

Status Unit::grow_map(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  for (int i = 0; i < kGrowTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, map_uuid()));
    if (!map) return Error(Errc::busy, "somebody removed it while it was being built");
    if (map->sectors != path.device.sectors && !map->paths.empty()) {
      return mismatch(path, "its size differs from that of the map that is there");
    }
    HAWSER_TRY_ASSIGN(const bool has_others, check_members(ctx, *map, path));
    if (map->has_path(path.device.dev)) return ok();
    // Based on the table that is loaded, so that what multipathd chose stays as it is; but not on
    // one that only knows disks that are gone.
    const bool is_worth_keeping = map->target_type == "multipath" && has_others;
    const MapTable table =
        is_worth_keeping ? with_path(map->table, path.device.dev) : simple_table({path.device.dev});
    HAWSER_TRY(host.reload_map(ctx, *map, table));
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
  HAWSER_TRY_ASSIGN(const std::vector<Session> sessions, host.sessions(ctx));
  const auto session = std::find_if(sessions.begin(), sessions.end(),
                                    [&](const Session& s) { return s.sid == device.sid; });
  if (session == sessions.end()) return ok();  // It is going just now.
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
  for (const Path& path : paths_)
    HAWSER_TRY(add_to_map(ctx, path));
  return settle_access(ctx);
}

Status Unit::settle_access(const Ctx& ctx) {
  Status settled = settle_map_access(ctx, operation_, map_uuid(), is_map_ours_,
                                     spec_.access_mode == AccessMode::read_only);
  if (settled) return ok();
  return std::move(settled).error().with(Stage::map);
}

}  // namespace hawser
