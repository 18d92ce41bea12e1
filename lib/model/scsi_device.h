#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/identity.h"

namespace hawser {

// SCSI address: host, channel, target, LUN (the kernel's number, see lun.h).
struct Hctl {
  std::uint32_t host = 0;
  std::uint32_t channel = 0;
  std::uint32_t target = 0;
  std::uint64_t lun = 0;

  auto operator<=>(const Hctl&) const = default;
};
std::string to_string(const Hctl& hctl);  // "3:0:0:1"
std::optional<Hctl> parse_hctl(std::string_view text);

// What is at an address.
enum class UnitKind {
  none,
  disk,    // Or one is about to come of it.
  other,   // No disk ever comes of it: a tape, an array's controller.
  vacant,  // Nothing was behind the LUN when it was scanned, and the kernel does not look again.
};

// Device number, as device-mapper tables write it.
struct DevT {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;

  auto operator<=>(const DevT&) const = default;
};
std::string to_string(const DevT& dev);  // "8:16"
std::optional<DevT> parse_dev(std::string_view text);

// One disk of an iSCSI session, as sysfs shows it.
struct ScsiDevice {
  Hctl hctl{};
  std::uint32_t sid = 0;
  std::string name{};  // "sdb"
  DevT dev{};
  std::uint64_t sectors = 0;  // Of 512 bytes.
  std::string state{};        // "running", "blocked", "transport-offline", ...
  bool read_only = false;
  std::string access_state{};  // ALUA, if a handler is attached: "active/optimized", "standby", ...
  Identity identity{};         // The pages that the kernel read when it scanned; a snapshot.

  // False for a path that the array keeps in reserve: it is good, and refuses to read.
  bool takes_reads() const {
    return access_state != "standby" && access_state != "unavailable" &&
           access_state != "transitioning";
  }
};

}  // namespace hawser
