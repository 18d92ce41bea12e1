// Lines of /proc that name block devices. Source: proc(5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/scsi_device.h"

namespace hawser {

// A line of /proc/PID/mountinfo.
struct Mount {
  DevT dev{};
  std::string where{};  // Blanks and backslashes as the kernel writes them: "\040".
};
std::optional<Mount> parse_mount(std::string_view line);

// The node in a line of /proc/swaps, written as above; nullopt for the heading.
std::optional<std::string> parse_swap_node(std::string_view line);

}  // namespace hawser
