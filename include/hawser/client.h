// The way into the library.
//
//   hawser::SystemClock clock;
//   auto client = hawser::Client::open({});
//   auto spec = hawser::parse_volume_spec(json);
//   auto attached = client->attach({.clock = clock, .deadline = clock.now() + 60s}, *spec, {});
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hawser/attachment.h"
#include "hawser/ctx.h"
#include "hawser/detail/export.h"
#include "hawser/volume.h"

namespace hawser {

/// Something that happened, for logs and progress displays.
struct Event {
  enum class Level { debug, info, warning, error };
  Level level = Level::info;
  std::string_view name;  ///< "login.sent". Those that stay are in docs/json.md.
  std::string text;       ///< For people. Never holds a secret.
  std::string portal{};   ///< The path it is about, if any.
};

struct ClientOptions {
  /// Transaction logs. Made if it is not there (0700); refused if it is a symbolic link or writable
  /// by anybody else.
  std::string state_dir = "/var/lib/hawser";
  /// Called on whichever thread does the work, one call at a time; must be quick, must not throw,
  /// and must not call back into the client. Empty: no events.
  std::function<void(const Event&)> on_event{};
};

struct AttachOptions {
  Multipath multipath = Multipath::preferred;
  /// Verified paths that have to come, or the attach fails and is undone. Once they have, the rest
  /// is waited for no longer than `grace`. Not asked for with Multipath::off, where one is used.
  std::uint32_t min_paths = 1;
  /// How long to wait for further paths once there are `min_paths`, within two thirds of the time
  /// that is left. Longer, if by then none of them can be read any more.
  std::chrono::nanoseconds grace = std::chrono::seconds(5);
  /// How long one try to log in to a portal may take: 1 s or more, whole seconds. The deadline
  /// still wins, over this and over all that follows.
  std::chrono::seconds login_timeout{15};
  /// How often a portal is tried that does not answer or refuses the connection, with a second in
  /// between: 1 or more. A refusal that a second try cannot change, such as wrong CHAP secrets, is
  /// never tried again.
  std::uint32_t login_tries = 1;
  /// How often a session is scanned for the LUN until it is there: 1 or more. A target may map the
  /// LUN a moment after it answers the login.
  std::uint32_t scan_tries = 3;
  /// How long to wait between two scans.
  std::chrono::milliseconds scan_interval = std::chrono::seconds(1);
  /// Also write open-iscsi node records, so that `iscsiadm -m node` knows the sessions.
  bool node_record = false;
};

struct DetachOptions {
  /// Clean the host even if data is lost or somebody uses the volume: I/O of whoever does fails
  /// from then on. The report says what was lost and what is left. Whatever can be saved in a third
  /// of the time, 5 s at most, is saved first. What a dead process has begun is completed before:
  /// by force, too, when it cannot be within a third of the time, 30 s at most.
  bool force = false;
};

struct JoinOptions {
  /// For logins to portals whose session is gone. The transaction log keeps no secrets, so it
  /// cannot know them.
  std::optional<Chap> chap{};
  /// How long iscsid tries one portal, or a lost session is waited for: 1 s or more, whole seconds.
  std::chrono::seconds login_timeout{15};
};

struct ResizeOptions {
  /// Also switch to a smaller size: what lies beyond its end is lost.
  bool allow_shrink = false;
};

/// A connection to this host's iSCSI initiator and device-mapper, and to the state directory.
///
/// Scans, deletions, flushes and switches of a map's table run on threads of their own: one that
/// the kernel does not let go is left behind at the deadline, and the process cannot end before it
/// does. Programs that must be able to end make their calls in a process that they can leave
/// behind.
///
/// libdevmapper has one state for a process: its log is silenced, and its synchronisation with udev
/// turned off. A program that uses it as well must not do so at the same time. A discovery uses
/// libiscsi, which reads LIBISCSI_* from the environment (LIBISCSI_DEBUG makes it print) and calls
/// srand().
///
/// @threads Safe from several threads at once; volumes are worked on in parallel.
/// @throws  std::bad_alloc, at most; recover() deals with what a call had begun by then.
class HAWSER_API Client {
 public:
  /// Needs the state directory: the default one is root's. The calls that change something need
  /// root in any case.
  ///
  /// @errors  permission_denied (the state directory can be written by others), not_found,
  ///          exhausted, io.
  static Result<Client> open(ClientOptions options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  /// Attaches a volume: logs in on every path in parallel, scans its one LUN, checks that all paths
  /// show the same unit, and builds the map. A volume that is attached already is returned with
  /// what paths it has, once they have shown that they still lead to it; those that are missing are
  /// brought up as by join(), within `grace`; `min_paths` does not hold for it.
  ///
  /// Sessions that it makes fail I/O 5 s after they are lost. A map that it makes does not queue
  /// I/O without a path; multipathd, if it runs, takes the map over with what its configuration
  /// says, and brings failed paths back, which without it join() does.
  ///
  /// @blocks  Up to ctx.deadline, and then up to 30 s to undo.
  /// @errors  invalid_argument, permission_denied (not root; with Stage::identify: the target
  ///          exports the unit read-only), not_found (no target shows the LUN; with
  ///          Stage::resolve: no name has an address; with Stage::preflight: an iface has no
  ///          record), unavailable (no portal could be used; see Error::paths()), unauthenticated,
  ///          identity_mismatch (not the unit that was expected or attached before, or another unit
  ///          shows the same WWID), unsupported (this iscsid, no multipath in the kernel, or the
  ///          LUN is no disk), busy (somebody uses a device that stands in the way, the unit is
  ///          attached under another id, or the volume is attached with another access mode or not
  ///          as `multipath` wants it), corrupt (the log), exhausted, protocol, deadline_exceeded,
  ///          cancelled, io, internal.
  /// @outcome unchanged, unless the undo failed as well, or the commit may or may not be on disk;
  ///          then unknown, see recover().
  Result<Attachment> attach(const Ctx& ctx, const VolumeSpec& spec, const AttachOptions& options);

  /// The id under which the volume is attached; where it is not, that of attachment_id(). A
  /// controller may name other targets of a volume now than it did at the attach, and lead to
  /// another id: what shares a target and LUN with `spec` is attached all the same.
  ///
  /// @errors  busy (it is attached by other targets: the message has the id),
  ///          identity_mismatch (the id is another volume's), invalid_argument,
  ///          deadline_exceeded, cancelled, io.
  Result<std::string> find(const Ctx& ctx, const VolumeSpec& spec);

  /// Brings the paths of an attached volume that are not in use into its map: those that did not
  /// come at attach, and those that were lost and are back. Each is scanned anew and compared with
  /// the volume before it gets any I/O. A path that still cannot be had is reported as such, and is
  /// no error. Does nothing for a volume without a map.
  ///
  /// @blocks  Up to ctx.deadline, and then up to 30 s to undo the path that was being joined.
  /// @errors  invalid_argument, not_found (not attached), permission_denied, unavailable (no
  ///          iscsid), unsupported, busy, corrupt (the log), exhausted (the log is full),
  ///          deadline_exceeded, cancelled, io.
  /// @outcome The volume stays attached, with the paths that it has or more.
  Result<Attachment> join(const Ctx& ctx, const std::string& id, const JoinOptions& options);

  /// Takes over a new size of the volume: scans every path anew, waits until all show the same
  /// size, and switches the map to it. A path that cannot be scanned is named; if the size has
  /// changed it is taken out of the map, to be joined later. What is on the volume (partitions,
  /// file systems) is the caller's.
  ///
  /// @blocks  Up to ctx.deadline, and then up to 10 s to put the map right.
  /// @errors  not_found (not attached), data_at_risk (the volume has shrunk, and allow_shrink is
  ///          off), identity_mismatch (no path shows the volume any more), unavailable (no path
  ///          answers, or they do not agree on a size), permission_denied, unsupported, busy,
  ///          corrupt (the log), deadline_exceeded, cancelled, io.
  /// @outcome unchanged: the map has its old length; unknown: the old or the new one. Never
  ///          suspended, see recover().
  Result<ResizeReport> resize(const Ctx& ctx, const std::string& id, const ResizeOptions& options);

  /// Detaches: flushes, removes the map and every SCSI device of the unit, and logs out of sessions
  /// that nothing else uses.
  ///
  /// While no path answers, or somebody has the volume open who may let go, it waits; for whoever
  /// opens the map after the flush as well, and then flushes again. A map that nobody has open,
  /// over disks without a volatile cache, has nothing left to be written and needs no path; the
  /// report has a warning then. If all paths are lost in the very moment in which it flushes, and
  /// the map queues, the flush is left behind until a path is back.
  ///
  /// @blocks  Up to ctx.deadline, and a few seconds more to say what is left.
  /// @errors  data_at_risk (the flush failed or could not finish: nothing was removed; if writes
  ///          were lost, another detach goes on without them and warns), busy (in use; the message
  ///          names the holders), identity_mismatch (its map also has a disk of another volume),
  ///          permission_denied, unavailable (no iscsid, with force too), unsupported, corrupt (the
  ///          log), exhausted, deadline_exceeded, cancelled, io.
  /// @outcome unchanged until something was removed; afterwards recover() completes what is left.
  Result<DetachReport> detach(const Ctx& ctx, const std::string& id, const DetachOptions& options);

  /// Every attachment in the log, held against what the kernel shows. One whose log is damaged has
  /// the status "unreadable".
  Result<std::vector<Attachment>> list(const Ctx& ctx);
  /// @errors  not_found, corrupt (the log), io.
  Result<Attachment> show(const Ctx& ctx, const std::string& id);
  /// The transaction log of one attachment, one readable line a record.
  /// @errors  not_found, corrupt, io.
  Result<std::vector<std::string>> log(const Ctx& ctx, const std::string& id);

  /// Undoes or completes what a dead process left half-done. Spares what a live one works on, and a
  /// disk that somebody uses by now: its volume is among those that failed, with busy.
  ///
  /// @blocks  Up to ctx.deadline. What there was no time for is among those that failed.
  Result<RecoverReport> recover(const Ctx& ctx);

  /// Asks a portal which targets it serves (SendTargets), in this process; writes nothing down.
  /// iscsid, which has to run, says the initiator's name. Of a name the first address is asked. Of
  /// each target the first 64 portals are kept.
  ///
  /// @errors  invalid_argument (half of a pair of CHAP credentials), permission_denied (not root),
  ///          not_found (the name), unauthenticated, unavailable, unsupported (this iscsid),
  ///          exhausted (more than 4096 targets), protocol, io, and those of `ctx`.
  /// @source  RFC 7143 appendix C.
  Result<std::vector<DiscoveredTarget>> discover(const Ctx& ctx, const Portal& portal,
                                                 const std::optional<Chap>& chap);

  Result<std::vector<SessionReport>> sessions(const Ctx& ctx);

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace hawser
