#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace hawser {

// A decimal number and nothing else; nullopt for anything that is not one, or does not fit.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace hawser
