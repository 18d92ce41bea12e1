#include <algorithm>
#include <iterator>

#include "wire/iscsid_message.h"

namespace hawser {
namespace {

struct Meaning {
  int result;
  Errc code;
  std::string_view text;
};

// What iscsid's results mean, and whose turn it is.
// Source: open-iscsi include/iscsi_err.h, and what running daemons answered to which failure.
constexpr Meaning kMeanings[] = {
    {1, Errc::io, "failed without saying why; see iscsid's log"},
    {2, Errc::not_found, "iscsid knows no such session"},
    {3, Errc::exhausted, "iscsid is out of memory"},
    {4, Errc::unavailable, "iscsid could not make an address of what it was given"},
    {5, Errc::protocol,
     "failed; see iscsid's log (iscsid has no InitiatorName, no CHAP algorithm that both allow, or "
     "the target kept answering with an error)"},
    {7, Errc::invalid_argument, "iscsid refused a parameter"},
    {8, Errc::unavailable, "no TCP connection: refused, unreachable or timed out"},
    {9, Errc::io, "iscsid or the kernel failed; see iscsid's log"},
    {11, Errc::unavailable, "connected, but the target did not answer the login in time"},
    {12, Errc::unsupported,
     "iscsid has no such transport: load the kernel module iscsi_tcp, or ib_iser for iser (or "
     "iscsid "
     "was just replaced by another release: try again)"},
    {13, Errc::permission_denied, "iscsid takes requests from root only"},
    {15, Errc::already_exists, "such a session exists or is being made"},
    {16, Errc::unsupported, "iscsid does not know this request"},
    {19, Errc::protocol, "the target refused for good, or the two have no parameters in common"},
    {22, Errc::not_found, "iscsid did not find the session in sysfs"},
    {24, Errc::unauthenticated, "the target refused us"},
    {27, Errc::unsupported, "iscsid does not support this"},
    {28, Errc::busy, "iscsid says that a device of the session is mounted (safe_logout)"},
    {32, Errc::busy, "the session is lost and being remade: no logout until it is back"},
    {33, Errc::unavailable, "the request timed out in iscsid"},
};

// An unbind, a logout or a first login of that session is under way.
constexpr Meaning kLogoutNotNow{9, Errc::busy, "iscsid is at work on this session already"};

constexpr Meaning kUnknown{-1, Errc::io, "failed with a result that is not known here"};

const Meaning& meaning_of(int result, IscsidCommand command) {
  if (result == kLogoutNotNow.result && command == IscsidCommand::session_logout)
    return kLogoutNotNow;
  const auto* found = std::find_if(std::begin(kMeanings), std::end(kMeanings),
                                   [result](const Meaning& m) { return m.result == result; });
  return found == std::end(kMeanings) ? kUnknown : *found;
}

std::string_view name_of(IscsidCommand command) {
  switch (command) {
    case IscsidCommand::session_login: return "log in";
    case IscsidCommand::session_logout: return "log out";
    case IscsidCommand::session_stats: return "read the session's counters";
    case IscsidCommand::config_initiator_name: return "ask for the initiator's name";
    case IscsidCommand::session_sync: return "check the request's layout";
    case IscsidCommand::session_info: return "ask for the session's state";
  }
  return "ask iscsid";
}

Error make_error(int result, const Meaning& meaning, IscsidCommand command) {
  return Error(meaning.code, std::string(name_of(command)) + ": iscsid's result " +
                                 std::to_string(result) + ": " + std::string(meaning.text))
      .with_iscsi_status(result)
      .with(stage_of(command));
}

}  // namespace

Stage stage_of(IscsidCommand command) {
  switch (command) {
    case IscsidCommand::session_login: return Stage::login;
    case IscsidCommand::session_logout: return Stage::logout;
    case IscsidCommand::session_stats:
    case IscsidCommand::config_initiator_name:
    case IscsidCommand::session_sync:
    case IscsidCommand::session_info: break;
  }
  return Stage::none;
}

Error iscsid_error(int result, IscsidCommand command) {
  return make_error(result, meaning_of(result, command), command);
}

Error login_error(int result, const Chap* chap) {
  constexpr auto kLogin = IscsidCommand::session_login;
  Meaning meaning = meaning_of(result, kLogin);
  if (result == iscsid_result::kLoginAuthFailed) {
    meaning.text = chap == nullptr
                       ? "the target refused us: it asks for CHAP credentials, and there are none; "
                         "or it has no entry for this initiator"
                       : "the target refused our CHAP credentials (auth_username, auth_password), "
                         "or has no entry for this initiator";
  }
  // What a wrong answer to our challenge ends as; little else does.
  if (result == iscsid_result::kFatalLogin && chap != nullptr && !chap->password_in.empty()) {
    meaning.code = Errc::unauthenticated;
    meaning.text =
        "this host refused the target, which did not prove itself with the incoming (mutual) CHAP "
        "credentials (auth_username_in, auth_password_in); or the target refused for good";
  }
  return make_error(result, meaning, kLogin);
}

}  // namespace hawser
