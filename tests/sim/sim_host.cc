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

Status SimHost::check_ready(const Ctx& ctx, Multipath multipath) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  if (!world_.has_no_multipath || multipath == Multipath::off) return ok();
  return Error(Errc::unsupported, "no dm-multipath");
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
  for (const auto& [sid, session] : world_.sessions) {
    if (!world_.orphans.contains(sid)) sessions.push_back(session);
  }
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
  if (world_.orphans.contains(sid)) return Error(Errc::unavailable, "no connection yet");
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

Result<bool> SimHost::login_in_flight(const Ctx& ctx, const std::string& /*target*/) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return !world_.logins_in_flight.empty();
}

Status SimHost::logout(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(enter(ctx));
  for (const auto& [name, device] : world_.devices) {
    if (device.sid != sid || !world_.undeletable.contains(name)) continue;
    wait_for_ever(ctx);
    return Error(Errc::deadline_exceeded, "logging out").with(Outcome::unknown);
  }
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

Status SimHost::scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(enter(ctx));
  if (!is_logged_in(session.sid)) return Error(Errc::unavailable, "the session is lost");
  return wait_for_scan(ctx, session, lun);
}

Status SimHost::finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(enter(ctx));
  return wait_for_scan(ctx, session, lun);
}

bool SimHost::is_logged_in(std::uint32_t sid) const {
  const auto session = world_.sessions.find(sid);
  return session != world_.sessions.end() && session->second.state == SessionState::logged_in;
}

// The kernel scans a host for one caller at a time, and goes on when he is gone.
Status SimHost::wait_for_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  const auto slow = world_.slow_scans.find(session.address);
  std::int64_t ends_ms = world_.uptime_ms;
  for (const SimScan& scan : world_.scans_in_flight) {
    if (scan.session.sid == session.sid) ends_ms = std::max(ends_ms, scan.ends_ms);
  }
  const bool looks = is_logged_in(session.sid);
  if (looks && slow != world_.slow_scans.end()) ends_ms += slow->second;
  const unsigned number = world_.next_scan++;
  HAWSER_TRY(change([&]() -> Status {
    if (!world_.sessions.contains(session.sid)) return Error(Errc::not_found, "no such session");
    world_.scans_in_flight.push_back(
        {.session = session, .lun = lun, .ends_ms = ends_ms, .number = number, .looks = looks});
    world_.end_scans();
    return ok();
  }));
  const auto is_over = [&] {
    return std::none_of(world_.scans_in_flight.begin(), world_.scans_in_flight.end(),
                        [number](const SimScan& scan) { return scan.number == number; });
  };
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

Result<std::vector<Hctl>> SimHost::units(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> disks, devices(ctx, sid));
  std::vector<Hctl> units;
  for (const ScsiDevice& disk : disks)
    units.push_back(disk.hctl);
  for (const auto& [unit, kind] : world_.odd_units) {
    if (unit.host == sid && kind == UnitKind::other) units.push_back(unit);
  }
  return units;
}

Result<ScsiDevice> SimHost::wait_for_device(const Ctx& ctx, const Session& session,
                                            std::uint32_t lun) {
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> found, devices(ctx, session.sid));
  for (const ScsiDevice& device : found) {
    if (device.hctl.lun != lun) continue;
    if (device.sectors > 0) return device;
    wait(ctx, [] { return false; });
    return Error(Errc::deadline_exceeded, "no size");
  }
  if (world_.kind_of(session.unit(lun)) == UnitKind::other) {
    return Error(Errc::unsupported, "it is a tape");
  }
  return Error(Errc::not_found, "no such LUN");
}

Result<UnitKind> SimHost::unit_kind(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return world_.kind_of(session.unit(lun));
}

Status SimHost::remove_unless_disk(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    world_.odd_units.erase(session.unit(lun));
    return ok();
  });
}

// A device whose LUN is gone keeps what it had.
Status SimHost::rescan(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  return change([&]() -> Status {
    const auto known = world_.devices.find(device.name);
    if (known == world_.devices.end()) return Error(Errc::not_found, device.name + " is gone");
    if (world_.is_dead(device.sid)) return Error(Errc::io, device.name + " does not answer");
    const std::string unit = world_.unit_behind(device);
    if (unit.empty()) return Error(Errc::io, device.name + " does not answer");
    known->second.identity = sim_identity(unit);
    known->second.sectors = world_.sectors_of(unit);
    proven_[device.name] = world_.portal_changes;
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
  if (world_.undeletable.contains(device.name)) {
    wait_for_ever(ctx);
    return Error(Errc::deadline_exceeded, "deleting " + device.name).with(Outcome::unknown);
  }
  return change([&]() -> Status {
    world_.devices.erase(device.name);
    return ok();
  });
}

Status SimHost::probe(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  const auto known = world_.devices.find(device.name);
  if (known == world_.devices.end()) return Error(Errc::not_found, device.name + " is gone");
  if (!world_.sessions.contains(device.sid) || world_.is_dead(device.sid)) {
    return Error(Errc::unavailable, device.name + " is blocked");
  }
  if (world_.unit_behind(device).empty()) return Error(Errc::io, "nothing answers");
  if (known->second.sectors == 0) return Error(Errc::io, "it has no data");
  proven_[device.name] = world_.portal_changes;
  return ok();
}

Result<std::string> SimHost::wwid(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(faults_.look());
  return wwid_of(device.identity);
}

}  // namespace hawser
