// Decoders written down a second time, slow and plain, for targets to compare with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// A decimal number up to `max`. Compares digits instead of computing.
inline std::optional<std::uint64_t> reference_number(std::string_view text, std::uint64_t max) {
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
  while (text.size() > 1 && text.front() == '0')
    text.remove_prefix(1);
  const std::string largest = std::to_string(max);
  if (text.size() > largest.size() || (text.size() == largest.size() && text > largest)) {
    return std::nullopt;
  }
  return std::stoull(std::string(text));
}
