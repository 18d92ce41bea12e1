#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "hawser/volume.h"

namespace hawser {

// What an open-iscsi iface stands for. Empty: not bound, and the host's own initiator name.
struct IfaceBinding {
  std::string transport = "tcp";
  std::string netdev{};     // At most 15 bytes.
  std::string hwaddress{};  // "52:54:00:12:34:56"; goes before netdev.
  std::string initiator_name{};

  bool operator==(const IfaceBinding&) const = default;
};

// What it takes to log in to one target at one portal.
struct LoginRequest {
  std::string target{};
  std::string address{};  // Numeric, without brackets: iscsid would block on a name.
  std::uint16_t port = 3260;
  std::optional<std::uint16_t> group{};
  std::string iface = "default";
  IfaceBinding binding{};      // What `iface` stands for.
  const Chap* chap = nullptr;  // Borrowed for the call; null for none.
  std::chrono::seconds login_timeout{15};
  std::chrono::seconds recovery_timeout{5};  // Session replacement timeout.
};

}  // namespace hawser
