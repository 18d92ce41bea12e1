// What a transaction log says of its attachment.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hawser/volume.h"

#include "model/scsi_device.h"
#include "model/session.h"
#include "wire/journal_record.h"

namespace hawser {

// Names of steps, as they stand in the log.
namespace step {
inline constexpr std::string_view kAttach = "attach";
inline constexpr std::string_view kDetach = "detach";
inline constexpr std::string_view kSession = "session";
inline constexpr std::string_view kNode = "node";
inline constexpr std::string_view kDevice = "device";
inline constexpr std::string_view kPurge = "purge";  // Has no undo: what is deleted was stale.
inline constexpr std::string_view kReadOnly = "read_only";
inline constexpr std::string_view kExpel = "expel";
inline constexpr std::string_view kWwid = "wwid";
inline constexpr std::string_view kWwids = "wwids";  // Only a note.
inline constexpr std::string_view kMap = "map";
inline constexpr std::string_view kFlush = "flush";
inline constexpr std::string_view kIdentity = "identity";
inline constexpr std::string_view kJoin = "join";
inline constexpr std::string_view kResize = "resize";
}  // namespace step

// How far a step got.
enum class Progress {
  intended,  // Announced; it may or may not have happened, or be happening still.
  done,
  ended,  // Undone, or failed without a mark: nothing to undo.
};

// Who made a session.
enum class Origin {
  created,  // This attachment did.
  shared,   // Another attachment of ours did; whoever is last logs out.
  foreign,  // Not us: never logged out.
};
std::string_view to_string(Origin origin);

// Which session a path runs through. Two sessions with equal keys are the same one.
struct SessionKey {
  std::string target{};
  std::string address{};
  std::uint16_t port = 0;
  std::string iface{};

  auto operator<=>(const SessionKey&) const = default;
};
std::string to_string(const SessionKey& key);
bool runs_through(const Session& session, const SessionKey& key);

struct SessionEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  SessionKey key{};
  Origin origin = Origin::created;
  std::optional<std::uint32_t> sid{};  // Known once done.
  std::uint32_t lun = 0;               // The kernel's number of the volume's LUN there.
  std::int64_t expires_ms = 0;         // Uptime after which a login that was sent is surely dead.
  std::int64_t login_ms = 0;           // How long the login took.
  std::string error{};                 // Why it failed.
};

struct DeviceEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  std::uint32_t sid = 0;
  std::uint32_t lun = 0;
  bool existed = false;  // It was there before we scanned.
  Identity identity{};   // What it showed then; empty in logs of 0.1.0.
  // What it was called then, if it was found.
  std::string name{};
  DevT dev{};
  Hctl hctl{};

  // Whether it is about this device, and has not ended.
  bool is_of(const ScsiDevice& device) const;
  // Whether a device at its place is known to be another unit than the one that it brought.
  bool is_of_other_unit(const ScsiDevice& device) const;
};

struct NodeEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  SessionKey key{};
  std::optional<std::uint16_t> group{};
};

struct WwidEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  std::string wwid{};
};

struct MapEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  std::string uuid{};
  bool existed = true;  // Or nobody looked.
};

// A block device that was made read-only.
struct ReadOnlyEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  std::string name{};      // "dm-3", "sdb": as it was then.
  std::string map_uuid{};  // Of a map; or, of a disk:
  std::uint32_t sid = 0;
  std::string hctl{};
};

// A device that leads to another unit by now, on its way out of the map and off the host.
struct ExpelEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  std::uint32_t sid = 0;
  std::string hctl{};
  std::string name{};
};

// The paths that were asked for, as the log remembers them.
struct LoggedPath {
  PathSpec spec{};
  SessionKey key{};
  std::uint32_t kernel_lun = 0;
};
std::string place_of(const LoggedPath& path);  // "iqn.... LUN 1"

// One path of an attached volume, being brought into its map. Its session and device are steps of
// their own, with greater numbers.
struct JoinEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
  SessionKey key{};
};

// The map of an attached volume, being switched to another length.
struct ResizeEntry {
  std::uint32_t number = 0;
  Progress progress = Progress::intended;
};

enum class Phase {
  idle,       // Nothing of ours is on the host.
  attaching,  // Begun, not committed.
  attached,
  detaching,  // Begun, not ended.
};

struct LogState {
  Phase phase = Phase::idle;
  std::string boot_id{};
  std::string volume_id{};
  bool read_only = false;
  bool is_multipath = false;                // What attach handed out was a map.
  std::optional<std::uint32_t> bare_sid{};  // Or the disk of this session; logs of before lack it.
  bool flushed = false;                     // By a detach that has not ended.
  bool is_forced = false;                   // It did so by force, with data unsaved.
  std::string lost_writes{};  // What an earlier detach heard of writes that were lost.
  std::string wwid{};
  Identity identity{};         // Of the unit, as first seen; survives detach and reboot.
  bool is_remembered = false;  // It was known before the attach that has begun.
  std::vector<LoggedPath> paths{};
  std::vector<SessionEntry> sessions{};
  std::vector<DeviceEntry> devices{};
  std::vector<NodeEntry> nodes{};
  std::vector<WwidEntry> wwids{};
  // CRC-32C of what the list of multipath-tools had before anything was scanned. Logs of before,
  // and those of a host with very many, do not say.
  std::optional<std::set<std::uint32_t>> wwids_before{};
  std::vector<MapEntry> maps{};
  std::vector<ReadOnlyEntry> read_only_devices{};
  std::vector<ExpelEntry> expelled{};
  std::vector<JoinEntry> joins{};
  std::vector<ResizeEntry> resizes{};
  std::uint32_t next_number = 1;

  // Whether every step has ended, so that nothing is left to be undone.
  bool has_ended() const;
  // Whether there is a step for it that has not ended.
  bool has_map(const std::string& uuid) const;
  // Whether there is a step for it that has not ended.
  bool names(const ScsiDevice& device) const;
  // That, and it was another unit when it was found.
  bool names_as_another(const ScsiDevice& device) const;
  // Whether there is such a step, and a scan of this attachment brought the device.
  bool has_brought(const ScsiDevice& device) const;
  // Whether an entry for it in the list of multipath-tools would be new: it was not there before,
  // so far as that is known, and no step for it is there that has not ended.
  bool lacks_wwid(const std::string& wanted) const;
};

// Reads a log from its beginning. Errors: corrupt, naming the record and the field.
Result<LogState> replay(const std::vector<Record>& records);

// The fields of the records, and back. Kept beside each other so that they agree.
using Fields = std::map<std::string, std::string, std::less<>>;
void put(Fields& fields, const SessionKey& key);
void put(Fields& fields, const Identity& identity);
Fields begin_fields(const LogState& state);
// None if there are too many for a record.
std::optional<Fields> wwids_fields(const std::vector<std::string>& wwids);
Fields join_fields(const LoggedPath& path);

}  // namespace hawser
