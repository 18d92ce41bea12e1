#include "wire/sysfs_text.h"

#include <array>

#include "base/number.h"

namespace hawser {

std::optional<SessionState> parse_session_state(std::string_view word) {
  if (word == "LOGGED_IN") return SessionState::logged_in;
  if (word == "FAILED") return SessionState::failed;
  if (word == "FREE") return SessionState::free;
  return std::nullopt;
}

std::optional<std::uint32_t> parse_session_name(std::string_view name) {
  constexpr std::string_view kPrefix = "session";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return parse_number<std::uint32_t>(name.substr(kPrefix.size()));
}

std::optional<std::uint32_t> parse_session_host(std::string_view link) {
  constexpr std::string_view kHost = "/host";
  const std::size_t end = link.find("/session");
  const std::size_t start = end == link.npos ? end : link.rfind(kHost, end);
  if (start == link.npos) return std::nullopt;
  const std::size_t digits = start + kHost.size();
  return parse_number<std::uint32_t>(link.substr(digits, end - digits));
}

std::optional<DiskPlace> parse_disk_link(std::string_view link) {
  // The last five components, from the back.
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    const std::size_t slash = link.rfind('/');
    part = slash == link.npos ? link : link.substr(slash + 1);
    link = link.substr(0, slash == link.npos ? 0 : slash);
  }
  const auto& [disk, block, unit, target, session] = parts;
  const std::optional<std::uint32_t> sid = parse_session_name(session);
  const std::optional<Hctl> hctl = parse_hctl(unit);
  if (!sid || !hctl || block != "block" || disk.empty()) return std::nullopt;
  return DiskPlace{.sid = *sid, .hctl = *hctl};
}

}  // namespace hawser
