#include "hawser/portal.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hawser {
namespace {

// Longest DNS name; see RFC 1035 section 2.3.4.
constexpr std::size_t kHostBytesMax = 253;

Error bad_portal(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument, "portal '" + std::string(text) + "': " + std::string(why)};
}

std::optional<std::uint16_t> parse_u16(std::string_view digits) {
  std::uint16_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_' || c == '%';
}

// Splits off everything after the last `mark`, or nullopt if there is none.
std::optional<std::string_view> take_suffix(std::string_view& text, char mark) {
  const std::size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = text.substr(at + 1);
  text = text.substr(0, at);
  return suffix;
}

}  // namespace

Result<Portal> parse_portal(std::string_view text) {
  Portal portal;
  std::string_view rest = text;

  if (const auto group = take_suffix(rest, ',')) {
    const auto value = parse_u16(*group);
    if (!value) return bad_portal(text, "bad portal group tag");
    portal.group = *value;
  }

  const bool is_v6 = rest.starts_with('[');
  const std::size_t bracket = rest.find(']');
  if (is_v6 && bracket == std::string_view::npos) return bad_portal(text, "missing ']'");
  std::string_view host = is_v6 ? rest.substr(1, bracket - 1) : rest;
  std::string_view tail = is_v6 ? rest.substr(bracket + 1) : std::string_view{};
  std::optional<std::string_view> port;
  if (is_v6) {
    if (!tail.empty() && !tail.starts_with(':')) return bad_portal(text, "text after ']'");
    port = take_suffix(tail, ':');
  } else {
    port = take_suffix(host, ':');
  }
  if (port) {
    const auto value = parse_u16(*port);
    if (!value || *value == 0) return bad_portal(text, "bad port");
    portal.port = *value;
  }

  if (host.empty() || host.size() > kHostBytesMax) return bad_portal(text, "bad host length");
  const auto is_allowed = [is_v6](char c) { return is_host_char(c) || (is_v6 && c == ':'); };
  if (!std::all_of(host.begin(), host.end(), is_allowed)) return bad_portal(text, "bad host");
  portal.host = host;
  return portal;
}

std::string to_string(const Portal& portal) {
  const bool is_v6 = portal.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + portal.host + "]" : portal.host;
  const std::string address = host + ":" + std::to_string(portal.port);
  return portal.group ? address + "," + std::to_string(*portal.group) : address;
}

}  // namespace hawser
