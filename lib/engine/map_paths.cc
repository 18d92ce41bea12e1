#include "engine/map_paths.h"

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

Status ensure_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                     const ScsiDevice& device) {
  Host& host = operation.host();
  for (int i = 0; i < kTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    if (!map || map->target_type != "multipath") {
      return Error(Errc::busy, "somebody removed map " + uuid).with(Stage::map);
    }
    if (map->has_path(device.dev)) return ok();
    HAWSER_TRY_ASSIGN(const std::vector<DevT> dead, dead_paths(ctx, host, *map));
    Status loaded =
        host.reload_map(ctx, *map, with_path(without_paths(map->table, dead), device.dev));
    if (!loaded) return std::move(loaded).error().with(Stage::map);
  }
  return Error(Errc::busy, "somebody keeps taking " + device.name + " out of map " + uuid)
      .with(Stage::map);
}

Status ensure_not_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                         const ScsiDevice& device) {
  Host& host = operation.host();
  for (int i = 0; i < kTries; ++i) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    if (!map || !map->has_path(device.dev)) return ok();
    Status loaded = host.reload_map(ctx, *map, without_paths(map->table, {device.dev}));
    if (!loaded) return std::move(loaded).error().with(Stage::map);
  }
  return Error(Errc::busy, "somebody keeps putting " + device.name + " into map " + uuid)
      .with(Stage::map);
}

}  // namespace hawser
