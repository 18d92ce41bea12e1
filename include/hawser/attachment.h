// What the calls of Client return.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hawser/error.h"
#include "hawser/portal.h"

namespace hawser {

/// One path of an attachment, as the kernel shows it now.
struct PathReport {
  Portal portal{};
  std::string target{};
  std::uint16_t lun = 0;
  /// "active", "faulty" (in the map; failed, or without a size), "blocked" (session lost, I/O
  /// waits), "pending" (login sent, not answered), "failed" (did not come), "missing" (was there
  /// and is gone, is not in the map, or was not tried, since a bare disk has one path).
  std::string state{};
  std::optional<std::uint32_t> sid{};  ///< N of /sys/class/iscsi_session/sessionN.
  std::string hctl{};                  ///< "3:0:0:0", or empty.
  std::string device{};                ///< "sdb", or empty.
  std::optional<std::chrono::nanoseconds> login_time{};
  std::optional<Error> error{};  ///< Why the path did not come.
  std::string iface{};           ///< open-iscsi iface that it runs through.
};

/// An attached volume.
struct Attachment {
  std::string id{};
  /// Device node to use now: "/dev/dm-3" or "/dev/sdb". Its number is the volume's as long as the
  /// device is there, and it is there for sure only while somebody has it open: a map that nobody
  /// has open multipathd may take away, when udev is far behind, or a user may, and the next map
  /// gets its number. So open it at once, or open it later and then compare dm/uuid of its number
  /// in sysfs.
  std::string path{};
  /// A link of udev's that keeps pointing to the volume. That of a bare disk may appear a moment
  /// later.
  std::string stable_path{};
  std::string wwid{};  ///< What udev calls ID_SERIAL.
  std::uint64_t size_bytes = 0;
  bool read_only = false;
  bool multipath = false;  ///< `path` is a multipath map.
  /// Of a map: fewer active paths than are known, named or discovered. Of a bare disk: its path is
  /// not active; the answer of an attach also says so where a map was wanted.
  bool degraded = false;
  bool already_attached = false;
  std::string volume_id{};
  /// "attached", "attaching", "detaching", "stale" (the kernel shows none, or it is of before a
  /// reboot), "unreadable" (its log is damaged; see `warnings`).
  std::string status{};
  std::vector<PathReport> paths{};
  std::vector<std::string> warnings{};
  std::chrono::nanoseconds elapsed{0};
};

struct ResizeReport {
  std::string id{};
  std::uint64_t old_size_bytes = 0;  ///< What the device had.
  std::uint64_t size_bytes = 0;      ///< What it has now; the same if nothing was to be done.
  std::vector<PathReport> paths{};   ///< With an error where a path could not take part.
  std::vector<std::string> warnings{};
  std::chrono::nanoseconds elapsed{0};
};

struct DetachReport {
  std::string id{};
  bool was_attached = true;  ///< False: there was nothing to do, or only a log that remembers.
  bool flushed = true;       ///< Everything written is on the target.
  /// What was written may be lost: by force, of this call or of one that it completed.
  bool data_at_risk = false;
  /// By force only: what could not be removed, and why. It stays in the log; recover() removes it
  /// once it can be, such as a map that somebody has open.
  std::vector<std::string> leftovers{};
  std::vector<std::string> warnings{};
  std::chrono::nanoseconds elapsed{0};
};

struct RecoverReport {
  std::vector<std::string> undone{};     ///< Ids whose attach was undone: they are not attached.
  std::vector<std::string> completed{};  ///< Ids whose detach was completed: likewise.
  /// Ids that are attached as before: their detach had removed nothing yet and was called off, or a
  /// resize, a join or a late login was put in order.
  std::vector<std::string> kept{};
  struct Failure {
    std::string id;
    Error error;
  };
  std::vector<Failure> failed{};
};

/// A target, as a discovery session lists it.
struct DiscoveredTarget {
  std::string target{};
  std::vector<Portal> portals{};
};

/// An iSCSI session of this host, whoever made it.
struct SessionReport {
  std::uint32_t sid = 0;
  std::string target{};
  Portal portal{};
  std::string iface{};
  std::string state{};  ///< "LOGGED_IN", "FAILED" or "FREE": the kernel's words.
  std::vector<std::string> devices{};
  /// Counters of connection 0 as iscsid reports them; where it does not run, or does not know the
  /// session, as the kernel does of one over TCP. Empty if nobody told.
  struct Counters {
    std::uint64_t tx_bytes = 0;
    std::uint64_t rx_bytes = 0;
    std::uint32_t commands = 0;
    std::uint32_t responses = 0;
    std::uint32_t digest_errors = 0;
    std::uint32_t timeout_errors = 0;
  };
  std::optional<Counters> counters{};
};

}  // namespace hawser
