#include "model/scsi_device.h"

#include <algorithm>
#include <array>

#include "base/number.h"

namespace hawser {

std::string to_string(const Hctl& hctl) {
  return std::to_string(hctl.host) + ":" + std::to_string(hctl.channel) + ":" +
         std::to_string(hctl.target) + ":" + std::to_string(hctl.lun);
}

std::optional<Hctl> parse_hctl(std::string_view text) {
  std::array<std::string_view, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i] = text.substr(0, text.find(':'));
    if ((text.find(':') == text.npos) != (i + 1 == parts.size())) return std::nullopt;
    text.remove_prefix(std::min(text.size(), parts[i].size() + 1));
  }
  const auto host = parse_number<std::uint32_t>(parts[0]);
  const auto channel = parse_number<std::uint32_t>(parts[1]);
  const auto target = parse_number<std::uint32_t>(parts[2]);
  const auto lun = parse_number<std::uint64_t>(parts[3]);
  if (!host || !channel || !target || !lun) return std::nullopt;
  return Hctl{.host = *host, .channel = *channel, .target = *target, .lun = *lun};
}

std::string to_string(const DevT& dev) {
  return std::to_string(dev.major) + ":" + std::to_string(dev.minor);
}

std::optional<DevT> parse_dev(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return std::nullopt;
  const auto major = parse_number<std::uint32_t>(text.substr(0, colon));
  const auto minor = parse_number<std::uint32_t>(text.substr(colon + 1));
  if (!major || !minor) return std::nullopt;
  return DevT{.major = *major, .minor = *minor};
}

}  // namespace hawser
