#pragma once

#include <cstdint>
#include <string>

#include "model/scsi_device.h"

namespace hawser {

// The kernel's words of /sys/class/iscsi_session/*/state.
enum class SessionState { logged_in, failed, free };

// One iSCSI session, as sysfs shows it.
struct Session {
  std::uint32_t sid = 0;
  std::uint32_t host_no = 0;  // N of hostN; iscsi_tcp has one host per session.
  std::string target{};
  std::string address{};  // persistent_address: numeric, without brackets.
  std::uint16_t port = 0;
  int tpgt = -1;
  std::string iface{};
  SessionState state = SessionState::free;
  std::uint32_t target_id = 0;  // T of H:C:T:L; 0 for iscsi_tcp.

  bool operator==(const Session&) const = default;

  // Where the kernel has a unit of this session.
  Hctl unit(std::uint32_t lun) const { return {.host = host_no, .target = target_id, .lun = lun}; }
};

}  // namespace hawser
