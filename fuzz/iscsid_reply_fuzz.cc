// Property: a reply of iscsid is decoded or refused, never read beyond its end; what is accepted
// has bounds.
#include "hawser/detail/assert.h"

#include "wire/iscsid_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using hawser::IscsidCommand;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const IscsidCommand command :
       {IscsidCommand::session_login, IscsidCommand::session_stats,
        IscsidCommand::config_initiator_name, IscsidCommand::session_info}) {
    const auto reply = hawser::decode_reply(bytes, command);
    if (!reply) continue;
    HAWSER_ASSERT(size == hawser::kIscsidReplyBytes);
    HAWSER_ASSERT(reply->initiator_name.size() < 255);
    HAWSER_ASSERT(!reply->counters || command == IscsidCommand::session_stats);
    HAWSER_ASSERT(!hawser::iscsid_error(reply->result, command).message().empty());
  }
  return 0;
}
