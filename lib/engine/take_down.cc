#include "engine/take_down.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/listed.h"
#include "engine/access.h"
#include "engine/budget.h"
#include "engine/map_paths.h"
#include "engine/node_records.h"
#include "engine/other_logs.h"
#include "engine/path.h"
#include "engine/rivals.h"
#include "engine/run_all.h"
#include "engine/sessions.h"

namespace hawser {
namespace {

// A process that died a moment ago has left its disks to udev's probes.
constexpr std::chrono::seconds kProbesBudget{30};

// By force, for a session whose disks the kernel does not finish deleting.
constexpr std::chrono::seconds kLogoutBudget{60};

void add_unique(std::vector<std::string>& list, std::string value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(std::move(value));
}

bool is_expelled(const LogState& state, const ScsiDevice& device) {
  return std::any_of(state.expelled.begin(), state.expelled.end(), [&](const ExpelEntry& entry) {
    return entry.progress == Progress::intended && entry.sid == device.sid &&
           entry.name == device.name && entry.hctl == to_string(device.hctl);
  });
}

enum class Share { ours, mixed, others };

// Whose disks are in a map. One without any is whoever's asks.
Result<Share> share_of(const Ctx& ctx, Host& host, const Map& map,
                       const std::vector<ScsiDevice>& ours, std::string& stranger) {
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> strangers, strangers_in(ctx, host, map, ours));
  if (strangers.empty()) return Share::ours;
  stranger = strangers.front().name;
  const bool has_ours = std::any_of(
      ours.begin(), ours.end(), [&](const ScsiDevice& device) { return map.has_path(device.dev); });
  return has_ours ? Share::mixed : Share::others;
}

// Those of the log with disks, whether or not the session itself can be read: not while an iscsid
// that was started again has not made its connection anew.
Status add_logged(const Ctx& ctx, Host& host, const LogState& state, std::vector<Session>& all) {
  for (const SessionEntry& entry : state.sessions) {
    const bool is_known =
        !entry.sid || entry.progress == Progress::ended ||
        std::any_of(all.begin(), all.end(), [&](const Session& s) { return s.sid == *entry.sid; });
    if (is_known) continue;
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, *entry.sid));
    if (devices.empty()) continue;
    // One that can be read now may have the number by chance.
    HAWSER_TRY_ASSIGN(const std::vector<Session> read, host.sessions(ctx));
    const auto now = std::find_if(read.begin(), read.end(),
                                  [&](const Session& s) { return s.sid == *entry.sid; });
    if (now != read.end() && !runs_through(*now, entry.key)) continue;
    all.push_back({.sid = *entry.sid,
                   .target = entry.key.target,
                   .address = entry.key.address,
                   .port = entry.key.port,
                   .iface = entry.key.iface});
  }
  return ok();
}

// To the targets of this attachment, whoever made them.
Result<std::vector<Session>> sessions_of(const Ctx& ctx, Host& host, const LogState& state) {
  std::set<std::string> targets;
  for (const LoggedPath& path : state.paths)
    targets.insert(path.spec.target);
  std::vector<Session> all;
  for (const std::string& target : targets) {
    HAWSER_TRY_ASSIGN(const std::vector<Session> sessions, host.sessions_to(ctx, target));
    all.insert(all.end(), sessions.begin(), sessions.end());
  }
  HAWSER_TRY(add_logged(ctx, host, state, all));
  return all;
}

bool is_brought_as_it_is(const LogState& state, const ScsiDevice& device) {
  return std::any_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& entry) {
    return entry.is_of(device) && !entry.existed && !entry.identity.empty() &&
           same_unit(entry.identity, device.identity);
  });
}

// A disk that a scan of ours brought, that was refused or that nobody has looked at, and that could
// not be deleted at once.
Result<bool> is_stray(const Ctx& ctx, Operation& operation, const LogState& state,
                      const ScsiDevice& device) {
  if (!state.has_brought(device)) return false;
  HAWSER_TRY_ASSIGN(const LogState now, operation.state());  // A scan may have ended since.
  if (!is_brought_as_it_is(now, device)) return false;
  HAWSER_TRY_ASSIGN(const std::optional<std::string> user, user_of(ctx, operation, device));
  if (user) return false;
  HAWSER_TRY_ASSIGN(const std::vector<std::string> openers,
                    operation.host().openers(ctx, device.name));
  return openers.empty();
}

// Of the disks that were brought: one whose place has another unit now, or that was refused for the
// unit that it is, and that has been put to use.
Result<bool> is_somebodys_by_now(const Ctx& ctx, Operation& operation, const LogState& state,
                                 const ScsiDevice& device) {
  const auto left = [&](const std::string& why) {
    operation.warn("undo.other_unit",
                   device.name + " (" + to_string(device.hctl) + ") is left alone: " + why);
    return true;
  };
  const bool is_as_brought =
      std::any_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& entry) {
        return entry.is_of(device) && !entry.existed && !entry.is_of_other_unit(device);
      });
  if (!is_as_brought) return left("it shows another unit now");
  if (state.identity.empty() || same_unit(device.identity, state.identity)) return false;
  HAWSER_TRY_ASSIGN(const std::vector<std::string> holders,
                    operation.host().holders(ctx, device.name));
  return !holders.empty() && left("it is another unit, and in use: " + listed(holders));
}

// A map of the unit's WWID may be over a unit of somebody else that shows the same.
Status take_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                const std::optional<Map>& map, Footprint& footprint) {
  Share share = Share::ours;
  std::string stranger;
  if (map) {
    HAWSER_TRY_ASSIGN(share, share_of(ctx, operation.host(), *map, footprint.devices, stranger));
  }
  switch (share) {
    case Share::ours: footprint.map_uuids.push_back(uuid); break;
    case Share::others:
      operation.warn("detach.other_map", "map " + uuid + " has " + stranger +
                                             ", which is not of this volume, and none that is: "
                                             "left alone");
      break;
    case Share::mixed:
      return Error(Errc::identity_mismatch,
                   "map " + uuid + " also has " + stranger +
                       ", which is not of this volume: two units show one WWID, or somebody added "
                       "a path through a target that this attachment does not know")
          .with(Stage::identify);
  }
  return ok();
}

// multipathd makes a map of our disks, and an entry in its list of WWIDs, also when we did not get
// as far as to announce one, and it may still do so when they are gone. An entry that was not there
// before is to go with the disks.
Status announce(const Ctx& ctx, Operation& operation, const Footprint& footprint) {
  HAWSER_TRY_ASSIGN(LogState state, operation.state());
  for (const std::string& uuid : footprint.map_uuids) {
    if (!state.has_map(uuid)) operation.found(step::kMap, {{"uuid", uuid}});
  }
  if (!state.wwids_before) return ok();
  for (const ScsiDevice& device : footprint.devices) {
    HAWSER_TRY_ASSIGN(const std::string wwid, operation.host().wwid(ctx, device));
    if (!state.lacks_wwid(wwid)) continue;
    const auto& shared = footprint.shared_map_uuids;
    if (std::find(shared.begin(), shared.end(), map_uuid_of(wwid)) != shared.end()) continue;
    operation.found(step::kWwid, {{"wwid", wwid}});
    HAWSER_TRY_ASSIGN(state, operation.state());  // All of them may have this one.
  }
  return ok();
}

// multipathd writes a unit down by its serial number when udev could not read the rest.
Status announce_serial_names(const Ctx& ctx, Operation& operation) {
  HAWSER_TRY_ASSIGN(const LogState state, operation.state());
  if (!state.wwids_before || state.identity.empty()) return ok();
  HAWSER_TRY_ASSIGN(const std::vector<std::string> known, operation.host().known_wwids(ctx));
  for (const std::string& wwid : known) {
    if (!is_serial_name(state.identity, wwid) || !state.lacks_wwid(wwid)) continue;
    operation.found(step::kWwid, {{"wwid", wwid}});
  }
  return ok();
}

// Whether another attachment of this boot is of that unit: the array may have given it another LUN
// since a reboot, and whoever attached it found the entry there.
Result<bool> is_others_wwid(const Ctx& ctx, Operation& operation, const std::string& wwid) {
  HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
  return std::any_of(others.begin(), others.end(),
                     [&](const LogState& other) { return other.wwid == wwid; });
}

// Those that a map does not protect.
Result<std::vector<ScsiDevice>> in_no_map(const Ctx& ctx, Host& host, const Footprint& footprint) {
  std::vector<ScsiDevice> bare = footprint.devices;
  for (const auto* uuids : {&footprint.map_uuids, &footprint.shared_map_uuids}) {
    for (const std::string& uuid : *uuids) {
      HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
      std::erase_if(bare, [&](const ScsiDevice& d) { return map && map->has_path(d.dev); });
    }
  }
  return bare;
}

Status wait_until_unused(const Ctx& ctx, Operation& operation, const ScsiDevice& device) {
  Status unused = operation.host().wait_until_unused(ctx, device.name);
  if (unused) return unused;
  Host& host = operation.host();
  const Result<std::vector<std::string>> openers = host.openers(ctx, device.name);
  if (openers && !openers->empty()) {
    return std::move(unused).error().with("opened by " + listed(*openers));
  }
  const Result<std::vector<std::string>> claims = host.claims(ctx, device);
  if (!claims || claims->empty()) return unused;
  return std::move(unused).error().with(listed(*claims));
}

// A take-down succeeds with a map that its openers keep, and by force with whatever it could not
// remove.
Status check_gone(const Ctx& ctx, Operation& operation, const Look& look) {
  HAWSER_TRY_ASSIGN(const Footprint there, look(ctx));
  const std::vector<std::string> left = what_is_left(ctx, operation.host(), there);
  if (left.empty()) return ok();
  return Error(Errc::busy, "left behind: " + listed(left));
}

// Those of what has been taken down.
Status end_steps(Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(const LogState now, operation.state());  // Maps may have been found since.
  for (const MapEntry& entry : now.maps)
    operation.undone(step::kMap, entry.number);
  for (const DeviceEntry& entry : state.devices)
    operation.undone(step::kDevice, entry.number);
  return ok();
}

}  // namespace

Result<Footprint> own_footprint(const Ctx& ctx, Operation& operation, const LogState& state) {
  Host& host = operation.host();
  Footprint footprint;
  HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
  std::vector<ScsiDevice> used;  // Also those that stay.
  for (const DeviceEntry& entry : state.devices) {
    if (entry.progress == Progress::ended) continue;
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, entry.sid));
    for (const ScsiDevice& device : devices) {
      if (device.hctl.lun != entry.lun) continue;
      if (any_names(others, device)) continue;
      used.push_back(device);
      if (entry.existed) continue;
      HAWSER_TRY_ASSIGN(const bool is_somebodys,
                        is_somebodys_by_now(ctx, operation, state, device));
      if (!is_somebodys) footprint.devices.push_back(device);
    }
  }

  std::vector<std::string> uuids;
  std::vector<std::string> made;  // By this attachment, whatever it is over.
  for (const MapEntry& entry : state.maps) {
    if (entry.progress == Progress::ended) continue;
    add_unique(uuids, entry.uuid);
    if (!entry.existed) made.push_back(entry.uuid);
  }
  // multipathd may have made a map over our devices before we came to it, which outlives them.
  if (!state.wwid.empty()) add_unique(uuids, map_uuid_of(state.wwid));
  for (const ScsiDevice& device : footprint.devices) {
    const std::string wwid = wwid_of(device.identity);
    if (!wwid.empty()) add_unique(uuids, map_uuid_of(wwid));
  }
  for (std::string& uuid : uuids) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    std::string stranger;
    Share share = Share::ours;
    if (map) {
      const bool is_made = std::find(made.begin(), made.end(), uuid) != made.end();
      HAWSER_TRY_ASSIGN(share,
                        share_of(ctx, host, *map, is_made ? used : footprint.devices, stranger));
    }
    if (share == Share::ours) footprint.map_uuids.push_back(std::move(uuid));
    if (share == Share::mixed) footprint.shared_map_uuids.push_back(std::move(uuid));
  }
  return footprint;
}

Result<Footprint> unit_footprint(const Ctx& ctx, Operation& operation, const LogState& state) {
  Host& host = operation.host();
  Footprint footprint;
  std::optional<Map> map;
  if (!state.wwid.empty()) {
    HAWSER_TRY_ASSIGN(map, host.find_map(ctx, map_uuid_of(state.wwid)));
  }

  HAWSER_TRY_ASSIGN(const std::vector<Session> sessions, sessions_of(ctx, host, state));
  footprint.has_session = !sessions.empty();
  for (const Session& session : sessions) {
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, session.sid));
    for (const ScsiDevice& device : devices) {
      const bool is_recorded =
          std::any_of(state.paths.begin(), state.paths.end(), [&](const LoggedPath& path) {
            return device.hctl.lun == path.kernel_lun && runs_through(session, path.key);
          });
      const bool is_same =
          state.identity.empty() ? is_recorded : same_unit(device.identity, state.identity);
      if (is_same) {
        footprint.devices.push_back(device);
        continue;
      }
      const bool is_in_map = map && map->has_path(device.dev);
      if (is_in_map || is_expelled(state, device)) {
        HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
        const bool is_ours = state.has_brought(device) && !any_names(others, device);
        if (is_in_map && !is_ours) footprint.spared.push_back(device);
        if (is_in_map || is_ours) footprint.devices.push_back(device);
        continue;
      }
      HAWSER_TRY_ASSIGN(const bool strays, is_stray(ctx, operation, state, device));
      if (strays) {
        footprint.strays.push_back(device);
      } else if (is_recorded) {
        operation.warn("detach.other_unit", device.name + " (" + to_string(device.hctl) +
                                                ") shows another unit now: left alone");
      }
    }
  }
  if (state.wwid.empty()) return footprint;
  HAWSER_TRY(take_map(ctx, operation, map_uuid_of(state.wwid), map, footprint));
  return footprint;
}

Status check_not_held(const Ctx& ctx, Operation& operation, const Footprint& footprint) {
  for (const ScsiDevice& device : footprint.devices) {
    const auto is_it = [&](const ScsiDevice& spared) { return spared.dev == device.dev; };
    if (std::any_of(footprint.spared.begin(), footprint.spared.end(), is_it)) continue;
    HAWSER_TRY_ASSIGN(const std::vector<std::string> holders,
                      operation.host().holders(ctx, device.name));
    if (!holders.empty()) return Error(Errc::busy, device.name + " is in use: " + listed(holders));
  }
  return ok();
}

Status check_disks_unused(const Ctx& ctx, Operation& operation, const Look& look) {
  const Ctx wait_ctx = ctx.within(at_most(ctx, kProbesBudget));
  for (;;) {
    HAWSER_TRY_ASSIGN(const Footprint there, look(ctx));
    HAWSER_TRY(check_not_held(ctx, operation, there));
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> bare, in_no_map(ctx, operation.host(), there));
    Status unused;
    for (const ScsiDevice& device : bare)
      if (unused) unused = wait_until_unused(wait_ctx.within(kPassingOpener), operation, device);
    // multipathd may have taken one into a map by now: then it is open for good.
    if (unused || unused.error().code() != Errc::busy || !wait_ctx.check()) return unused;
  }
}

Status undo_on_disk(const Ctx& ctx, Operation& operation) {
  Host& host = operation.host();
  HAWSER_TRY(announce_serial_names(ctx, operation));
  HAWSER_TRY_ASSIGN(const LogState state, operation.state());
  for (const WwidEntry& entry : state.wwids) {
    if (entry.progress == Progress::ended) continue;
    HAWSER_TRY_ASSIGN(const bool is_shared, is_others_wwid(ctx, operation, entry.wwid));
    if (!is_shared) HAWSER_TRY(host.forget_wwid(ctx, entry.wwid));
    operation.undone(step::kWwid, entry.number);
  }
  for (const NodeEntry& entry : state.nodes) {
    if (entry.progress == Progress::ended) continue;
    HAWSER_TRY(release_node_record(ctx, operation, entry));
  }
  return ok();
}

Status release_sessions(const Ctx& ctx, Operation& operation, const LogState& state,
                        Removal removal) {
  std::vector<std::function<Status(const Ctx&)>> tasks;
  for (const SessionEntry& entry : state.sessions) {
    if (entry.progress == Progress::ended) continue;
    tasks.emplace_back([&operation, entry](const Ctx& task_ctx) {
      return release_session(task_ctx, operation, entry);
    });
  }
  const bool by_force = removal == Removal::by_force;
  return run_all(by_force ? ctx.within(kLogoutBudget) : ctx, operation.host(), std::move(tasks));
}

Status undo_attach(const Ctx& ctx, Operation& operation, const LogState& state, Removal removal) {
  const bool by_force = removal == Removal::by_force;
  const auto undo = [&]() -> Status {
    const Status alone =
        hold_places(ctx.within(at_most(ctx, kPlacesBudget)), operation, state.paths);
    if (!alone) {
      // By force, a lock that cannot be had at all keeps nobody.
      if (!by_force || alone.error().code() == Errc::busy) return alone;
      operation.warn("undo.not_alone", alone.error().message());
    }
    Status scanned = finish_scans(by_force ? peacefully(ctx) : ctx, operation);
    if (!by_force) HAWSER_TRY(scanned);
    HAWSER_TRY_ASSIGN(const Footprint footprint, own_footprint(ctx, operation, state));
    if (!by_force) HAWSER_TRY(check_not_held(ctx, operation, footprint));
    for (const std::string& uuid : footprint.shared_map_uuids)
      HAWSER_TRY(ensure_not_in_map(ctx, operation.host(), uuid, footprint.devices));
    const Look look = [&](const Ctx& look_ctx) -> Result<Footprint> {
      HAWSER_TRY_ASSIGN(Footprint there, own_footprint(look_ctx, operation, state));
      HAWSER_TRY(announce(look_ctx, operation, there));
      return there;
    };
    HAWSER_TRY(take_down(ctx, operation, look, removal));
    Status gone = check_gone(ctx, operation, look);
    if (gone && scanned) HAWSER_TRY(end_steps(operation, state));
    HAWSER_TRY(undo_read_only(ctx, operation, state));
    HAWSER_TRY(undo_on_disk(ctx, operation));
    HAWSER_TRY(release_sessions(ctx, operation, state, removal));
    if (!scanned) {
      return Error(Errc::busy, "left behind: a scan under way: " + scanned.error().message());
    }
    return gone;
  };
  Status undone = undo();
  if (undone) return undone;
  operation.reconcile();  // What was found on the way is not found again once its disks are gone.
  return std::move(undone).error().with("undo").with(Outcome::unknown);
}

}  // namespace hawser
