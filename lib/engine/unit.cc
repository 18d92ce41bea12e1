#include "engine/unit.h"

#include <algorithm>
#include <utility>

namespace hawser {
namespace {

// multipathd may reload a map between our look and our load; it does so once for each uevent.
constexpr int kGrowTries = 10;

Error mismatch(const Path& path, const std::string& why) {
  return Error(Errc::identity_mismatch,
               path.device.name + " (" + to_string(path.device.hctl) + "): " + why)
      .with(Stage::identify)
      .with_path(to_string(path.logged.spec.portal), path.logged.spec.target, path.logged.spec.lun);
}

}  // namespace

Status Unit::admit(const Ctx& ctx, Path path) {
  HAWSER_TRY(identify(ctx, path));
  if (paths_.empty()) HAWSER_TRY(learn(ctx, path));
  if (multipath_ == Multipath::off) {
    HAWSER_TRY(check_claimed(ctx, path));
  } else if (wants_map_) {
    HAWSER_TRY(add_to_map(ctx, path));
  }
  paths_.push_back(std::move(path));
  return ok();
}

// An old device at a reused LUN number shows an old identity: one new scan tells.
Status Unit::identify(const Ctx& ctx, Path& path) {
  const Status first = compare(path);
  if (first) return ok();
  operation_.warn("path.other_unit", first.error().message() + "; scanning it anew",
                  to_string(path.logged.spec.portal));
  Result<Path> again = bring_up_again(ctx, operation_, path);
  if (!again) return std::move(again).error().with(Stage::scan);
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

Status Unit::learn(const Ctx& ctx, const Path& path) {
  if (spec_.access_mode == AccessMode::read_write && path.device.read_only) {
    is_fatal_ = true;
    return Error(Errc::permission_denied,
                 path.device.name + ": the target exports the unit read-only; access_mode is rw")
        .with(Stage::identify);
  }
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
  return operation_.note(step::kIdentity, std::move(fields));
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
  if (!made) HAWSER_TRY(grow_map(ctx, path));
  return operation_.done(step::kMap, number);
}

Status Unit::grow_map(const Ctx& ctx, const Path& path) {
  Host& host = operation_.host();
  for (int i = 0; i < kGrowTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, map_uuid()));
    if (!map) return Error(Errc::busy, "somebody removed it while it was being built");
    if (map->sectors != path.device.sectors && !map->paths.empty()) {
      return mismatch(path, "its size differs from that of the map that is there");
    }
    if (map->has_path(path.device.dev)) return ok();
    // Based on the table that is loaded, so that what multipathd chose stays as it is.
    const MapTable table = map->target_type == "multipath" ? with_path(map->table, path.device.dev)
                                                           : simple_table({path.device.dev});
    HAWSER_TRY(host.reload_map(ctx, *map, table));
  }
  return Error(Errc::busy, "somebody keeps taking " + path.device.name + " out of it");
}

Status Unit::settle(const Ctx& ctx) {
  if (!has_map_) return ok();
  for (const Path& path : paths_)
    HAWSER_TRY(add_to_map(ctx, path));
  return ok();
}

}  // namespace hawser
