// Messages of the kernel's iSCSI netlink protocol (NETLINK_ISCSI).
// Source: Linux include/scsi/iscsi_if.h, drivers/scsi/scsi_transport_iscsi.c.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hawser/attachment.h"
#include "hawser/result.h"

namespace hawser {

enum class IscsiEventType : std::uint32_t {
  get_stats = 20,
  received_pdu = 101,
  connection_error = 102,
  interface_error = 103,
  session_destroyed = 104,
  session_unbound = 105,
  session_created = 106,
};

struct IscsiEvent {
  std::uint32_t type = 0;  // An IscsiEventType, or one that we do not know.
  std::uint32_t sid = 0;
  std::uint32_t error = 0;  // Of connection_error: 1000 and up, see enum iscsi_err.
  std::optional<SessionReport::Counters> counters{};  // Of get_stats.
};

// The payload of one netlink message: struct iscsi_uevent and what follows. Errors: protocol.
Result<IscsiEvent> decode_iscsi_event(std::string_view payload);

// The payload of a request for the counters of connection 0.
std::string encode_get_stats(std::uint64_t transport_handle, std::uint32_t sid);

}  // namespace hawser
