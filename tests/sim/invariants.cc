#include "sim/invariants.h"

#include <algorithm>

#include "engine/map_paths.h"

namespace hawser {
namespace {

std::string node_of(const Map& map) { return "dm-" + std::to_string(map.minor); }

template <class Entries, class Predicate>
bool any_open(const Entries& entries, Predicate&& is_it) {
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
    return entry.progress != Progress::ended && is_it(entry);
  });
}

bool is_same(const Map& a, const Map& b) {
  return a.minor == b.minor && a.sectors == b.sectors && a.is_read_only == b.is_read_only &&
         a.target_type == b.target_type && a.table == b.table && a.paths == b.paths;
}

bool is_same(const ScsiDevice& a, const ScsiDevice& b) {
  return a.dev == b.dev && a.read_only == b.read_only && a.identity == b.identity;
}

// The logs that say something of this kernel, and those that say something of the disk.
struct Accounts {
  explicit Accounts(const SimWorld& world) : boot_id(world.boot_id) {
    for (const auto& [id, records] : world.logs)
      states.push_back(state_of(world, id));
  }

  template <class Predicate>
  bool any(Predicate&& is_it) const {
    return std::any_of(states.begin(), states.end(), is_it);
  }
  template <class Predicate>
  bool any_now(Predicate&& is_it) const {
    return any([&](const LogState& state) {
      return state.phase != Phase::idle && state.boot_id == boot_id && is_it(state);
    });
  }

  bool has_session(const Session& session) const {
    return any_now([&](const LogState& state) {
      return any_open(state.sessions, [&](const SessionEntry& entry) {
        return runs_through(session, entry.key) && (!entry.sid || *entry.sid == session.sid);
      });
    });
  }
  bool has_device(const ScsiDevice& device) const {
    return any_now([&](const LogState& state) {
      const std::string hctl = to_string(device.hctl);
      return any_open(state.devices,
                      [&](const DeviceEntry& entry) {
                        return entry.sid == device.sid && entry.lun == device.hctl.lun;
                      }) ||
             any_open(state.expelled,
                      [&](const ExpelEntry& entry) {
                        return entry.sid == device.sid && entry.hctl == hctl;
                      }) ||
             same_unit(state.identity, device.identity);
    });
  }
  bool has_map(const SimWorld& world, const Map& map) const {
    return any_now([&](const LogState& state) {
             return map_uuid_of(state.wwid) == map.uuid ||
                    any_open(state.maps,
                             [&](const MapEntry& entry) { return entry.uuid == map.uuid; });
           }) ||
           std::any_of(world.devices.begin(), world.devices.end(), [&](const auto& device) {
             return map.has_path(device.second.dev) && has_device(device.second);
           });
  }
  bool has_wwid(const std::string& wwid) const {
    return any([&](const LogState& state) {
      return any_open(state.wwids, [&](const WwidEntry& entry) { return entry.wwid == wwid; });
    });
  }
  bool has_node_record(const std::string& record) const {
    return any([&](const LogState& state) {
      return any_open(state.nodes, [&](const NodeEntry& entry) {
        return entry.key.target + "," + entry.key.address + "," + entry.key.iface == record;
      });
    });
  }

  std::string boot_id;
  std::vector<LogState> states{};
};

bool is_joining(const LogState& state, std::uint32_t sid) {
  return std::any_of(state.joins.begin(), state.joins.end(), [&](const JoinEntry& join) {
    return join.progress == Progress::intended &&
           std::any_of(state.sessions.begin(), state.sessions.end(), [&](const SessionEntry& one) {
             return one.sid == sid && one.key == join.key;
           });
  });
}

}  // namespace

void Invariants::begin(const std::map<std::string, Licence>& licences) {
  licences_ = licences;
  const SimWorld& world = scene_.world;
  kept_.clear();
  for (const SimVolume& volume : scene_.volumes) {
    const auto licence = licences_.find(volume.id);
    if (licence != licences_.end() && licence->second.touches) continue;
    const LogState state = state_of(world, volume.id);
    if (state.phase != Phase::attached || state.boot_id != world.boot_id) continue;
    Kept kept{.volume = volume.id};
    const auto keep = [&](const ScsiDevice& device) {
      kept.devices[device.name] = device.dev;
      if (is_joining(state, device.sid)) {
        kept.joining[device.sid] = device.dev;
      } else {
        kept.sids.insert(device.sid);
      }
    };
    const auto map = world.maps.find(map_uuid_of(state.wwid));
    for (const auto& [name, device] : world.devices) {
      const bool is_right = same_unit(device.identity, state.identity);
      if (state.is_multipath && map != world.maps.end() && map->second.has_path(device.dev) &&
          is_right) {
        keep(device);
        kept.maps[map->first].push_back(device.dev);
      }
      if (!state.is_multipath && state.bare_sid == device.sid && is_right) keep(device);
    }
    kept_.push_back(std::move(kept));
  }
  seen_changes_ = world.changes;
  maps_before_ = world.maps;
  handed_out_ = handed_out();
  open_since_begin_ = world.open_nodes;
  follow_openers();
}

void Invariants::look() {
  follow_openers();
  if (scene_.world.changes != seen_changes_) look_at_all();
}

void Invariants::look_at_all() {
  seen_changes_ = scene_.world.changes;
  check_foreign();
  check_kept();
  check_accounts();
  check_new_paths();
  check_sizes();
  check_data();
  maps_before_ = scene_.world.maps;
  handed_out_ = handed_out();
  follow_openers();
}

// Nobody can tell who has a disk open that is in a map: multipathd has, always.
void Invariants::follow_openers() {
  const SimWorld& world = scene_.world;
  std::erase_if(open_since_begin_, [&](const std::string& node) {
    const auto disk = world.devices.find(node);
    const bool is_in_map = disk != world.devices.end() &&
                           std::any_of(world.maps.begin(), world.maps.end(), [&](const auto& map) {
                             return map.second.has_path(disk->second.dev);
                           });
    return is_in_map || !world.open_nodes.contains(node);
  });
}

void Invariants::check_foreign() const {
  const SimWorld& world = scene_.world;
  const Foreign& foreign = scene_.foreign;
  for (const auto& [sid, session] : foreign.sessions)
    findings_.expect(world.sessions.contains(sid), "a foreign session was logged out");
  for (const auto& [name, device] : foreign.devices) {
    const auto now = world.devices.find(name);
    findings_.expect(now != world.devices.end() && is_same(now->second, device),
                     "a foreign disk was touched");
  }
  for (const auto& [uuid, map] : foreign.maps) {
    const auto now = world.maps.find(uuid);
    findings_.expect(now != world.maps.end() && is_same(now->second, map),
                     "a foreign map was touched");
  }
  for (const std::string& wwid : foreign.wwids)
    findings_.expect(world.wwids.contains(wwid), "a foreign WWID was forgotten");
  for (const std::string& record : foreign.node_records)
    findings_.expect(world.node_records.contains(record), "a foreign node record was removed");
}

// Volumes that nobody works on have all that they had.
void Invariants::check_kept() const {
  const SimWorld& world = scene_.world;
  for (const Kept& kept : kept_) {
    for (const std::uint32_t sid : kept.sids)
      findings_.expect(world.sessions.contains(sid),
                       "neighbour " + kept.volume + " lost a session");
    // A join that died is undone if the path is not in the map any more.
    for (const auto& [sid, dev] : kept.joining)
      findings_.expect(world.sessions.contains(sid) || scene_.is_dropped(dev),
                       "neighbour " + kept.volume + " lost the session of a join");
    for (const auto& [name, dev] : kept.devices)
      findings_.expect(world.devices.contains(name) || scene_.is_dropped(dev),
                       "neighbour " + kept.volume + " lost a disk");
    for (const auto& [uuid, paths] : kept.maps) {
      const auto map = world.maps.find(uuid);
      const bool is_whole = map != world.maps.end() && map->second.target_type == "multipath" &&
                            std::all_of(paths.begin(), paths.end(), [&](const DevT& dev) {
                              return map->second.has_path(dev) || scene_.is_dropped(dev);
                            });
      findings_.expect(is_whole, "neighbour " + kept.volume + " lost a path");
    }
  }
}

// A disk that shows another unit than the volume did is left alone, and so is its session.
bool Invariants::is_excused(const ScsiDevice& device) const {
  const auto session = scene_.world.sessions.find(device.sid);
  if (session == scene_.world.sessions.end()) return true;
  const std::pair<std::string, std::uint32_t> place{session->second.target, device.hctl.lun};
  return std::any_of(scene_.volumes.begin(), scene_.volumes.end(), [&](const SimVolume& volume) {
    return volume.was_replaced && volume.is_at(place);
  });
}

// Whatever is on the host is in a log, from before it is made until it is gone.
void Invariants::check_accounts() {
  const SimWorld& world = scene_.world;
  const Foreign& foreign = scene_.foreign;
  const Accounts accounts(world);
  for (const auto& [sid, session] : world.sessions) {
    if (foreign.sessions.contains(sid) || accounts.has_session(session)) continue;
    // One with a disk that shows another unit is left, also when that is gone later.
    const bool has_excuse = std::any_of(scene_.volumes.begin(), scene_.volumes.end(),
                                        [&target = session.target](const auto& volume) {
                                          return volume.was_replaced && volume.leads_to(target);
                                        });
    if (has_excuse) scene_.abandoned.insert(sid);
    findings_.expect(scene_.abandoned.contains(sid),
                     "no log knows of session " + std::to_string(sid));
  }
  for (const SimLogin& login : world.logins_in_flight)
    findings_.expect(accounts.has_session(login.session), "no log knows of a login in flight");
  for (const auto& [name, device] : world.devices) {
    findings_.expect(
        foreign.devices.contains(name) || accounts.has_device(device) || is_excused(device),
        "no log knows of device " + name);
  }
  for (const auto& [uuid, map] : world.maps) {
    if (map.name.starts_with("mpath")) continue;  // multipathd's, and taken away as it comes.
    findings_.expect(foreign.maps.contains(uuid) || accounts.has_map(world, map),
                     "no log knows of map " + uuid);
  }
  for (const std::string& wwid : world.wwids) {
    findings_.expect(foreign.wwids.contains(wwid) || accounts.has_wwid(wwid),
                     "no log knows of WWID " + wwid);
  }
  for (const std::string& record : world.node_records) {
    findings_.expect(foreign.node_records.contains(record) || accounts.has_node_record(record),
                     "no log knows of node record " + record);
  }
}

// What the log says that the map is of; empty if it does not say.
std::string Invariants::unit_of(const std::string& uuid) const {
  for (const SimVolume& volume : scene_.volumes) {
    const LogState state = state_of(scene_.world, volume.id);
    if (state.phase != Phase::idle && map_uuid_of(state.wwid) == uuid) return state.identity.serial;
  }
  return {};
}

// No map gets a path to a unit that is not the one of the map.
void Invariants::check_new_paths() const {
  const SimWorld& world = scene_.world;
  for (const auto& [uuid, map] : world.maps) {
    const auto before = maps_before_.find(uuid);
    for (const MapPathStatus& path : map.paths) {
      if (before != maps_before_.end() && before->second.has_path(path.dev)) continue;
      if (scene_.taken_by_multipathd.contains({uuid, path.dev})) continue;
      if (map.name.starts_with("mpath")) continue;  // Made with it.
      const auto device = std::find_if(world.devices.begin(), world.devices.end(),
                                       [&](const auto& d) { return d.second.dev == path.dev; });
      if (device == world.devices.end()) continue;
      const std::string unit = world.unit_behind(device->second);
      const std::string right = unit_of(uuid);
      findings_.expect(unit.empty() || right.empty() || right == unit,
                       "map " + uuid + " got a path to unit " + unit);
    }
  }
}

void Invariants::check_sizes() const {
  const SimWorld& world = scene_.world;
  for (const auto& [uuid, map] : world.maps) {
    const auto before = maps_before_.find(uuid);
    if (before == maps_before_.end() || before->second.minor != map.minor) continue;
    const bool shrinks = std::any_of(licences_.begin(), licences_.end(),
                                     [](const auto& licence) { return licence.second.shrinks; });
    findings_.expect(map.sectors >= before->second.sectors || shrinks, "map " + uuid + " shrank");
    for (const auto& [name, device] : world.devices) {
      const bool is_new = map.has_path(device.dev) && !before->second.has_path(device.dev) &&
                          !scene_.taken_by_multipathd.contains({uuid, device.dev});
      findings_.expect(!is_new || device.sectors >= map.sectors,
                       "map " + uuid + " got a path that is too small");
    }
  }
}

std::map<std::string, std::string> Invariants::handed_out() const {
  std::map<std::string, std::string> nodes;
  for (const SimVolume& volume : scene_.volumes) {
    const std::string node = scene_.node_of(volume);
    const LogState state = state_of(scene_.world, volume.id);
    if (node.empty()) continue;
    // One that multipathd makes again while the volume is detached was given to nobody.
    const auto before = handed_out_.find(state.identity.serial);
    const bool is_given =
        state.phase == Phase::attached || (before != handed_out_.end() && before->second == node);
    if (is_given) nodes[state.identity.serial] = node;
  }
  return nodes;
}

bool Invariants::may_be_forced() const {
  return std::any_of(scene_.volumes.begin(), scene_.volumes.end(), [&](const SimVolume& volume) {
    const auto licence = licences_.find(volume.id);
    return (licence != licences_.end() && licence->second.loses_data) ||
           state_of(scene_.world, volume.id).is_forced;
  });
}

// What was handed out stays as long as there is data that its unit has not got, or somebody has it
// open.
void Invariants::check_data() const {
  const SimWorld& world = scene_.world;
  for (const auto& handed_out : handed_out_) {
    const std::string& unit = handed_out.first;
    const std::string& node = handed_out.second;
    const bool is_there =
        world.devices.contains(node) ||
        std::any_of(world.maps.begin(), world.maps.end(), [&](const auto& map) {
          return node_of(map.second) == node && map.second.target_type == "multipath";
        });
    // The kernel deletes a disk also when it is open, while device-mapper refuses to remove a map
    // then. Somebody who opens a disk after it was flushed comes too late.
    const bool is_map = node.starts_with("dm-");
    const bool comes_too_late =
        !is_map && world.open_nodes.contains(node) && !open_since_begin_.contains(node);
    if (is_there || comes_too_late || may_be_forced()) continue;
    findings_.expect(!world.dirty.contains(unit), "what was written to " + unit + " was given up");
    findings_.expect(!world.open_nodes.contains(node), node + " went although it was open");
  }
}

}  // namespace hawser
