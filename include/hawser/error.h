// Errors are values. A code says what the caller can do next, an outcome says whether the host may
// have changed, and the rest says exactly what was tried, and where. Nobody has to parse text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hawser/detail/export.h"

namespace hawser {

/// What the caller can do next. Numbers are stable; new ones are appended.
enum class Errc : int {
  invalid_argument = 1,   ///< Fix the call. Retrying is pointless.
  not_found = 2,          ///< The named object does not exist.
  already_exists = 3,     ///< The object to be created is there already.
  busy = 4,               ///< Somebody holds the object. Retry once they let go.
  permission_denied = 5,  ///< This process may not do that.
  unauthenticated = 6,    ///< CHAP was refused, by the target or by us.
  unavailable = 7,        ///< The peer is down. Retry with backoff.
  deadline_exceeded = 8,  ///< Ctx::deadline passed.
  cancelled = 9,          ///< Ctx::stop was requested.
  protocol = 10,          ///< The peer broke its wire contract.
  corrupt = 11,           ///< Our own persistent state failed its checksum.
  unsupported = 12,  ///< This kernel, daemon or build lacks the feature, or the LUN is no disk.
  exhausted = 13,    ///< A documented limit was reached.
  internal = 14,     ///< A bug in this library. Please report it.
  io = 15,           ///< The kernel or a device failed; see sys_errno().
  identity_mismatch = 16,  ///< A device shows another logical unit than the one asked for.
  data_at_risk = 17,       ///< Refused: going on could lose data that was written.
};

/// Stable name of a code, as printed in JSON: "deadline_exceeded".
HAWSER_API std::string_view to_string(Errc code) noexcept;

/// The part of the work that failed.
enum class Stage {
  none,
  input,      ///< Arguments, specification.
  preflight,  ///< Privileges, daemons, kernel modules.
  journal,    ///< The transaction log.
  resolve,    ///< Host name to address.
  discover,   ///< SendTargets.
  login,
  scan,
  identify,  ///< Comparing what the devices say they are.
  map,       ///< Device-mapper.
  udev,
  flush,
  remove,  ///< Deleting SCSI devices.
  logout,
  recover,
};

/// Stable name of a stage, as printed in JSON: "login".
HAWSER_API std::string_view to_string(Stage stage) noexcept;

/// Whether the failed operation can have left a mark on the host.
enum class Outcome {
  unchanged,  ///< The host is as it was before the call.
  unknown,    ///< The change may have happened, or something is left. recover() deals with it.
};

// std::source_location is missing under clang 14 with libstdc++ 12, hence the builtins.
struct Where {
  const char* file;
  int line;

  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// One failure: what was tried, on which object, what the system answered. A value; thread-safe as
/// any value is.
class HAWSER_API Error {
 public:
  Error(Errc code, std::string message, Where where = Where::here());

  /// The code is derived from `err`; `doing` names the call and its object: "connect /run/x".
  static Error from_errno(int err, std::string_view doing, Where where = Where::here());

  Errc code() const noexcept { return code_; }
  Outcome outcome() const noexcept { return outcome_; }
  Stage stage() const noexcept { return stage_; }
  const std::string& message() const noexcept { return message_; }
  Where where() const noexcept { return where_; }

  /// errno of the failed system call; 0 if none failed.
  int sys_errno() const noexcept { return sys_errno_; }
  /// iscsid's result code (open-iscsi include/iscsi_err.h), if iscsid answered with one.
  std::optional<int> iscsi_status() const noexcept { return iscsi_status_; }
  /// "10.0.1.2:3260,1", or empty.
  const std::string& portal() const noexcept { return portal_; }
  /// IQN, or empty.
  const std::string& target() const noexcept { return target_; }
  std::optional<std::uint16_t> lun() const noexcept { return lun_; }

  /// True if the same call may succeed later without anybody changing anything: of unavailable,
  /// busy, deadline_exceeded, cancelled and data_at_risk. Bound the tries: a volume that is
  /// attached in another way than is asked for, or has shrunk, stays refused.
  bool retryable() const noexcept;
  /// True if data that an application wrote may be lost, or would be by going on.
  bool data_at_risk() const noexcept;
  /// One error for each path that failed, when several were tried.
  const std::vector<Error>& paths() const noexcept { return paths_; }

  /// Adds what the caller was doing: "login iqn.2004-10.x: connect /run/iscsid: ...".
  [[nodiscard]] Error with(std::string_view doing) &&;
  [[nodiscard]] Error with(Outcome outcome) &&;
  /// Sets the stage, unless a deeper layer has set one already.
  [[nodiscard]] Error with(Stage stage) &&;
  [[nodiscard]] Error with_iscsi_status(int status) &&;
  [[nodiscard]] Error with_path(std::string portal, std::string target,
                                std::optional<std::uint16_t> lun) &&;
  [[nodiscard]] Error with_paths(std::vector<Error> paths) &&;

 private:
  Errc code_;
  Outcome outcome_ = Outcome::unchanged;
  Stage stage_ = Stage::none;
  int sys_errno_ = 0;
  Where where_;
  std::string message_;
  std::optional<int> iscsi_status_{};
  std::string portal_{};
  std::string target_{};
  std::optional<std::uint16_t> lun_{};
  std::vector<Error> paths_{};
};

}  // namespace hawser
