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
  std::string_view name;  ///< Stable: "login.sent".
  std::string text;       ///< For people. Never holds a secret.
  std::string portal{};   ///< The path it is about, if any.
};

struct ClientOptions {
  /// Transaction logs. Made if it is not there (0700); refused if it is a symbolic link or writable
  /// by anybody else.
  std::string state_dir = "/var/lib/hawser";
  /// Called on whichever thread does the work, one call at a time; must be quick and must not call
  /// back into the client. Empty: no events.
  std::function<void(const Event&)> on_event{};
};

struct AttachOptions {
  Multipath multipath = Multipath::preferred;
  /// Verified paths after which attach may return without waiting for the rest longer than `grace`.
  std::uint32_t min_paths = 1;
  /// How long to wait for further paths once there are `min_paths`.
  std::chrono::nanoseconds grace = std::chrono::seconds(5);
  /// How long iscsid tries one portal: 1 s or more, whole seconds. The deadline still wins.
  std::chrono::seconds login_timeout{15};
  /// Also write open-iscsi node records, so that `iscsiadm -m node` knows the sessions.
  bool node_record = false;
};

struct DetachOptions {
  /// Clean the host even if data is lost; the report says so.
  bool force = false;
};

/// A connection to this host's iSCSI initiator and device-mapper, and to the state directory.
///
/// @threads Safe from several threads at once; volumes are worked on in parallel.
class HAWSER_API Client {
 public:
  /// @errors  permission_denied (not root, or the state directory is not safe), io.
  static Result<Client> open(ClientOptions options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  /// Attaches a volume: logs in on every path in parallel, scans its one LUN, checks that all paths
  /// show the same unit, and builds the map. A volume that is attached already is returned as it
  /// is.
  ///
  /// @blocks  Up to ctx.deadline, and then up to 30 s to undo.
  /// @errors  invalid_argument, permission_denied, unavailable (no portal could be used; see
  ///          Error::paths()), unauthenticated, identity_mismatch, unsupported (this iscsid, or no
  ///          multipath in the kernel), busy, deadline_exceeded, cancelled, io, internal.
  /// @outcome unchanged, unless the undo failed as well; then unknown, see recover().
  Result<Attachment> attach(const Ctx& ctx, const VolumeSpec& spec, const AttachOptions& options);

  /// Detaches: flushes, removes the map and every SCSI device of the unit, and logs out of sessions
  /// that nothing else uses.
  ///
  /// @blocks  Up to ctx.deadline.
  /// @errors  data_at_risk (the flush failed or could not finish: nothing was removed), busy (in
  ///          use; the message names the holders), deadline_exceeded, cancelled, io.
  /// @outcome unchanged until the flush succeeded; afterwards recover() completes what is left.
  Result<DetachReport> detach(const Ctx& ctx, const std::string& id, const DetachOptions& options);

  /// Every attachment in the log, held against what the kernel shows.
  Result<std::vector<Attachment>> list(const Ctx& ctx);
  /// @errors  not_found.
  Result<Attachment> show(const Ctx& ctx, const std::string& id);
  /// The transaction log of one attachment, one readable line a record.
  /// @errors  not_found.
  Result<std::vector<std::string>> log(const Ctx& ctx, const std::string& id);

  /// Undoes or completes what a dead process left half-done. Spares what a live one works on.
  Result<RecoverReport> recover(const Ctx& ctx);

  /// Asks a portal which targets it serves (SendTargets), in this process; writes nothing down.
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
