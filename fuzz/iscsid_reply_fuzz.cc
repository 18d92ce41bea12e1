// Property: a reply that decode_reply() accepts has the right size, says nothing that is not in its
// bytes, and stays within its fields. Everything else is an Error, never a crash.
//
// Input: a selector (low bits: the command; top bit: take the size as it is), then the reply.
// Without the top bit it is padded or cut to the one size that is ever accepted, since a fuzzer
// would find that out anew for every input.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "hawser/detail/assert.h"

#include "wire/iscsid_message.h"

namespace {

using hawser::IscsidCommand;

constexpr std::array kCommands{IscsidCommand::session_login,         IscsidCommand::session_logout,
                               IscsidCommand::session_stats,         IscsidCommand::session_sync,
                               IscsidCommand::config_initiator_name, IscsidCommand::session_info};
constexpr std::uint8_t kSizeAsItIs = 0x80;

void check(const hawser::IscsidReply& reply, const std::string& bytes, IscsidCommand command) {
  HAWSER_ASSERT(bytes.size() == hawser::kIscsidReplyBytes);
  HAWSER_ASSERT(std::memcmp(&reply.result, bytes.data() + 4, sizeof reply.result) == 0);
  const bool is_refusal = reply.command == 0 && reply.result != 0;
  HAWSER_ASSERT(is_refusal || reply.command == static_cast<std::uint32_t>(command));
  const bool is_success = reply.result == hawser::iscsid_result::kSuccess;
  HAWSER_ASSERT(reply.counters.has_value() ==
                (command == IscsidCommand::session_stats && is_success));
  const bool has_name = command == IscsidCommand::config_initiator_name && is_success;
  HAWSER_ASSERT(reply.initiator_name == (has_name ? std::string(bytes.c_str() + 8) : ""));
  HAWSER_ASSERT(reply.initiator_name.size() < 255);
  if (is_success) return;
  const hawser::Error error = hawser::iscsid_error(reply.result, command);
  HAWSER_ASSERT(error.iscsi_status() == reply.result);
  HAWSER_ASSERT(!error.message().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const IscsidCommand command = kCommands[(data[0] & ~kSizeAsItIs) % kCommands.size()];
  std::string bytes(data + 1, data + size);
  if ((data[0] & kSizeAsItIs) == 0) bytes.resize(hawser::kIscsidReplyBytes);

  const hawser::Result<hawser::IscsidReply> reply = hawser::decode_reply(bytes, command);
  if (reply) check(*reply, bytes, command);
  return 0;
}
