// Requests to iscsid and its replies, for every layout of iscsid_layout.h.
// Source: open-iscsi usr/mgmt_ipc.h, include/iscsi_err.h, and measurements of running daemons.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hawser/attachment.h"
#include "hawser/result.h"

#include "model/login.h"
#include "wire/iscsid_layout.h"

namespace hawser {

enum class IscsidCommand : std::uint32_t {
  session_login = 1,
  session_logout = 2,
  session_stats = 7,
  config_initiator_name = 8,
  session_sync = 12,
  session_info = 13,
};

// Results of iscsid that we act on. Source: open-iscsi include/iscsi_err.h.
namespace iscsid_result {
inline constexpr int kSuccess = 0;
inline constexpr int kSessionNotFound = 2;
inline constexpr int kNoInitiatorName = 5;
inline constexpr int kInternal = 9;
inline constexpr int kTransportNotFound = 12;
inline constexpr int kSessionExists = 15;
inline constexpr int kFatalLogin = 19;
inline constexpr int kSysfsLookup = 22;
inline constexpr int kLoginAuthFailed = 24;
inline constexpr int kSessionNotConnected = 32;
}  // namespace iscsid_result

// The reply has one size in every release.
inline constexpr std::size_t kIscsidReplyBytes = 2464;

// A sid that no session has: iscsid keeps first logins under it until the kernel gave them one.
inline constexpr std::uint32_t kSidOfFirstLogin = 0xffffffff;

// A request without a record. With a size of our choice, for probing.
std::string encode_request(IscsidCommand command, std::size_t request_bytes);
std::string encode_session_request(IscsidCommand command, const IscsidLayout& layout,
                                   std::uint32_t sid);

// Adopting a session that does not exist, with only the transport's name in the record: iscsid
// answers that it did not find the session only if it found the name where `layout` has it.
std::string encode_layout_check(const IscsidLayout& layout);

// A login with a record of our own: manual scan, one try, and no field left to chance, since iscsid
// adds no defaults and checks nothing: it copies secrets by the length that we give. The caller
// wipes the result: the secrets are in it.
//
// Errors: invalid_argument (a value that does not fit, or is not numeric where it must be),
// unsupported (a daemon that scans every LUN at login).
Result<std::string> encode_login(const IscsidLayout& layout, const LoginRequest& login);

struct IscsidReply {
  std::uint32_t command = 0;
  int result = 0;
  std::string initiator_name{};                       // Of config_initiator_name.
  std::optional<SessionReport::Counters> counters{};  // Of session_stats.
};

// Errors: protocol, for anything that is not a whole reply to `command`.
Result<IscsidReply> decode_reply(std::string_view bytes, IscsidCommand command);

// The error of a result other than success, with what it means to the caller.
Error iscsid_error(int result, IscsidCommand command);

// That of a login: says which side refused the other, as far as the credentials that were sent
// tell.
Error login_error(int result, const Chap* chap);

// The part of the work that a command belongs to.
Stage stage_of(IscsidCommand command);

}  // namespace hawser
