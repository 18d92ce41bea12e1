#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "hawser/volume.h"

namespace hawser {

// What it takes to log in to one target at one portal.
struct LoginRequest {
  std::string target{};
  std::string address{};  // Numeric, without brackets: iscsid would block on a name.
  std::uint16_t port = 3260;
  std::optional<std::uint16_t> group{};
  std::string iface = "default";
  const Chap* chap = nullptr;  // Borrowed for the call; null for none.
  std::chrono::seconds login_timeout{15};
  std::chrono::seconds recovery_timeout{5};  // Session replacement timeout.
};

}  // namespace hawser
