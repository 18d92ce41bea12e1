#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/map.h"
#include "model/scsi_device.h"
#include "model/session.h"
#include "support/clock.h"
#include "wire/journal_record.h"

namespace hawser {

// The identity that a unit of this name shows: one NAA 6 designator, and its name as the serial
// number. "copy=unit" shows the designator of "unit", "=unit" its serial number too.
inline Identity sim_identity(const std::string& name) {
  const std::size_t sign = name.find('=');
  const std::string unit = sign == 0 ? name.substr(1) : name;
  std::string naa = "\x60" + name.substr(sign == name.npos ? 0 : sign + 1);
  naa.resize(16, '.');
  return {.designators = {{.type = 3, .code_set = 1, .bytes = naa}}, .serial = unit};
}

// As multipathd loads it that knows no more of them yet.
inline void keep_first_path(Map& map) {
  map.table = simple_table({map.paths.front().dev});
  map.paths.resize(1);
}

// A login that was sent and is not answered yet.
struct SimLogin {
  Session session{};
  std::int64_t ends_ms = 0;  // Uptime at which it comes true, unless its portal is dead by then.
  bool comes_true = true;    // False: iscsid gives it up then.
};

// A scan that the kernel is at, whether or not somebody still waits for it.
struct SimScan {
  Session session{};
  std::uint32_t lun = 0;
  std::int64_t ends_ms = 0;  // Uptime.
  unsigned number = 0;
  bool looks = true;        // The session was there when it was this scan's turn.
  bool has_waited = false;  // For its session, which was lost in the middle.
};

// What survives the death of a process: kernel, daemons and disk.
struct SimWorld {
  // --- the storage behind the network; never changed by the code under test ---
  std::map<std::string, std::map<std::uint32_t, std::string>> targets{};  // IQN, LUN: unit name.
  std::set<std::string> dead_portals{};                                   // Addresses.
  std::set<std::string> short_pages{};  // Addresses behind which a scan reads no serial number.
  std::map<std::string, std::vector<std::string>> advertised{};  // IQN: what SendTargets lists.
  std::set<std::string> write_protected{};  // Units that are exported read-only.
  std::set<std::string> tape_units{};       // Units that are no disks.
  // Targets that show LUNs without a unit, which the kernel remembers when it has looked.
  std::set<std::string> vague_targets{};
  std::map<std::string, std::uint64_t> unit_sectors{};  // Of units that are not of the usual size.

  // --- this host ---
  std::map<std::uint32_t, Session> sessions{};
  std::vector<SimLogin> logins_in_flight{};
  std::vector<SimScan> scans_in_flight{};
  std::map<std::string, ScsiDevice> devices{};
  std::map<Hctl, UnitKind> odd_units{};  // That are no disks. A session's host has its number.
  std::map<std::string, Map> maps{};
  std::set<std::string> wwids{};
  std::set<std::string> node_records{};
  std::map<std::string, std::vector<Record>> logs{};
  std::map<std::string, std::size_t> durable{};  // How many records of a log outlive the machine.
  std::set<std::string> unsafe_logs{};           // Which others can write to: they are not read.
  bool runs_multipathd = true;
  bool multipathd_is_quick = false;  // A disk that appears has its entry of wwids at once.
  bool blacklists = false;           // multipathd would destroy any map.
  bool has_no_multipath = false;     // The kernel lacks it.
  std::set<std::string> dirty{};     // Units with data that has not reached the target.

  std::set<std::string> locks{};  // That somebody holds; those of the dead are freed by and by.
  unsigned changes = 0;           // How often anything but a log has changed.

  std::string boot_id = "boot-1";
  std::int64_t wall_time_s = 0;

  // --- what others do -------------------------------------------------------------------------
  std::map<std::string, std::int64_t> slow_portals{};  // Address: how long a login takes.
  std::map<std::string, std::int64_t> slow_scans{};    // Address: how long the kernel scans.
  std::int64_t udev_back_ms = 0;                       // Uptime before which udev handles nothing.
  std::set<std::string> known_paths{};                 // Devices that multipathd has looked at.
  std::set<std::string> offered_paths{};               // It was told of these, and will look.
  unsigned portal_changes = 0;                         // How often a portal died or came back.
  std::string flushed_node{};                          // Last, by an operation that goes on.
  std::set<std::string> unseen_nodes{};                // Open since that, and nobody has looked.
  std::set<std::string> flushed_nodes{};
  unsigned flushes = 0;
  std::set<std::string> opened_after_flush{};  // Nodes that somebody opens as soon as he can.
  // Node: uptime at which he closes it again. What he wrote is in the target's volatile cache then.
  std::map<std::string, std::int64_t> closes_ms{};

  // --- what makes a detach hard; nodes are "dm-0" or the name of a device ---
  std::int64_t portals_back_ms = 0;     // Uptime at which the dead portals answer again; 0: never.
  std::set<std::string> lost{};         // Units with a lost write that nobody has heard of.
  std::set<std::string> open_nodes{};   // Somebody has them open and does not let go.
  std::set<std::string> stuck_nodes{};  // Somebody is stuck in I/O on them until it fails.
  std::set<std::string> held_nodes{};   // Mounted.
  std::set<std::string> stacked_nodes{};  // A logical volume is on them, say.
  std::set<std::string>
      wanted_nodes{};  // multipathd opens these disks, and later takes them into the map.
  // Sessions whose connection iscsid has yet to make again, and the uptime at which it has.
  std::set<std::uint32_t> orphans{};
  std::int64_t orphans_end_ms = 0;
  std::set<std::string> unopenable{};   // Disks that let nobody open them, and map UUIDs for which
                                        // the kernel is at a table with one of those.
  std::set<std::string> undeletable{};  // Disks whose deletion does not return, nor a logout.
  bool flush_hangs = false;
  std::int64_t use_look_ms = 0;      // What it takes to see whether somebody has a node open.
  unsigned reloads_until_stale = 0;  // After so many multipathd loads a map's first path alone.
  unsigned map_comebacks = 0;        // How often multipathd makes a removed map again.
  unsigned device_comebacks = 0;     // How often a scan under way brings a removed device.
  std::optional<Map> removed_map{};

  unsigned next_scan = 1;
  std::uint32_t next_sid = 1;
  std::uint32_t next_minor = 0;
  std::int64_t uptime_ms = 1000;
  FakeClock clock{};

  std::uint64_t sectors_of(const std::string& unit) const {
    const auto sectors = unit_sectors.find(unit);
    return sectors == unit_sectors.end() ? 2048 : sectors->second;
  }
  bool is_dead(std::uint32_t sid) const {
    const auto session = sessions.find(sid);
    return session == sessions.end() || dead_portals.contains(session->second.address);
  }

  void pass(std::chrono::milliseconds time) {
    clock.advance(time);
    uptime_ms += time.count();
    if (portals_back_ms != 0 && uptime_ms >= portals_back_ms) dead_portals.clear();
    if (uptime_ms >= orphans_end_ms) orphans.clear();
    std::erase_if(closes_ms, [this](const auto& closing) {
      return closing.second <= uptime_ms && open_nodes.erase(closing.first) > 0;
    });
    end_logins();
    end_scans();
  }

  // Uptime at which something happens that nobody has to do; the largest if nothing will.
  std::int64_t next_event_ms() const {
    std::int64_t next = std::numeric_limits<std::int64_t>::max();
    for (const SimLogin& login : logins_in_flight)
      next = std::min(next, login.ends_ms);
    for (const SimScan& scan : scans_in_flight)
      next = std::min(next, scan.ends_ms);
    for (const auto& [node, ms] : closes_ms)
      if (ms > uptime_ms) next = std::min(next, ms);
    if (udev_back_ms > uptime_ms) next = std::min(next, udev_back_ms);
    if (portals_back_ms > uptime_ms) next = std::min(next, portals_back_ms);
    return next;
  }

  // A target that nobody can reach any more answers no login.
  void end_logins() {
    std::erase_if(logins_in_flight, [&](const SimLogin& login) {
      if (login.ends_ms > uptime_ms) return false;
      ++changes;
      if (login.comes_true && !dead_portals.contains(login.session.address))
        sessions[login.session.sid] = login.session;
      return true;
    });
  }

  bool is_scanning(std::uint32_t sid) const {
    return std::any_of(scans_in_flight.begin(), scans_in_flight.end(),
                       [sid](const SimScan& scan) { return scan.session.sid == sid; });
  }

  // One after the other. One whose session is lost in the middle waits for that to come back.
  void end_scans() {
    constexpr std::int64_t recovery_ms = 5000;
    std::map<std::uint32_t, std::int64_t> busy_until{};
    for (SimScan& scan : scans_in_flight) {
      const std::uint32_t sid = scan.session.sid;
      const bool ends = scan.ends_ms <= uptime_ms && busy_until[sid] <= uptime_ms;
      const bool is_lost = is_dead(sid) && sessions.contains(sid);
      if (ends && is_lost && scan.looks && !std::exchange(scan.has_waited, true))
        scan.ends_ms = uptime_ms + recovery_ms;
      busy_until[sid] = scan.ends_ms = std::max(scan.ends_ms, busy_until[sid]);
    }
    std::erase_if(scans_in_flight, [&](const SimScan& scan) {
      if (scan.ends_ms > uptime_ms) return false;
      ++changes;
      if (scan.looks) add_device(scan.session, scan.lun);
      return true;
    });
  }

  // Of what is no disk.
  UnitKind kind_of(const Hctl& unit) const {
    const auto odd = odd_units.find(unit);
    const bool is_there = odd != odd_units.end() && sessions.contains(unit.host);
    return is_there ? odd->second : UnitKind::none;
  }

  // What a scan finds. As the kernel does, leaves a device alone that is there.
  void add_device(const Session& session, std::uint32_t lun) {
    if (is_dead(session.sid)) return;
    const auto& luns = targets[session.target];
    const auto unit = luns.find(lun);
    const Hctl address{.host = session.host_no, .lun = lun};
    if (odd_units.contains(address)) return;
    if (unit == luns.end()) {
      if (vague_targets.contains(session.target)) odd_units[address] = UnitKind::vacant;
      return;
    }
    const std::string name = "sd-" + std::to_string(session.sid) + "-" + std::to_string(lun);
    if (devices.contains(name)) return;
    if (tape_units.contains(unit->second)) {
      odd_units[address] = UnitKind::other;
      return;
    }
    ScsiDevice device{.hctl = address,
                      .sid = session.sid,
                      .name = name,
                      .dev = {.major = 8, .minor = 16 * session.sid + lun},
                      .sectors = sectors_of(unit->second),
                      .state = "running",
                      .read_only = write_protected.contains(unit->second),
                      .identity = sim_identity(unit->second)};
    if (short_pages.contains(session.address)) device.identity.serial.clear();
    if (multipathd_is_quick) wwids.insert(wwid_of(sim_identity(unit->second)));
    devices[name] = std::move(device);
  }

  // The unit that is behind a device now; empty if there is none.
  std::string unit_behind(const ScsiDevice& device) const {
    const auto session = sessions.find(device.sid);
    if (session == sessions.end()) return {};
    const auto luns = targets.find(session->second.target);
    if (luns == targets.end()) return {};
    const auto unit = luns->second.find(static_cast<std::uint32_t>(device.hctl.lun));
    return unit == luns->second.end() ? std::string() : unit->second;
  }

  // The unit that I/O on a node reaches; empty if no path works.
  std::string live_unit(const std::string& node) const {
    for (const auto& [name, device] : devices) {
      if (is_dead(device.sid) || unit_behind(device).empty()) continue;
      if (name == node) return unit_behind(device);
      for (const auto& [uuid, map] : maps) {
        if ("dm-" + std::to_string(map.minor) != node) continue;
        for (const MapPathStatus& path : map.paths) {
          if (path.is_active && path.dev == device.dev) return unit_behind(device);
        }
      }
    }
    return {};
  }

  // Of a log only what was synced is there after that; of other files, at worst, everything.
  void lose_power() {
    for (auto& [id, records] : logs)
      records.resize(std::min(records.size(), durable[id]));
    std::erase_if(logs, [](const auto& log) { return log.second.empty(); });
    reboot();
  }

  // The host is started again: what is on disk stays.
  void reboot() {
    boot_id += '+';
    sessions.clear();
    logins_in_flight.clear();
    scans_in_flight.clear();
    devices.clear();
    odd_units.clear();
    maps.clear();
    known_paths.clear();
    offered_paths.clear();
    next_sid = 1;
    uptime_ms = 1000;
  }

  // What must be as before after an undo. Counters and time may differ.
  std::string picture() const {
    std::string text;
    for (const auto& [sid, session] : sessions)
      text +=
          "session " + std::to_string(sid) + " " + session.target + " " + session.address + "\n";
    for (const SimLogin& login : logins_in_flight)
      text += "login in flight " + login.session.target + " " + login.session.address + "\n";
    for (const SimScan& scan : scans_in_flight)
      text += "scan in flight " + scan.session.target + " " + scan.session.address + "\n";
    for (const auto& [unit, kind] : odd_units) {
      if (kind_of(unit) != UnitKind::none) text += "no disk " + to_string(unit) + "\n";
    }
    for (const auto& [name, device] : devices)
      text += "device " + name + " " + to_string(device.hctl) + (device.read_only ? " ro\n" : "\n");
    for (const auto& [uuid, map] : maps)
      text += "map " + uuid + " paths " + std::to_string(map.paths.size()) + " " + map.target_type +
              (map.is_read_only ? " ro\n" : "\n");
    for (const std::string& wwid : wwids)
      text += "wwid " + wwid + "\n";
    for (const std::string& record : node_records)
      text += "node record " + record + "\n";
    for (const auto& [id, records] : logs)
      text += "log " + id + "\n";
    return text;
  }
};

}  // namespace hawser
