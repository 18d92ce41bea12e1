#include "sim/sim_host.h"

#include <algorithm>
#include <utility>

#include "sim/sim_crew.h"

namespace hawser {
namespace {

// Longer than any operation of the walk may take, and shorter than undoing may.
constexpr auto kLongTime = std::chrono::seconds(60);

// After which a login that nobody waits for any more comes true.
constexpr std::int64_t kLateMs = 100;

std::string record_name(const LoginRequest& request) {
  return request.target + "," + request.address + "," + request.iface;
}

std::vector<MapPathStatus> all_active(const MapTable& table) {
  std::vector<MapPathStatus> paths;
  for (const MapTableGroup& group : table.groups) {
    for (const MapTablePath& path : group.paths)
      paths.push_back({.dev = path.dev, .is_active = true});
  }
  return paths;
}

}  // namespace

std::unique_ptr<Crew> SimHost::crew() {
  if (turns_ != nullptr) return std::make_unique<TurnCrew>(*turns_, faults_);
  return std::make_unique<SimCrew>();
}

// Every call takes a little time, so that a loop that waits for ever meets its deadline.
Status SimHost::enter(const Ctx& ctx) {
  world_.pass(std::chrono::milliseconds(1));
  switch (faults_.interrupt()) {
    case Faults::Interruption::none: break;
    case Faults::Interruption::cancel: stop_.request_stop(); break;
    case Faults::Interruption::deadline: world_.pass(kLongTime); break;
  }
  if (turns_ != nullptr) turns_->yield();
  faults_.check_alive();
  return ctx.check();
}

// Between what was done and the log that says so, others are at work, too.
template <class Effect>
Status SimHost::change(Effect&& effect) {
  Status done = faults_.change([&]() -> Status {
    Status effected = effect();
    ++world_.changes;
    if (turns_ != nullptr) turns_->step();
    return effected;
  });
  if (turns_ != nullptr) turns_->yield();
  faults_.check_alive();
  return done;
}

void SimHost::wait(const Ctx& ctx, const std::function<bool()>& is_over) {
  if (turns_ == nullptr) {
    while (!is_over() && ctx.left() > ctx.left().zero()) {
      const std::chrono::milliseconds next{world_.next_event_ms() - world_.uptime_ms};
      world_.pass(std::min(next, std::chrono::ceil<std::chrono::milliseconds>(ctx.left())));
    }
    return;
  }
  turns_->yield();
  turns_->wait(ctx.deadline,
               [&] { return is_over() || ctx.stop.stop_requested() || faults_.is_dead(); });
  faults_.check_alive();
}

// What hangs until the caller gives up.
void SimHost::wait_for_ever(const Ctx& ctx) {
  wait(ctx, [] { return false; });
}

void SimHost::sleep(const Ctx& ctx, std::chrono::milliseconds time) {
  if (turns_ == nullptr) return world_.pass(time);
  const TimePoint until = ctx.clock.now() + time;
  wait(ctx.within(time), [&] { return ctx.clock.now() >= until; });
}

Status SimHost::pause(const Ctx& ctx, std::chrono::milliseconds time) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  sleep(ctx, time);
  bring_back();
  return ctx.check();
}

// What others had under way while we removed things.
void SimHost::bring_back() {
  if (world_.map_comebacks > 0 && world_.removed_map) {
    --world_.map_comebacks;
    world_.maps.emplace(world_.removed_map->uuid, *world_.removed_map);
    world_.removed_map.reset();
  }
  if (world_.device_comebacks > 0 && !world_.sessions.empty()) {
    const Session& session = world_.sessions.begin()->second;
    if (world_.devices.contains("sd-" + std::to_string(session.sid) + "-1")) return;
    --world_.device_comebacks;
    world_.add_device(session, 1);
  }
}

Status SimHost::check_ready(const Ctx& ctx, Multipath) {
  HAWSER_TRY(enter(ctx));
  return faults_.look();
}

Result<std::vector<std::string>> SimHost::resolve(const Ctx& ctx, const std::string& name) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return std::vector<std::string>{name};
}

Status SimHost::check_iface(const Ctx& ctx, const std::string&) {
  HAWSER_TRY(enter(ctx));
  return faults_.look();
}

Result<std::vector<Session>> SimHost::sessions(const Ctx& ctx) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  std::vector<Session> sessions;
  for (const auto& [sid, session] : world_.sessions)
    sessions.push_back(session);
  return sessions;
}

Result<std::vector<Session>> SimHost::sessions_to(const Ctx& ctx, const std::string& target) {
  HAWSER_TRY_ASSIGN(std::vector<Session> sessions, this->sessions(ctx));
  std::erase_if(sessions, [&](const Session& session) { return session.target != target; });
  return sessions;
}

Result<std::optional<Session>> SimHost::session(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  const auto session = world_.sessions.find(sid);
  if (session == world_.sessions.end()) return std::optional<Session>{};
  return {session->second};
}

// iscsid makes no second session, and no second try to make one.
bool SimHost::is_taken(const LoginRequest& request) const {
  const auto is_it = [&](const Session& session) {
    return session.target == request.target && session.address == request.address &&
           session.iface == request.iface;
  };
  return std::any_of(world_.sessions.begin(), world_.sessions.end(),
                     [&](const auto& s) { return is_it(s.second); }) ||
         std::any_of(world_.logins_in_flight.begin(), world_.logins_in_flight.end(),
                     [&](const SimLogin& login) { return is_it(login.session); });
}

// A login that is said to have failed without being undone is still in flight: it lands a little
// later, when the process that sent it may be long gone.
Result<Session> SimHost::login(const Ctx& ctx, const LoginRequest& request) {
  const std::int64_t sent_ms = world_.uptime_ms;
  HAWSER_TRY(enter(ctx));
  if (is_taken(request)) return Error(Errc::already_exists, "session exists").with_iscsi_status(15);
  const Error timed_out = Error(Errc::unavailable, "connection timed out").with_iscsi_status(8);
  if (world_.dead_portals.contains(request.address)) {
    HAWSER_TRY(faults_.look());
    return timed_out;
  }
  const Session made{.sid = world_.next_sid,
                     .host_no = world_.next_sid,
                     .target = request.target,
                     .address = request.address,
                     .port = request.port,
                     .iface = request.iface,
                     .state = SessionState::logged_in};
  const auto slow = world_.slow_portals.find(request.address);
  const std::int64_t takes_ms = slow == world_.slow_portals.end() ? 0 : slow->second;
  const std::int64_t at_most_ms = std::chrono::milliseconds(request.login_timeout).count();
  HAWSER_TRY(change([&]() -> Status {
    ++world_.next_sid;
    world_.logins_in_flight.push_back(
        {.session = made,
         .ends_ms = sent_ms + (takes_ms == 0 ? kLateMs : std::min(takes_ms, at_most_ms)),
         .comes_true = takes_ms <= at_most_ms});
    return ok();
  }));
  if (takes_ms == 0) {
    for (SimLogin& login : world_.logins_in_flight) {
      if (login.session.sid == made.sid) login.ends_ms = 0;
    }
    world_.end_logins();
  } else {
    wait(ctx, [&] { return !is_in_flight(made.sid); });
    if (is_in_flight(made.sid)) {
      const Status in_time = ctx.check();
      return Error(in_time ? timed_out : in_time.error()).with(Outcome::unknown);
    }
  }
  if (!world_.sessions.contains(made.sid)) return timed_out;
  return made;
}

bool SimHost::is_in_flight(std::uint32_t sid) const {
  return std::any_of(world_.logins_in_flight.begin(), world_.logins_in_flight.end(),
                     [&](const SimLogin& login) { return login.session.sid == sid; });
}

Result<bool> SimHost::login_in_flight(const Ctx& ctx) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return !world_.logins_in_flight.empty();
}

Status SimHost::logout(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.sessions.erase(sid);
    std::erase_if(world_.scans_in_flight,
                  [sid](const SimScan& scan) { return scan.session.sid == sid; });
    std::erase_if(world_.devices, [sid](const auto& d) { return d.second.sid == sid; });
    return ok();
  });
}

Status SimHost::set_recovery_timeout(const Ctx& ctx, std::uint32_t, std::chrono::seconds) {
  HAWSER_TRY(enter(ctx));
  return faults_.look();
}

Result<SessionReport::Counters> SimHost::counters(const Ctx& ctx, std::uint32_t) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return SessionReport::Counters{};
}

Result<std::vector<DiscoveredTarget>> SimHost::discover(const Ctx& ctx, const Portal& portal,
                                                        const std::optional<Chap>&) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (world_.dead_portals.contains(portal.host)) return Error(Errc::unavailable, "no answer");
  std::vector<DiscoveredTarget> targets;
  for (const auto& [name, addresses] : world_.advertised) {
    DiscoveredTarget target{.target = name};
    for (const std::string& address : addresses)
      target.portals.push_back({.host = address, .group = 1});
    targets.push_back(std::move(target));
  }
  return targets;
}

Result<bool> SimHost::has_node_record(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return world_.node_records.contains(record_name(request));
}

Status SimHost::add_node_record(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.node_records.insert(record_name(request));
    return ok();
  });
}

Status SimHost::remove_node_record(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.node_records.erase(record_name(request));
    return ok();
  });
}

// The kernel scans a host for one caller at a time, and goes on when he is gone.
Status SimHost::scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(enter(ctx));
  const auto slow = world_.slow_scans.find(session.address);
  std::int64_t ends_ms = world_.uptime_ms;
  for (const SimScan& scan : world_.scans_in_flight) {
    if (scan.session.sid == session.sid) ends_ms = std::max(ends_ms, scan.ends_ms);
  }
  if (slow != world_.slow_scans.end()) ends_ms += slow->second;
  HAWSER_TRY(change([&]() -> Status {
    if (!world_.sessions.contains(session.sid)) return Error(Errc::not_found, "no such session");
    world_.scans_in_flight.push_back({.session = session, .lun = lun, .ends_ms = ends_ms});
    world_.end_scans();
    return ok();
  }));
  const auto is_over = [&] { return world_.uptime_ms >= ends_ms; };
  wait(ctx, is_over);
  if (is_over()) return ok();
  return Error(ctx.check().error()).with(Outcome::unknown);
}

Result<std::vector<ScsiDevice>> SimHost::devices(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  std::vector<ScsiDevice> devices;
  for (const auto& [name, device] : world_.devices) {
    if (device.sid == sid) devices.push_back(device);
  }
  return devices;
}

Result<ScsiDevice> SimHost::wait_for_device(const Ctx& ctx, const Session& session,
                                            std::uint32_t lun) {
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> found, devices(ctx, session.sid));
  for (const ScsiDevice& device : found) {
    if (device.hctl.lun == lun) return device;
  }
  return Error(Errc::not_found, "no such LUN");
}

// A device whose LUN is gone keeps the identity that it had: the kernel says nothing of it.
Status SimHost::rescan(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto known = world_.devices.find(device.name);
    if (known == world_.devices.end()) return Error(Errc::not_found, device.name + " is gone");
    if (world_.is_dead(device.sid)) return Error(Errc::io, device.name + " does not answer");
    const std::string unit = world_.unit_behind(device);
    if (unit.empty()) return ok();
    known->second.identity = sim_identity(unit);
    known->second.sectors = world_.sectors_of(unit);
    return ok();
  });
}

Result<std::optional<ScsiDevice>> SimHost::find_device(const Ctx& ctx, const DevT& dev) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  for (const auto& [name, device] : world_.devices) {
    if (device.dev == dev) return {device};
  }
  return std::optional<ScsiDevice>{};
}

Status SimHost::set_read_only(const Ctx& ctx, const std::string& name, bool is_read_only) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto device = world_.devices.find(name);
    if (device != world_.devices.end()) {
      device->second.read_only = is_read_only;
      return ok();
    }
    for (auto& [uuid, map] : world_.maps) {
      if (name != "dm-" + std::to_string(map.minor)) continue;
      map.is_read_only = is_read_only;
      return ok();
    }
    return Error(Errc::not_found, "no block device " + name);
  });
}

Result<std::vector<std::string>> SimHost::claims(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  std::vector<std::string> claims;
  for (const auto& [uuid, map] : world_.maps) {
    if (map.has_path(device.dev)) claims.push_back("used by map " + uuid);
  }
  return claims;
}

Status SimHost::remove_device(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.devices.erase(device.name);
    return ok();
  });
}

Status SimHost::probe(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (!world_.sessions.contains(device.sid) || world_.is_dead(device.sid)) {
    return Error(Errc::unavailable, device.name + " is blocked");
  }
  if (world_.unit_behind(device).empty()) return Error(Errc::io, "nothing answers");
  proven_ = world_.portal_changes;
  return ok();
}

Result<std::string> SimHost::wwid(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return wwid_of(device.identity);
}

Result<std::optional<Map>> SimHost::find_map(const Ctx& ctx, const std::string& uuid) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  const auto map = world_.maps.find(uuid);
  return map == world_.maps.end() ? std::optional<Map>{} : std::optional<Map>(map->second);
}

Result<std::vector<Map>> SimHost::partition_maps(const Ctx& ctx, const std::string&) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return std::vector<Map>{};
}

Status SimHost::create_map(const Ctx& ctx, const Map& map) {
  HAWSER_TRY(enter(ctx));
  if (world_.maps.contains(map.uuid)) return Error(Errc::already_exists, "map exists");
  return change([&]() -> Status {
    Map made = map;
    made.minor = world_.next_minor++;
    made.paths = all_active(map.table);
    world_.maps[map.uuid] = made;
    return ok();
  });
}

Status SimHost::reload_map(const Ctx& ctx, const Map& map, const MapTable& table) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto loaded = world_.maps.find(map.uuid);
    if (loaded == world_.maps.end()) return Error(Errc::not_found, "no map " + map.uuid);
    loaded->second.target_type = "multipath";
    loaded->second.table = table;
    loaded->second.paths = all_active(table);
    return ok();
  });
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

namespace {

std::string node_of(const Map& map) { return "dm-" + std::to_string(map.minor); }

// A wait that ends with "busy" at its deadline, and is cut short by a stop request.
Status check_stop(const Ctx& ctx) {
  if (ctx.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
  return ok();
}

}  // namespace

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
    return map == world_.maps.end() || !is_open(node_of(map->second));
  };
  wait(ctx, is_closed);
  if (!is_closed()) {
    HAWSER_TRY(check_stop(ctx));
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
  const auto is_unused = [&] { return !is_open(device) && !world_.held_nodes.contains(device); };
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

// On a map without a path the real one hangs for good, so a path has to be proven before; it may
// die just then. On a disk it fails.
Status SimHost::flush(const Ctx& ctx, const std::string& device) {
  HAWSER_TRY(enter(ctx));
  const std::string unit = world_.live_unit(device);
  const bool is_disk = world_.devices.contains(device);
  if (unit.empty() && is_disk) return Error(Errc::io, device + " is offline");
  HAWSER_ASSERT(!unit.empty() || (proven_ && *proven_ != world_.portal_changes));
  if (world_.flush_hangs || unit.empty()) {
    wait_for_ever(ctx);
    return Error(Errc::deadline_exceeded, "flush").with(Outcome::unknown);
  }
  return change([&]() -> Status {
    world_.dirty.erase(unit);
    world_.flushed_ms[unit] = world_.uptime_ms;
    if (world_.lost.erase(unit) == 0) return ok();
    return Error(Errc::data_at_risk, "writes were lost");  // The kernel says so once.
  });
}

}  // namespace hawser
