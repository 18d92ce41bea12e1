#include "wire/iscsid_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace hawser {
namespace {

using F = IscsidField;

constexpr std::size_t kHeaderBytes = 16;  // Command, payload length, session id.
constexpr std::size_t kSidOffset = 8;
constexpr std::size_t kBodyOffset = 8;
constexpr std::size_t kConfigBytes = 255;
constexpr std::uint32_t kImpossibleSid = 0x7ffffff0;

// Widths of the text fields; the same in every layout. (A musl daemon has 255 bytes for the
// address, more than any number takes.)
constexpr std::size_t kTargetNameBytes = 255;
constexpr std::size_t kChapBytes = 256;
constexpr std::size_t kAddressBytes = 255;
constexpr std::size_t kIfaceNameBytes = 65;
constexpr std::size_t kTransportNameBytes = 16;

// CHAP algorithms by number (RFC 7143 section 12.1.3 and its registry), the best first: SHA3-256,
// SHA-256, SHA-1, MD5. iscsid drops those that its crypto library does not have.
constexpr std::array<std::uint32_t, 5> kChapAlgorithms{8, 7, 6, 5, 0xffffffff};

// The offsets of counters in a reply to session_stats.
constexpr std::size_t kTxBytes = 64;
constexpr std::size_t kRxBytes = 72;
constexpr std::size_t kCommands = 84;
constexpr std::size_t kResponses = 116;
constexpr std::size_t kDigestErrors = 148;
constexpr std::size_t kTimeoutErrors = 152;

template <class Number>
Number get(std::string_view bytes, std::size_t offset) {
  Number value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);  // iscsid is on this very machine.
  return value;
}

template <class Number>
void put(std::string& bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// Fills one record, field by field.
class RecordWriter {
 public:
  RecordWriter(std::string& request, const IscsidLayout& layout)
      : request_(request), layout_(layout) {}

  void number(F field, std::uint32_t value) {
    if (layout_.has(field)) put(request_, layout_.offset(field), value);
  }
  // `bytes` is the width of the field, with the NUL at its end.
  Status text(F field, std::string_view value, std::size_t bytes, const std::string& what) {
    if (value.size() >= bytes) {
      return Error(Errc::invalid_argument,
                   what + " is longer than " + std::to_string(bytes - 1) + " bytes");
    }
    if (value.find('\0') != value.npos) return Error(Errc::invalid_argument, what + " has a NUL");
    value.copy(request_.data() + layout_.offset(field), value.size());
    return ok();
  }

 private:
  std::string& request_;
  const IscsidLayout& layout_;
};

bool is_numeric_address(const std::string& address) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, address.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
}

// Zero would be dangerous in most of these: time-outs off, no data in flight. The values are
// open-iscsi's own defaults unless a reason is given.
void write_defaults(RecordWriter& record) {
  record.number(F::cmds_max, 128);
  record.number(F::queue_depth, 32);
  record.number(F::login_redirect_max, 8);
  record.number(F::nr_sessions, 1);
  record.number(F::scan, 0);  // Manual: the one LUN is ours to scan.
  record.number(F::abort_timeout, 15);
  record.number(F::lu_reset_timeout, 30);
  record.number(F::target_reset_timeout, 30);
  record.number(F::host_reset_timeout, 60);
  record.number(F::immediate_data, 1);
  record.number(F::first_burst_length, 262144);
  record.number(F::max_burst_length, 16776192);
  record.number(F::default_time2wait, 2);
  record.number(F::max_connections, 1);
  record.number(F::max_outstanding_r2t, 1);
  record.number(F::fast_abort, 1);
  record.number(F::reopen_log_frequency, 1);
  record.number(F::logout_timeout, 15);
  record.number(F::auth_timeout, 45);
  record.number(F::noop_out_interval, 5);
  record.number(F::noop_out_timeout, 5);
  record.number(F::max_recv_segment_length, 262144);
  // The window size stays zero: that leaves the kernel's own tuning on.
}

Status write_chap(RecordWriter& record, std::string& request, const IscsidLayout& layout,
                  const Chap* chap) {
  if (layout.has(F::chap_algorithms)) {
    for (std::size_t i = 0; i < kChapAlgorithms.size(); ++i)
      put(request, layout.offset(F::chap_algorithms) + 4 * i, kChapAlgorithms[i]);
  }
  if (chap == nullptr) return ok();
  // iscsid would log in without any authentication if only the incoming half were there.
  if (chap->password.empty()) {
    return Error(Errc::invalid_argument, "mutual CHAP needs outgoing credentials as well");
  }
  record.number(F::auth_method, 1);
  HAWSER_TRY(record.text(F::username, chap->username, kChapBytes, "CHAP username"));
  HAWSER_TRY(record.text(F::password, chap->password.reveal(), kChapBytes, "CHAP password"));
  record.number(F::password_length, static_cast<std::uint32_t>(chap->password.size()));
  if (chap->password_in.empty()) return ok();
  HAWSER_TRY(record.text(F::username_in, chap->username_in, kChapBytes, "incoming CHAP username"));
  HAWSER_TRY(record.text(F::password_in, chap->password_in.reveal(), kChapBytes,
                         "incoming CHAP password"));
  record.number(F::password_in_length, static_cast<std::uint32_t>(chap->password_in.size()));
  return ok();
}

}  // namespace

std::string encode_request(IscsidCommand command, std::size_t request_bytes) {
  std::string request(std::max(request_bytes, sizeof(std::uint32_t)), '\0');
  put(request, 0, static_cast<std::uint32_t>(command));
  return request;
}

std::string encode_session_request(IscsidCommand command, const IscsidLayout& layout,
                                   std::uint32_t sid) {
  std::string request = encode_request(command, layout.request_bytes);
  put(request, kSidOffset, sid);
  return request;
}

std::string encode_layout_check(const IscsidLayout& layout) {
  std::string request = encode_session_request(IscsidCommand::session_sync, layout, kImpossibleSid);
  constexpr std::string_view kTcp = "tcp";
  kTcp.copy(request.data() + layout.offset(F::transport_name), kTcp.size());
  return request;
}

Result<std::string> encode_login(const IscsidLayout& layout, const LoginRequest& login) {
  if (!layout.has(F::scan)) {
    return Error(Errc::unsupported, "iscsid " + std::string(layout.releases) +
                                        " scans every LUN at login; 2.0.875 or later is needed");
  }
  if (!is_numeric_address(login.address)) {
    return Error(Errc::invalid_argument, "address '" + login.address + "' is not numeric");
  }
  if (login.target.empty() || login.iface.empty()) {
    return Error(Errc::invalid_argument, "target or iface name is empty");
  }
  std::string request = encode_request(IscsidCommand::session_login, layout.request_bytes);
  RecordWriter record(request, layout);
  write_defaults(record);
  HAWSER_TRY(record.text(F::target_name, login.target, kTargetNameBytes, "target name"));
  HAWSER_TRY(record.text(F::address, login.address, kAddressBytes, "address"));
  HAWSER_TRY(record.text(F::iface_name, login.iface, kIfaceNameBytes, "iface name"));
  HAWSER_TRY(record.text(F::transport_name, "tcp", kTransportNameBytes, "transport name"));
  record.number(F::port, login.port);
  record.number(F::tpgt, login.group ? *login.group : 0xffffffff);  // -1: not known.
  record.number(F::login_retry_max, 1);
  record.number(F::login_timeout, static_cast<std::uint32_t>(login.login_timeout.count()));
  record.number(F::replacement_timeout, static_cast<std::uint32_t>(login.recovery_timeout.count()));
  HAWSER_TRY(write_chap(record, request, layout, login.chap));
  return request;
}

Result<IscsidReply> decode_reply(std::string_view bytes, IscsidCommand command) {
  if (bytes.size() != kIscsidReplyBytes) {
    return Error(Errc::protocol, "reply of " + std::to_string(bytes.size()) + " bytes instead of " +
                                     std::to_string(kIscsidReplyBytes));
  }
  IscsidReply reply{.command = get<std::uint32_t>(bytes, 0), .result = get<std::int32_t>(bytes, 4)};
  // A peer that is refused gets its answer before its request was read.
  const bool is_refusal = reply.command == 0 && reply.result != 0;
  if (reply.command != static_cast<std::uint32_t>(command) && !is_refusal) {
    return Error(Errc::protocol, "reply to command " + std::to_string(reply.command) +
                                     " instead of " +
                                     std::to_string(static_cast<std::uint32_t>(command)));
  }
  if (command == IscsidCommand::config_initiator_name) {
    const std::string_view text = bytes.substr(kBodyOffset, kConfigBytes);
    const std::size_t end = text.find('\0');
    if (end == text.npos) return Error(Errc::protocol, "initiator name has no end");
    reply.initiator_name = text.substr(0, end);
  }
  if (command == IscsidCommand::session_stats && reply.result == iscsid_result::kSuccess) {
    reply.counters = {.tx_bytes = get<std::uint64_t>(bytes, kTxBytes),
                      .rx_bytes = get<std::uint64_t>(bytes, kRxBytes),
                      .commands = get<std::uint32_t>(bytes, kCommands),
                      .responses = get<std::uint32_t>(bytes, kResponses),
                      .digest_errors = get<std::uint32_t>(bytes, kDigestErrors),
                      .timeout_errors = get<std::uint32_t>(bytes, kTimeoutErrors)};
  }
  return reply;
}

Error iscsid_error(int result, IscsidCommand command) {
  struct Meaning {
    int result;
    Errc code;
    std::string_view text;
  };
  constexpr Meaning kMeanings[] = {
      {1, Errc::io, "iscsid failed without saying why"},
      {2, Errc::not_found, "iscsid knows no such session"},
      {3, Errc::exhausted, "iscsid is out of memory"},
      {4, Errc::unavailable, "iscsid could not resolve the address"},
      {5, Errc::protocol,
       "login failed; see iscsid's log (no InitiatorName, no common CHAP algorithm, or the target "
       "kept answering with an error)"},
      {7, Errc::invalid_argument, "iscsid refused a parameter"},
      {8, Errc::unavailable, "no connection: refused, unreachable or timed out"},
      {9, Errc::busy, "iscsid is busy with this session"},
      {11, Errc::unavailable, "connected, but the target did not answer the login"},
      {12, Errc::unsupported, "iscsid has no such transport; is the module iscsi_tcp there?"},
      {13, Errc::permission_denied, "iscsid takes requests from root only"},
      {15, Errc::already_exists, "such a session exists or is being made"},
      {16, Errc::unsupported, "iscsid does not know the request"},
      {19, Errc::protocol,
       "the target refused the login for good, or failed to authenticate itself to us (mutual "
       "CHAP)"},
      {24, Errc::unauthenticated, "the target refused our CHAP credentials"},
      {28, Errc::busy, "iscsid says the session is in use"},
      {32, Errc::busy, "the session is lost and cannot be logged out of now"},
  };
  const auto meaning = std::find_if(std::begin(kMeanings), std::end(kMeanings),
                                    [result](const Meaning& m) { return m.result == result; });
  const bool is_known = meaning != std::end(kMeanings);
  Error error(is_known ? meaning->code : Errc::io,
              is_known ? std::string(meaning->text) : "iscsid failed with an unknown result");
  const bool is_login = command == IscsidCommand::session_login;
  return std::move(error).with_iscsi_status(result).with(is_login ? Stage::login : Stage::none);
}

}  // namespace hawser
