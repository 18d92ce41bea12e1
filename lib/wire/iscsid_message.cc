#include "wire/iscsid_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace hawser {
namespace {

using F = IscsidField;

constexpr std::size_t kSidOffset = 8;
constexpr std::size_t kBodyOffset = 8;
constexpr std::size_t kConfigBytes = 255;
constexpr std::uint32_t kImpossibleSid = 0x7ffffff0;

// Widths of the text fields; the same in every layout. (A musl daemon has 255 bytes for the
// address, more than any number takes.)
constexpr std::size_t kTargetNameBytes = 224;  // RFC 7143 section 4.2.7.1; the field has 255.
constexpr std::size_t kChapBytes = 256;
constexpr std::size_t kAddressBytes = 255;
constexpr std::size_t kIfaceNameBytes = 65;
constexpr std::size_t kTransportBytes = 16;
constexpr std::size_t kNetdevBytes = 16;
constexpr std::size_t kHwaddressBytes = 18;

constexpr std::string_view kTransport = "tcp";

// CHAP algorithms by number (RFC 7143 section 12.1.3 and its registry), the best first: SHA3-256,
// SHA-256, SHA-1, MD5. iscsid drops those that its crypto library does not have.
constexpr std::array<std::uint32_t, 5> kChapAlgorithms{8, 7, 6, 5, 0xffffffff};

constexpr std::chrono::seconds kTimeoutMax = std::chrono::hours(24);

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

// Fills one record, field by field. What it gets was checked before.
class RecordWriter {
 public:
  RecordWriter(std::string& request, const IscsidLayout& layout)
      : request_(request), layout_(layout) {}

  void number(F field, std::uint32_t value) {
    if (layout_.has(field)) put(request_, layout_.offset(field), value);
  }
  void seconds(F field, std::chrono::seconds value) {
    number(field, static_cast<std::uint32_t>(value.count()));
  }
  void text(F field, std::string_view value) { text_at(layout_.offset(field), value); }
  void text_at(std::size_t offset, std::string_view value) {
    value.copy(request_.data() + offset, value.size());
  }
  void numbers(F field, std::span<const std::uint32_t> values) {
    if (!layout_.has(field)) return;
    for (std::size_t i = 0; i < values.size(); ++i)
      put(request_, layout_.offset(field) + sizeof values[0] * i, values[i]);
  }

 private:
  std::string& request_;
  const IscsidLayout& layout_;
};

Error invalid(const std::string& what, const std::string& cause) {
  return Error(Errc::invalid_argument, "log in: " + what + ": " + cause).with(Stage::input);
}

// `bytes` is the width of the field, with the NUL at its end.
Status check_text(const std::string& what, std::string_view value, std::size_t bytes) {
  if (value.empty()) return invalid(what, "is empty");
  if (value.size() >= bytes) {
    return invalid(what, "is longer than " + std::to_string(bytes - 1) + " bytes");
  }
  if (value.find('\0') != value.npos) return invalid(what, "has a NUL in it");
  return ok();
}

// A name that shows up in sysfs, logs and paths.
Status check_name(const std::string& what, const std::string& name, std::size_t bytes) {
  HAWSER_TRY(check_text(what, name, bytes));
  const bool is_plain =
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
  return is_plain ? ok() : invalid(what, "has a blank or a character that is not ASCII");
}

Status check_chap(const Chap& chap) {
  // With the incoming half alone, iscsid would log in without any authentication; with half of the
  // incoming pair, without that of the target.
  const bool is_mutual = !chap.username_in.empty() || !chap.password_in.empty();
  if (is_mutual && chap.password.empty()) {
    return invalid("CHAP", "mutual authentication needs outgoing credentials as well");
  }
  HAWSER_TRY(check_text("CHAP username", chap.username, kChapBytes));
  HAWSER_TRY(check_text("CHAP password", chap.password.reveal(), kChapBytes));
  if (!is_mutual) return ok();
  HAWSER_TRY(check_text("incoming CHAP username", chap.username_in, kChapBytes));
  return check_text("incoming CHAP password", chap.password_in.reveal(), kChapBytes);
}

// A link-local address has its zone behind a '%': the name of a NIC.
bool is_numeric(const std::string& address) {
  in6_addr ignored{};
  if (::inet_pton(AF_INET, address.c_str(), &ignored) == 1) return true;
  const std::size_t zone = address.find('%');
  const bool is_zoned = zone != address.npos && zone + 1 < address.size();
  const std::string bare = is_zoned ? address.substr(0, zone) : address;
  return ::inet_pton(AF_INET6, bare.c_str(), &ignored) == 1;
}

Status check_binding(const IfaceBinding& binding) {
  const auto check_if_given = [](const char* what, const std::string& name, std::size_t bytes) {
    return name.empty() ? ok() : check_name(what, name, bytes);
  };
  HAWSER_TRY(check_name("transport", binding.transport, kTransportBytes));
  HAWSER_TRY(check_if_given("NIC", binding.netdev, kNetdevBytes));
  HAWSER_TRY(check_if_given("hardware address", binding.hwaddress, kHwaddressBytes));
  return check_if_given("initiator", binding.initiator_name, kTargetNameBytes);
}

Status check_login(const LoginRequest& login) {
  HAWSER_TRY(check_name("target", login.target, kTargetNameBytes));
  HAWSER_TRY(check_name("iface", login.iface, kIfaceNameBytes));
  HAWSER_TRY(check_binding(login.binding));
  // iscsid would look a name up while everybody waits.
  if (!is_numeric(login.address)) {
    return invalid("address '" + login.address + "'", "is not numeric");
  }
  HAWSER_TRY(check_name("address", login.address, kAddressBytes));  // A NUL hides from inet_pton.
  if (login.port == 0) return invalid("port", "is 0");
  if (login.login_timeout < std::chrono::seconds(1) || login.login_timeout > kTimeoutMax) {
    return invalid("login timeout", "is not between 1 second and 1 day");
  }
  if (login.recovery_timeout < std::chrono::seconds(0) || login.recovery_timeout > kTimeoutMax) {
    return invalid("recovery timeout", "is not between 0 seconds and 1 day");
  }
  return login.chap == nullptr ? ok() : check_chap(*login.chap);
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

void write_iface(RecordWriter& record, const IscsidLayout& layout, const LoginRequest& login) {
  record.text(F::iface_name, login.iface);  // Empty would match any session of the target.
  record.text(F::transport_name, login.binding.transport);
  record.text_at(layout.netdev_offset(), login.binding.netdev);
  record.text_at(layout.hwaddress_offset(), login.binding.hwaddress);
  record.text_at(layout.initiator_name_offset(), login.binding.initiator_name);
}

void write_chap(RecordWriter& record, const Chap& chap) {
  record.number(F::auth_method, 1);  // Lengths decide in iscsid; said all the same.
  record.text(F::username, chap.username);
  record.text(F::password, chap.password.reveal());
  record.number(F::password_length, static_cast<std::uint32_t>(chap.password.size()));
  record.text(F::username_in, chap.username_in);
  record.text(F::password_in, chap.password_in.reveal());
  record.number(F::password_in_length, static_cast<std::uint32_t>(chap.password_in.size()));
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
  RecordWriter(request, layout).text(F::transport_name, kTransport);
  return request;
}

Result<std::string> encode_login(const IscsidLayout& layout, const LoginRequest& login) {
  if (!layout.has(F::scan)) {
    return Error(Errc::unsupported, "log in: iscsid " + std::string(layout.releases) +
                                        ": it scans every LUN at login; 2.0.875 or later is needed")
        .with(Stage::preflight);
  }
  HAWSER_TRY(check_login(login));  // All of it first: no secret is copied for nothing.
  std::string request = encode_request(IscsidCommand::session_login, layout.request_bytes);
  RecordWriter record(request, layout);
  write_defaults(record);
  record.text(F::target_name, login.target);
  record.text(F::address, login.address);
  write_iface(record, layout, login);
  record.number(F::port, login.port);
  record.number(F::tpgt, login.group ? *login.group : 0xffffffff);  // -1: not known.
  record.number(F::login_retry_max, 1);
  record.seconds(F::login_timeout, login.login_timeout);
  record.seconds(F::replacement_timeout, login.recovery_timeout);
  record.numbers(F::chap_algorithms, kChapAlgorithms);
  if (login.chap != nullptr) write_chap(record, *login.chap);
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
  if (command == IscsidCommand::config_initiator_name && reply.result == iscsid_result::kSuccess) {
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

}  // namespace hawser
