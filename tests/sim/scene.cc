#include "sim/scene.h"

#include <algorithm>
#include <cstdio>

#include "engine/map_paths.h"
#include "model/lun.h"

namespace hawser {
namespace {

constexpr std::uint64_t kSectors = 2048;
constexpr std::uint32_t kForeignLun = 9;

std::string target(unsigned number) { return "iqn.2026-11.org.example:t" + std::to_string(number); }

std::string uuid_of(const std::string& unit) { return map_uuid_of(wwid_of(sim_identity(unit))); }

std::string node(const Map& map) { return "dm-" + std::to_string(map.minor); }

SimVolume draw_volume(Random& random, Scene& scene, unsigned number) {
  const std::uint16_t lun = static_cast<std::uint16_t>(number);
  const std::string unit = "unit-" + std::to_string(number);
  scene.add_unit(unit);
  scene.add_unit("other-" + unit);
  SimVolume volume;
  for (unsigned i = 1; i <= 2; ++i)
    scene.world.targets[target(i)];
  const bool is_behind_both = random.one_in(4);
  const unsigned first = 1 + random.below(2);
  for (std::size_t i = 0; i < scene.portals.size(); ++i) {
    const unsigned behind = is_behind_both && i % 2 == 1 ? 3 - first : first;
    scene.world.targets[target(behind)][lun] = unit;
    volume.spec.paths.push_back(
        {.portal = {.host = scene.portals[i]}, .target = target(behind), .lun = lun});
    const std::pair<std::string, std::uint32_t> place{target(behind), lun};
    if (!volume.is_at(place)) volume.places.push_back(place);
  }
  volume.spec.discovery = false;
  if (random.one_in(6)) volume.spec.access_mode = AccessMode::read_only;
  if (random.one_in(4)) volume.options.multipath = Multipath::off;
  if (random.one_in(8)) volume.options.multipath = Multipath::required;
  if (random.one_in(4)) volume.options.node_record = true;
  if (random.one_in(4)) volume.options.login_tries = 2;
  if (random.one_in(4) && volume.options.multipath != Multipath::off)
    volume.options.min_paths = 1 + random.below(static_cast<unsigned>(scene.portals.size()));
  volume.options.grace = std::chrono::milliseconds(random.below(3) * 1000);
  volume.id = attachment_id(volume.spec);
  return volume;
}

// A session of somebody else to one of our targets, and what he has made of it.
void draw_foreign(Random& random, Scene& scene) {
  SimWorld& world = scene.world;
  Foreign& foreign = scene.foreign;
  scene.add_unit("foreign");
  world.targets[target(1)][kForeignLun] = "foreign";
  const Session session{.sid = world.next_sid,
                        .host_no = world.next_sid,
                        .target = target(1),
                        .address = scene.portals.front(),
                        .port = 3260,
                        .iface = "default",
                        .state = SessionState::logged_in};
  ++world.next_sid;
  world.sessions[session.sid] = session;
  if (random.one_in(2)) {
    world.add_device(session, kForeignLun);
    if (random.one_in(2)) {
      const DevT dev = world.devices.begin()->second.dev;
      world.maps[uuid_of("foreign")] = {.name = "theirs",
                                        .uuid = uuid_of("foreign"),
                                        .minor = world.next_minor++,
                                        .sectors = kSectors,
                                        .target_type = "multipath",
                                        .table = simple_table({dev}),
                                        .paths = {{.dev = dev, .is_active = true}}};
    }
  }
  foreign.sessions = world.sessions;
  foreign.devices = world.devices;
  foreign.maps = world.maps;
}

}  // namespace

void Tale::tell(const SimWorld& world, const std::string& text) const {
  if (!is_told_) return;
  std::printf("%9.3f  %s\n", static_cast<double>(world.uptime_ms) / 1000, text.c_str());
  (void)std::fflush(stdout);  // A run may end with an abort.
}

LogState state_of(const SimWorld& world, const std::string& id) {
  const auto log = world.logs.find(id);
  if (log == world.logs.end()) return {};
  const Result<LogState> state = replay(log->second);
  HAWSER_ASSERT(state);
  return *state;
}

void Scene::add_unit(const std::string& unit) { units.emplace(uuid_of(unit), unit); }

std::string Scene::node_of(const SimVolume& volume) const {
  const LogState state = state_of(world, volume.id);
  const bool is_attached = state.phase == Phase::attached || state.phase == Phase::detaching;
  if (!is_attached || state.boot_id != world.boot_id) return {};
  const auto map = world.maps.find(map_uuid_of(state.wwid));
  if (state.is_multipath) return map == world.maps.end() ? "" : node(map->second);
  for (const auto& [name, device] : world.devices) {
    const std::pair<std::string, std::uint32_t> place{world.sessions.at(device.sid).target,
                                                      device.hctl.lun};
    if (state.bare_sid == device.sid && volume.is_at(place)) return name;
  }
  return {};
}

bool Scene::is_handed_out(const ScsiDevice& device) const {
  return std::any_of(volumes.begin(), volumes.end(),
                     [&](const SimVolume& volume) { return node_of(volume) == device.name; });
}

Scene draw_scene(Random& random) {
  Scene scene;
  const unsigned portals = 1 + random.below(4);
  for (unsigned i = 1; i <= portals; ++i)
    scene.portals.push_back("10.0." + std::to_string(i) + ".2");
  SimWorld& world = scene.world;
  world.runs_multipathd = random.one_in(2);
  world.blacklists = random.one_in(10);
  const unsigned volumes = 1 + random.below(3);
  for (unsigned i = 1; i <= volumes; ++i)
    scene.volumes.push_back(draw_volume(random, scene, i));
  if (random.one_in(2)) draw_foreign(random, scene);
  if (random.one_in(4)) {
    scene.foreign.wwids = {wwid_of(sim_identity("unit-1")), wwid_of(sim_identity("elsewhere"))};
    world.wwids = scene.foreign.wwids;
  }
  if (random.one_in(4)) {
    scene.foreign.node_records = {target(1) + "," + scene.portals.front() + ",default"};
    world.node_records = scene.foreign.node_records;
  }
  for (const std::string& portal : scene.portals) {
    if (random.one_in(8)) world.dead_portals.insert(portal);
    if (random.one_in(8)) world.slow_portals[portal] = 1 + random.below(20'000);
    if (random.one_in(8)) world.slow_scans[portal] = 1 + random.below(20'000);
    if (random.one_in(16)) world.short_pages.insert(portal);
  }
  return scene;
}

Surroundings::Surroundings(Scene& scene, Random& random, const Tale& tale)
    : scene_(scene),
      random_(random),
      tale_(tale),
      portal_count_(static_cast<unsigned>(scene.portals.size())),
      calm_(20U << random.below(6)),
      multipathd_(4U << random.below(5)) {}

void Surroundings::meanwhile() {
  if (scene_.world.runs_multipathd && random_.one_in(multipathd_)) act_as_multipathd();
  if (!random_.one_in(calm_)) return;
  switch (random_.below(6)) {
    case 0: fail_or_mend_portal(); break;
    case 1: slow_down(); break;
    case 2: let_udev_wait(); break;
    case 3: let_time_jump(); break;
    case 4: open_or_close(); break;
    case 5: write(); break;
  }
}

void Surroundings::between() {
  scene_.world.flushed_node.clear();
  for (unsigned i = random_.below(4); i > 0; --i) {
    switch (random_.below(9)) {
      case 0:
      case 1: fail_or_mend_portal(); break;
      case 2: slow_down(); break;
      case 3: open_or_close(); break;
      case 4:
      case 5:
        for (int writes = 0; writes < 3; ++writes)
          write();
        break;
      case 6: change_unit(); break;
      case 7:
        if (random_.one_in(3)) reboot();
        break;
      case 8: scan_for_another(); break;
    }
  }
}

// Somebody else uses a session, whoever made it, for a unit of his own.
void Surroundings::scan_for_another() {
  SimWorld& world = scene_.world;
  for (const auto& [sid, session] : world.sessions) {
    if (session.target != target(1) || !random_.one_in(2)) continue;
    const std::size_t before = world.devices.size();
    world.add_device(session, kForeignLun);
    if (world.devices.size() == before) continue;
    for (const auto& [name, device] : world.devices) {
      if (device.sid == sid && device.hctl.lun == kForeignLun)
        scene_.foreign.devices[name] = device;
    }
    scene_.foreign.sessions[sid] = session;
    tell("somebody scans a unit of his own on session " + std::to_string(sid));
  }
}

// The kernel may see it at once, or not yet; device-mapper does when it is told to use the path.
void Surroundings::fail_or_mend_portal() {
  SimWorld& world = scene_.world;
  const std::string& address = any_portal();
  const bool dies = world.dead_portals.erase(address) == 0;
  if (dies) world.dead_portals.insert(address);
  const bool is_seen = !dies || random_.one_in(2);
  ++world.portal_changes;
  tell("portal " + address + (dies ? is_seen ? " dies, and that is seen" : " dies" : " is back"));
  for (auto& [sid, session] : world.sessions) {
    if (session.address != address || !is_seen) continue;
    session.state = dies ? SessionState::failed : SessionState::logged_in;
    for (auto& [name, device] : world.devices) {
      if (device.sid != sid) continue;
      device.state = dies ? "transport-offline" : "running";
      for (auto& [uuid, map] : world.maps) {
        if (scene_.foreign.maps.contains(uuid)) continue;
        for (MapPathStatus& path : map.paths) {
          if (path.dev == device.dev && dies) path.is_active = false;
        }
      }
    }
  }
}

// It looks at one disk: learns of it, makes a map of it or takes it into the one that is there, and
// brings back a path that has failed.
void Surroundings::act_as_multipathd() {
  SimWorld& world = scene_.world;
  std::erase_if(world.known_paths,
                [&](const std::string& name) { return !world.devices.contains(name); });
  if (world.devices.empty() || world.blacklists) return;
  const auto chosen =
      std::next(world.devices.begin(), random_.below(static_cast<unsigned>(world.devices.size())));
  const ScsiDevice& device = chosen->second;
  if (device.state != "running") return drop_as_multipathd(device);
  const std::string unit = world.unit_behind(device);
  // Of two units that show one WWID it may take the wrong one; that is not ours to prevent.
  const bool is_right =
      !unit.empty() && !unit.starts_with("copy=") && same_unit(device.identity, sim_identity(unit));
  if (scene_.is_foreign(device) || !is_right || world.is_dead(device.sid)) return;
  if (world.uptime_ms < world.udev_back_ms) return;
  const std::string wwid = wwid_of(device.identity);
  const auto map = world.maps.find(map_uuid_of(wwid));
  if (map == world.maps.end() && !world.wwids.contains(wwid)) return;
  // It does not claim a disk again that it knows; attach has made it look.
  if (map == world.maps.end() && scene_.is_handed_out(device)) return;
  if (world.known_paths.insert(device.name).second) {
    tell("multipathd knows " + device.name);
    return;
  }
  if (map == world.maps.end()) {
    tell("multipathd makes a map of " + device.name);
    world.maps[map_uuid_of(wwid)] = {.name = "mpath" + std::to_string(world.next_minor),
                                     .uuid = map_uuid_of(wwid),
                                     .minor = world.next_minor,
                                     .sectors = device.sectors,
                                     .target_type = "multipath",
                                     .table = simple_table({device.dev}),
                                     .paths = {{.dev = device.dev, .is_active = true}}};
    ++world.next_minor;
    ++world.changes;
    return;
  }
  if (map->second.target_type != "multipath" || map->second.is_closing) return;
  if (!map->second.has_path(device.dev)) {
    if (map->second.sectors != device.sectors) return;
    const bool has_other =
        std::any_of(world.devices.begin(), world.devices.end(), [&](auto& other) {
          return map->second.has_path(other.second.dev) && world.unit_behind(other.second) != unit;
        });
    if (has_other) return;
    tell("multipathd takes " + device.name + " into the map");
    map->second.table = with_path(map->second.table, device.dev);
    map->second.paths.push_back({.dev = device.dev, .is_active = true});
    scene_.taken_by_multipathd.insert({map->first, device.dev});
    ++world.changes;
    return;
  }
  for (MapPathStatus& path : map->second.paths) {
    if (path.dev == device.dev) path.is_active = true;
  }
}

// A reload of a map leaves out a path that is offline, if there is another.
void Surroundings::drop_as_multipathd(const ScsiDevice& device) {
  SimWorld& world = scene_.world;
  if (scene_.is_foreign(device) || world.uptime_ms < world.udev_back_ms) return;
  for (auto& [uuid, map] : world.maps) {
    const bool is_other_good = std::any_of(
        map.paths.begin(), map.paths.end(),
        [&](const MapPathStatus& path) { return path.dev != device.dev && path.is_active; });
    if (!map.has_path(device.dev) || !is_other_good) continue;
    tell("multipathd drops " + device.name + " from the map");
    map.table = without_paths(map.table, {device.dev});
    std::erase_if(map.paths, [&](const MapPathStatus& path) { return path.dev == device.dev; });
    scene_.dropped_by_multipathd.insert(device.dev);
    ++world.changes;
  }
}

void Surroundings::slow_down() {
  SimWorld& world = scene_.world;
  const std::string& address = any_portal();
  auto& slow = random_.one_in(2) ? world.slow_portals : world.slow_scans;
  tell(address + " is slow, or no longer, with " +
       (&slow == &world.slow_scans ? "scans" : "logins"));
  if (slow.erase(address) == 0) slow[address] = 1 + random_.below(20'000);
}

void Surroundings::let_udev_wait() {
  scene_.world.udev_back_ms = scene_.world.uptime_ms + random_.below(30'000);
  tell("udev stops for a while");
}

void Surroundings::let_time_jump() {
  const std::chrono::milliseconds jump{1 + random_.below(random_.one_in(3) ? 120'000 : 2'000)};
  jumped_ += jump;
  scene_.world.pass(jump);
  tell("time has jumped by " + std::to_string(jump.count()) + " ms");
}

void Surroundings::open_or_close() {
  SimWorld& world = scene_.world;
  if (!world.open_nodes.empty() && random_.one_in(2)) return close(*world.open_nodes.begin());
  const SimVolume& volume =
      scene_.volumes[random_.below(static_cast<unsigned>(scene_.volumes.size()))];
  const std::string opened = scene_.node_of(volume);
  if (opened.empty()) return;
  for (const auto& [uuid, map] : world.maps) {
    if (node(map) == opened && map.is_closing) return;  // It cannot be opened any more.
  }
  world.open_nodes.insert(opened);
  if (opened == world.flushed_node) world.unseen_nodes.insert(opened);
  tell(opened + " is opened");
}

// The last one to close a device waits until the target has what he has written, which need not be
// more than its volatile cache. (Whoever comes too late to a disk that is deleted next is his own
// loss, and there nobody could tell one from the other. So it is of whoever comes to a map after
// its flush and is gone before anybody looks.)
void Surroundings::close(const std::string& closed) {
  SimWorld& world = scene_.world;
  const std::string name = closed;
  if (world.live_unit(name).empty()) return;  // He has to wait.
  tell(name + " is closed");
  const bool is_map = !world.devices.contains(name);
  const bool is_unseen = world.unseen_nodes.erase(name) > 0;
  if (!is_map || is_unseen || random_.one_in(2)) world.dirty.erase(world.live_unit(name));
  world.open_nodes.erase(name);
  for (auto map = world.maps.begin(); map != world.maps.end(); ++map) {
    if (node(map->second) != name || !map->second.is_closing) continue;
    world.maps.erase(map);
    ++world.changes;
    return;
  }
}

// By whoever has it open; what a device that works takes need not have reached the target.
void Surroundings::write() {
  SimWorld& world = scene_.world;
  for (const std::string& node : world.open_nodes) {
    const std::string unit = world.live_unit(node);
    if (unit.empty() || !random_.one_in(2)) continue;
    world.dirty.insert(unit);
    tell("something is written to " + unit + " by " + node);
  }
}

void Surroundings::change_unit() {
  SimWorld& world = scene_.world;
  SimVolume& volume = scene_.volumes[random_.below(static_cast<unsigned>(scene_.volumes.size()))];
  auto& luns = world.targets[volume.places.front().first];
  const auto unit = luns.find(volume.places.front().second);
  switch (random_.below(4)) {
    case 0:
    case 1:
      if (unit == luns.end()) return;
      world.unit_sectors[unit->second] = kSectors * (1 + random_.below(4));
      tell(unit->second + " has " + std::to_string(world.unit_sectors[unit->second]) + " sectors");
      break;
    case 2: replace_unit(volume); break;
    case 3:
      if (unit == luns.end() || scene_.node_of(volume).empty()) return;
      world.lost.insert(unit->second);
      tell("a write to " + unit->second + " was lost");
      break;
  }
}

// At one place that leads to the volume there is another unit, none, or the right one again.
void Surroundings::replace_unit(SimVolume& volume) {
  SimWorld& world = scene_.world;
  const auto place = volume.places[random_.below(static_cast<unsigned>(volume.places.size()))];
  auto& luns = world.targets[place.first];
  const std::string right = "unit-" + std::to_string(volume.places.front().second);
  if (!luns.contains(place.second) || luns[place.second] != right) {
    luns[place.second] = right;
  } else if (random_.one_in(3)) {
    luns.erase(place.second);
  } else {
    const bool is_copy = world.short_pages.empty() && random_.one_in(3);
    luns[place.second] = (is_copy ? "copy=" : "other-") + right;
  }
  volume.was_replaced = true;
  tell("LUN " + std::to_string(place.second) + " of " + place.first + " is " +
       (luns.contains(place.second) ? luns[place.second] : "gone") + " now");
}

void Surroundings::reboot() {
  SimWorld& world = scene_.world;
  tell("the host is started again");
  world.reboot();
  world.open_nodes.clear();
  world.dirty.clear();
  world.lost.clear();
  world.udev_back_ms = 0;
  scene_.abandoned.clear();
  scene_.foreign.sessions.clear();
  scene_.foreign.devices.clear();
  scene_.foreign.maps.clear();
}

void Surroundings::heal(Scene& scene) {
  SimWorld& world = scene.world;
  world.dead_portals.clear();
  world.slow_portals.clear();
  world.slow_scans.clear();
  world.short_pages.clear();
  world.udev_back_ms = 0;
  for (SimScan& scan : world.scans_in_flight)
    scan.ends_ms = std::min(scan.ends_ms, world.uptime_ms);
  ++world.portal_changes;
  for (auto& [sid, session] : world.sessions)
    session.state = SessionState::logged_in;
  for (auto& [name, device] : world.devices)
    device.state = "running";
  world.open_nodes.clear();
  std::erase_if(world.maps, [](const auto& map) { return map.second.is_closing; });
}

}  // namespace hawser
