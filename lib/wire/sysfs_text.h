// What sysfs says of sessions and their disks, apart from plain numbers.
// Source: Linux drivers/scsi/scsi_transport_iscsi.c, Documentation/driver-api/driver-model.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/scsi_device.h"
#include "model/session.h"

namespace hawser {

// The word of a session's "state".
std::optional<SessionState> parse_session_state(std::string_view word);

// The sid in "session3".
std::optional<std::uint32_t> parse_session_name(std::string_view name);

// The host's number in the link of a session, ".../host3/session1/iscsi_session/session1".
std::optional<std::uint32_t> parse_session_host(std::string_view link);

// Where a disk is, by the link of its device number: ".../session1/target3:0:0/3:0:0:1/block/sdb".
struct DiskPlace {
  std::uint32_t sid = 0;
  Hctl hctl{};

  bool operator==(const DiskPlace&) const = default;
};
// nullopt for what is no disk of an iSCSI session.
std::optional<DiskPlace> parse_disk_link(std::string_view link);

}  // namespace hawser
