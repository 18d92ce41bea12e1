// The part of the simulated host that is about maps, those who look after them, and those who use
// them.
#include <algorithm>
#include <utility>

#include "sim/sim_host.h"

namespace hawser {
namespace {

std::vector<MapPathStatus> all_active(const MapTable& table) {
  std::vector<MapPathStatus> paths;
  for (const MapTableGroup& group : table.groups) {
    for (const MapTablePath& path : group.paths)
      paths.push_back({.dev = path.dev, .is_active = true});
  }
  return paths;
}

std::string node_of(const Map& map) { return "dm-" + std::to_string(map.minor); }

// The unit among `units` that a map of this uuid is of; empty if there is none.
std::string unit_of_map(const std::set<std::string>& units, const std::string& uuid) {
  const auto unit = std::find_if(units.begin(), units.end(), [&](const std::string& one) {
    return map_uuid_of(wwid_of(sim_identity(one))) == uuid;
  });
  return unit == units.end() ? std::string() : *unit;
}

// A wait that ends with "busy" at its deadline, and is cut short by a stop request.
Status check_stop(const Ctx& ctx) {
  if (ctx.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  return ok();
}

}  // namespace

// device-mapper opens what it has not open yet.
Status SimHost::open_paths(const std::vector<MapPathStatus>& paths, const Map* loaded) const {
  for (const MapPathStatus& path : paths) {
    if (loaded != nullptr && loaded->has_path(path.dev)) continue;
    const auto is_online = [&](const auto& entry) {
      return entry.second.dev == path.dev && entry.second.state == "running";
    };
    if (std::none_of(world_.devices.begin(), world_.devices.end(), is_online))
      return Error(Errc::not_found, to_string(path.dev) + ": no such device or address");
  }
  return ok();
}

// Comes back, as the real one does, but the kernel goes on, and loads nothing else for the map.
Status SimHost::check_loads(const Ctx& ctx, const std::string& uuid, const MapTable& table) {
  for (const MapPathStatus& path : all_active(table)) {
    for (const auto& [name, device] : world_.devices) {
      if (device.dev == path.dev && world_.unopenable.contains(name))
        world_.unopenable.insert(uuid);
    }
  }
  if (!world_.unopenable.contains(uuid)) return ok();
  HAWSER_TRY(pause(ctx, std::chrono::seconds(10)));
  return Error(Errc::deadline_exceeded, "load").with(Outcome::unknown);
}

Result<std::optional<Map>> SimHost::find_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  const auto found = world_.maps.find(uuid);
  if (found == world_.maps.end()) return std::optional<Map>{};
  Map map = found->second;
  map.open_count = static_cast<int>(partitions_of(uuid).size()) + (is_open(node_of(map)) ? 1 : 0);
  return {std::move(map)};
}

bool SimHost::look_if_open(const std::string& node) {
  world_.unseen_nodes.erase(node);
  return is_open(node);
}

std::vector<Map> SimHost::partitions_of(const std::string& uuid) const {
  std::vector<Map> partitions;
  for (const auto& [other, map] : world_.maps) {
    if (other == uuid || !other.ends_with(uuid)) continue;
    partitions.push_back(map);
    partitions.back().open_count = is_open(node_of(map)) ? 1 : 0;
  }
  return partitions;
}

Result<std::vector<Map>> SimHost::partition_maps(const Ctx& ctx, const std::string& wwid) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return partitions_of(map_uuid_of(wwid));
}

Status SimHost::create_map(const Ctx& ctx, const Map& map) {
  HAWSER_TRY(enter(ctx));
  if (world_.maps.contains(map.uuid)) return Error(Errc::already_exists, "map exists");
  return change([&]() -> Status {
    Map made = map;
    made.minor = world_.next_minor++;
    made.paths = all_active(map.table);
    HAWSER_TRY(open_paths(made.paths, nullptr));
    world_.maps[map.uuid] = made;
    return ok();
  });
}

Status SimHost::reload_map(const Ctx& ctx, const Map& map, const MapTable& table) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(check_loads(ctx, map.uuid, table));
  return change([&]() -> Status {
    const auto loaded = world_.maps.find(map.uuid);
    if (loaded == world_.maps.end()) return Error(Errc::not_found, "no map " + map.uuid);
    std::vector<MapPathStatus> paths = all_active(table);
    HAWSER_TRY(open_paths(paths, &loaded->second));
    loaded->second.target_type = "multipath";
    loaded->second.table = table;
    loaded->second.paths = std::move(paths);
    const bool is_stale = world_.reloads_until_stale > 0 && --world_.reloads_until_stale == 0;
    if (is_stale) keep_first_path(loaded->second);
    return ok();
  });
}

// A flush does not wait for a path, but fails what waits for one.
void SimHost::lose_what_is_queued(const Map& map) {
  const bool has_way = std::any_of(map.paths.begin(), map.paths.end(),
                                   [](const MapPathStatus& path) { return path.is_active; });
  if (has_way) return;
  for (const auto& [name, device] : world_.devices) {
    const std::string unit = world_.unit_behind(device);
    if (map.has_path(device.dev) && world_.dirty.erase(unit) > 0) world_.lost.insert(unit);
  }
}

// A crash in the middle leaves the map suspended; the kernel takes no table that a path is too
// small for.
Status SimHost::resize_map(const Ctx& ctx, const Map& map, const MapTable& table,
                           std::uint64_t sectors) {
  HAWSER_TRY(enter(ctx));
  try {
    return change([&]() -> Status {
      const auto loaded = world_.maps.find(map.uuid);
      if (loaded == world_.maps.end()) return Error(Errc::not_found, "no map " + map.uuid);
      for (const MapPathStatus& path : all_active(table)) {
        for (const auto& [name, device] : world_.devices) {
          if (device.dev == path.dev && device.sectors < sectors) {
            return Error(Errc::invalid_argument, name + " is too small");
          }
        }
      }
      lose_what_is_queued(loaded->second);
      loaded->second.target_type = "multipath";
      loaded->second.table = table;
      loaded->second.paths = all_active(table);
      loaded->second.sectors = sectors;
      return ok();
    });
  } catch (const SimCrash&) {
    const auto loaded = world_.maps.find(map.uuid);
    if (loaded != world_.maps.end()) loaded->second.is_suspended = true;
    throw;
  }
}

Status SimHost::resume_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto map = world_.maps.find(uuid);
    if (map != world_.maps.end()) map->second.is_suspended = false;
    return ok();
  });
}

bool SimHost::is_open(const std::string& node) const {
  return world_.open_nodes.contains(node) || world_.stuck_nodes.contains(node) ||
         world_.wanted_nodes.contains(node);
}

void SimHost::erase_map(const std::string& uuid) {
  const auto map = world_.maps.find(uuid);
  if (map == world_.maps.end()) return;
  world_.removed_map = map->second;
  world_.maps.erase(map);
}

Status SimHost::remove_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  const auto is_closed = [&] {
    const auto map = world_.maps.find(uuid);
    return map == world_.maps.end() || !look_if_open(node_of(map->second));
  };
  wait(ctx, is_closed);
  if (!is_closed()) HAWSER_TRY(check_stop(ctx));
  return remove_closed(uuid);
}

Status SimHost::remove_map_if_closed(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  return remove_closed(uuid);
}

Status SimHost::remove_closed(const std::string& uuid) {
  const auto map = world_.maps.find(uuid);
  const bool is_there = map != world_.maps.end();
  if (is_there && (look_if_open(node_of(map->second)) || !partitions_of(uuid).empty())) {
    return Error(Errc::busy, "map is open");
  }
  return change([&]() -> Status {
    erase_map(uuid);
    return ok();
  });
}

Status SimHost::remove_map_when_closed(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto map = world_.maps.find(uuid);
    if (map == world_.maps.end()) return ok();
    map->second.is_closing = is_open(node_of(map->second));
    if (!map->second.is_closing) erase_map(uuid);
    return ok();
  });
}

Status SimHost::wipe_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto map = world_.maps.find(uuid);
    if (map == world_.maps.end()) return ok();
    map->second.target_type = "error";
    map->second.paths.clear();
    world_.stuck_nodes.erase(node_of(map->second));
    return ok();
  });
}

Status SimHost::reinstate_path(const Ctx& ctx, const std::string& uuid, const DevT& dev) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto map = world_.maps.find(uuid);
    if (map == world_.maps.end()) return Error(Errc::not_found, "no map " + uuid);
    for (MapPathStatus& path : map->second.paths) {
      if (path.dev == dev) path.is_active = true;
    }
    return ok();
  });
}

Status SimHost::wait_for_udev(const Ctx& ctx, const std::string&) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  wait(ctx, [&] { return world_.uptime_ms >= world_.udev_back_ms; });
  return ctx.check();
}

Status SimHost::wait_for_udev_gone(const Ctx& ctx, const std::string& uuid) {
  return wait_for_udev(ctx, uuid);
}

Status SimHost::wait_for_udev_to_forget(const Ctx& ctx, const std::vector<ScsiDevice>&) {
  return wait_for_udev(ctx, "");
}

// No number is given twice here.
Status SimHost::wait_for_udev_to_forget_namesake(const Ctx& ctx, const ScsiDevice&, TimePoint) {
  HAWSER_TRY(enter(ctx));
  return faults_.look();
}

Result<PathVerdict> SimHost::offer_path(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (!world_.runs_multipathd) return PathVerdict::not_running;
  if (world_.blacklists) return PathVerdict::blacklisted;
  world_.offered_paths.insert(device.name);
  return world_.known_paths.contains(device.name) ? PathVerdict::accepted : PathVerdict::undecided;
}

Status SimHost::announce_size(const Ctx& ctx, const Map&) {
  HAWSER_TRY(enter(ctx));
  return faults_.look();
}

Result<bool> SimHost::is_known_to_multipathd(const Ctx& ctx,
                                             const std::vector<ScsiDevice>& devices) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return world_.map_comebacks > 0 ||
         std::any_of(devices.begin(), devices.end(), [&](const ScsiDevice& device) {
           return world_.known_paths.contains(device.name);
         });
}

Result<std::vector<std::string>> SimHost::known_wwids(const Ctx& ctx) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return std::vector<std::string>(world_.wwids.begin(), world_.wwids.end());
}

Status SimHost::remember_wwid(const Ctx& ctx, const std::string& wwid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.wwids.insert(wwid);
    return ok();
  });
}

Status SimHost::forget_wwid(const Ctx& ctx, const std::string& wwid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.wwids.erase(wwid);
    return ok();
  });
}

Result<std::vector<std::string>> SimHost::holders(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (world_.held_nodes.contains(device)) return std::vector<std::string>{"mounted on /srv"};
  return stacked_on(ctx, device);
}

Result<std::vector<std::string>> SimHost::stacked_on(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(ctx.check());
  if (world_.stacked_nodes.contains(device))
    return std::vector<std::string>{"used by dm-7 (LVM-x)"};
  return std::vector<std::string>{};
}

Result<std::vector<std::string>> SimHost::openers(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (is_open(device)) return std::vector<std::string>{"qemu (pid 7)"};
  return std::vector<std::string>{};
}

Status SimHost::wait_until_unused(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  const auto is_unused = [&] {
    return !look_if_open(device) && !world_.held_nodes.contains(device);
  };
  if (world_.use_look_ms > 0 && !pause(ctx, std::chrono::milliseconds(world_.use_look_ms))) {
    HAWSER_TRY(check_stop(ctx));
    return Error(Errc::busy, device + " could not be looked at");
  }
  wait(ctx, is_unused);
  if (is_unused()) return ok();
  HAWSER_TRY(check_stop(ctx));
  if (world_.wanted_nodes.erase(device) > 0) {
    Map& map = world_.maps.begin()->second;
    const DevT dev = world_.devices.at(device).dev;
    map.table = with_path(map.table, dev);
    map.paths.push_back({.dev = dev, .is_active = true});
  }
  return Error(Errc::busy, device + " stayed open");
}

Result<bool> SimHost::is_written(const Ctx& ctx, const Map& map, const std::vector<ScsiDevice>&) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return !is_open(node_of(map)) && unit_of_map(world_.dirty, map.uuid).empty();
}

// On a map without a path that has something to be written the real one hangs for good, so a path
// has to be proven before; it may die just then. On a disk it fails.
Status SimHost::flush(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(enter(ctx));
  const std::string unit = world_.live_unit(device);
  const bool is_disk = world_.devices.contains(device);
  if (unit.empty() && is_disk) return Error(Errc::io, device + " is offline");
  const auto map = std::find_if(world_.maps.begin(), world_.maps.end(),
                                [&](const auto& one) { return node_of(one.second) == device; });
  if (unit.empty() && map != world_.maps.end() && unit_of_map(world_.dirty, map->first).empty()) {
    return change([&] { return tell_lost(unit_of_map(world_.lost, map->first)); });
  }
  HAWSER_ASSERT(!unit.empty() || std::any_of(proven_.begin(), proven_.end(), [&](const auto& one) {
    return one.second != world_.portal_changes;
  }));
  if (world_.flush_hangs || unit.empty()) {
    wait_for_ever(ctx);
    return Error(Errc::deadline_exceeded, "flush").with(Outcome::unknown);
  }
  return change([&]() -> Status {
    world_.dirty.erase(unit);
    world_.flushed_node = device;
    if (is_open(device)) world_.unseen_nodes.insert(device);
    world_.flushed_nodes.insert(device);
    ++world_.flushes;
    if (world_.opened_after_flush.erase(device) > 0) {
      world_.open_nodes.insert(device);
      if (world_.closes_ms.contains(device)) world_.dirty.insert(unit);
    }
    return tell_lost(unit);
  });
}

Status SimHost::tell_lost(const std::string& unit) {
  if (world_.lost.erase(unit) == 0) return ok();
  return Error(Errc::data_at_risk, "writes were lost");  // The kernel says so once.
}

}  // namespace hawser
