#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/map.h"
#include "model/scsi_device.h"
#include "model/session.h"
#include "wire/journal_record.h"

namespace hawser {

// What survives the death of a process: kernel, daemons and disk.
struct SimWorld {
  // --- the storage behind the network; never changed by the code under test ---
  std::map<std::string, std::map<std::uint32_t, std::string>> targets{};  // IQN, LUN: unit name.
  std::set<std::string> dead_portals{};                                   // Addresses.
  std::map<std::string, std::vector<std::string>> advertised{};  // IQN: what SendTargets lists.
  std::set<std::string> write_protected{};              // Units that are exported read-only.
  std::map<std::string, std::uint64_t> unit_sectors{};  // Of units that are not of the usual size.

  // --- this host ---
  std::map<std::uint32_t, Session> sessions{};
  std::vector<Session> logins_in_flight{};  // Sent, not answered: they come true later.
  std::map<std::string, ScsiDevice> devices{};
  std::map<std::string, Map> maps{};
  std::set<std::string> wwids{};
  std::set<std::string> node_records{};
  std::map<std::string, std::vector<Record>> logs{};
  bool runs_multipathd = true;
  std::set<std::string> dirty{};  // Units with data that has not reached the target.

  std::string boot_id = "boot-1";

  // --- what makes a detach hard; nodes are "dm-0" or the name of a device ---
  std::int64_t portals_back_ms = 0;     // Uptime at which the dead portals answer again; 0: never.
  std::set<std::string> lost{};         // Units with a lost write that nobody has heard of.
  std::set<std::string> open_nodes{};   // Somebody has them open and does not let go.
  std::set<std::string> stuck_nodes{};  // Somebody is stuck in I/O on them until it fails.
  std::set<std::string> held_nodes{};   // Mounted.
  std::set<std::string>
      wanted_nodes{};  // multipathd opens these disks, and later takes them into the map.
  bool flush_hangs = false;
  unsigned map_comebacks = 0;     // How often multipathd makes a removed map again.
  unsigned device_comebacks = 0;  // How often a scan under way brings a removed device.
  std::optional<Map> removed_map{};

  std::uint32_t next_sid = 1;
  std::uint32_t next_minor = 0;
  std::int64_t uptime_ms = 1000;

  std::uint64_t sectors_of(const std::string& unit) const {
    const auto sectors = unit_sectors.find(unit);
    return sectors == unit_sectors.end() ? 2048 : sectors->second;
  }
  bool is_dead(std::uint32_t sid) const {
    const auto session = sessions.find(sid);
    return session == sessions.end() || dead_portals.contains(session->second.address);
  }

  // The host is started again: what is on disk stays.
  void reboot() {
    boot_id += '+';
    sessions.clear();
    logins_in_flight.clear();
    devices.clear();
    maps.clear();
    next_sid = 1;
    uptime_ms = 1000;
  }

  // What must be as before after an undo. Counters and time may differ.
  std::string picture() const {
    std::string text;
    for (const auto& [sid, session] : sessions)
      text +=
          "session " + std::to_string(sid) + " " + session.target + " " + session.address + "\n";
    for (const Session& session : logins_in_flight)
      text += "login in flight " + session.target + " " + session.address + "\n";
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

// The identity that a unit of this name shows: one NAA 6 designator, and its name as the serial
// number. "copy=unit" shows the designator of "unit", "=unit" its serial number too.
inline Identity sim_identity(const std::string& name) {
  const std::size_t sign = name.find('=');
  const std::string unit = sign == 0 ? name.substr(1) : name;
  std::string naa = "\x60" + name.substr(sign == name.npos ? 0 : sign + 1);
  naa.resize(16, '.');
  return {.designators = {{.type = 3, .code_set = 1, .bytes = naa}}, .serial = unit};
}

}  // namespace hawser
