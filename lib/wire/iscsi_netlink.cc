#include "wire/iscsi_netlink.h"

#include <cstring>

namespace hawser {
namespace {

// struct iscsi_uevent: type, iferror, transport handle, request union, reply union.
constexpr std::size_t kEventBytes = 56;
constexpr std::size_t kHandle = 8;
constexpr std::size_t kRequest = 16;
constexpr std::size_t kReply = 40;
// struct iscsi_stats behind it.
constexpr std::size_t kStatsBytes = 96;

template <class Number>
Number get(std::string_view bytes, std::size_t offset) {
  Number value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

Result<IscsiEvent> decode_iscsi_event(std::string_view payload) {
  if (payload.size() < kEventBytes) {
    return Error(Errc::protocol, "iSCSI event of " + std::to_string(payload.size()) + " bytes");
  }
  IscsiEvent event{.type = get<std::uint32_t>(payload, 0)};
  switch (static_cast<IscsiEventType>(event.type)) {
    case IscsiEventType::get_stats: {
      event.sid = get<std::uint32_t>(payload, kRequest);
      if (payload.size() < kEventBytes + kStatsBytes) {
        return Error(Errc::protocol, "iSCSI statistics are cut off");
      }
      const std::string_view stats = payload.substr(kEventBytes);
      event.counters = {.tx_bytes = get<std::uint64_t>(stats, 0),
                        .rx_bytes = get<std::uint64_t>(stats, 8),
                        .commands = get<std::uint32_t>(stats, 20),
                        .responses = get<std::uint32_t>(stats, 52),
                        .digest_errors = get<std::uint32_t>(stats, 84),
                        .timeout_errors = get<std::uint32_t>(stats, 88)};
      break;
    }
    case IscsiEventType::session_destroyed:  // Host first here, session first in the others.
      event.sid = get<std::uint32_t>(payload, kReply + 4);
      break;
    case IscsiEventType::connection_error:
      event.sid = get<std::uint32_t>(payload, kReply);
      event.error = get<std::uint32_t>(payload, kReply + 8);
      break;
    default: event.sid = get<std::uint32_t>(payload, kReply); break;
  }
  return event;
}

std::string encode_get_stats(std::uint64_t transport_handle, std::uint32_t sid) {
  std::string payload(kEventBytes, '\0');
  const auto type = static_cast<std::uint32_t>(IscsiEventType::get_stats);
  std::memcpy(payload.data(), &type, sizeof type);
  std::memcpy(payload.data() + kHandle, &transport_handle, sizeof transport_handle);
  std::memcpy(payload.data() + kRequest, &sid, sizeof sid);
  return payload;
}

}  // namespace hawser
