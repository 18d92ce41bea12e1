#include "engine/map_paths.h"

#include <utility>

namespace hawser {
namespace {

// multipathd may reload a map between our look and our load; it does so once for each uevent.
constexpr int kTries = 10;

// Paths whose disk was deleted under the map: the map keeps them until somebody takes them out.
Result<std::vector<DevT>> dead_paths(const Ctx& ctx, Host& host, const Map& map) {
  std::vector<DevT> dead;
  for (const MapPathStatus& path : map.paths) {
    HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> disk, host.find_device(ctx, path.dev));
    if (!disk) dead.push_back(path.dev);
  }
  return dead;
}

}  // namespace

Status reload_map(const Ctx& ctx, Host& host, const Map& map, const MapTable& table) {
  Status loaded = host.reload_map(ctx, map, table);
  if (loaded || loaded.error().outcome() == Outcome::unknown) return loaded;
  const Result<std::optional<Map>> now = host.find_map(ctx, map.uuid);
  const auto is_as_before = [&](const Map& seen) {
    return seen.target_type == map.target_type && seen.table == map.table;
  };
  if (now && !(*now && is_as_before(**now))) return ok();
  return std::move(loaded).error().with(Stage::map);
}

Result<std::optional<ScsiDevice>> find_again(const Ctx& ctx, Host& host, const ScsiDevice& device) {
  HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> now, host.find_device(ctx, device.dev));
  const bool is_it = now && now->sid == device.sid && now->hctl == device.hctl &&
                     same_unit(now->identity, device.identity);
  if (!is_it) now.reset();
  return now;
}

Status ensure_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                     const ScsiDevice& device) {
  Host& host = operation.host();
  for (int i = 0; i < kTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    if (!map || map->target_type != "multipath") {
      return Error(Errc::busy, "somebody removed map " + uuid).with(Stage::map);
    }
    if (map->has_path(device.dev)) return ok();
    HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, find_again(ctx, host, device));
    if (!now) return Error(Errc::unavailable, device.name + " is gone").with(Stage::scan);
    HAWSER_TRY_ASSIGN(const std::vector<DevT> dead, dead_paths(ctx, host, *map));
    HAWSER_TRY(reload_map(ctx, host, *map, with_path(without_paths(map->table, dead), device.dev)));
  }
  return Error(Errc::busy, "somebody keeps taking " + device.name + " out of map " + uuid)
      .with(Stage::map);
}

Status ensure_not_in_map(const Ctx& ctx, Host& host, const std::string& uuid,
                         const std::vector<ScsiDevice>& devices) {
  for (int i = 0; i < kTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    if (!map) return ok();
    std::vector<DevT> leaving;
    for (const ScsiDevice& device : devices) {
      if (map->has_path(device.dev)) leaving.push_back(device.dev);
    }
    if (leaving.empty()) return ok();
    HAWSER_TRY(reload_map(ctx, host, *map, without_paths(map->table, leaving)));
  }
  return Error(Errc::busy, "somebody keeps bringing paths back into map " + uuid).with(Stage::map);
}

}  // namespace hawser
