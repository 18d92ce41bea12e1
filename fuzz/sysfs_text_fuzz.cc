// Property: what is read from an attribute, written again, is the attribute, leading zeros apart;
// and what a plain second decoder takes is taken, and nothing else.
//
// Input: which decoder; the attribute's text.
#include <limits>
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "reference.h"
#include "wire/sysfs_text.h"

namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

// Numbers with colons between them: their spelling without leading zeros.
std::optional<std::string> reference_numbers(std::string_view text, std::size_t count,
                                             std::uint64_t last_max) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() != count) return std::nullopt;
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = reference_number(parts[i], i + 1 == count ? last_max : kMax32);
    if (!number) return std::nullopt;
    result += (i == 0 ? "" : ":") + std::to_string(*number);
  }
  return result;
}

template <class Value>
std::optional<std::string> text_of(const std::optional<Value>& value) {
  return value ? std::optional(to_string(*value)) : std::nullopt;
}

void check_state(std::string_view word) {
  using hawser::SessionState;
  const std::optional<SessionState> state = hawser::parse_session_state(word);
  HAWSER_ASSERT((state == SessionState::logged_in) == (word == "LOGGED_IN"));
  HAWSER_ASSERT((state == SessionState::failed) == (word == "FAILED"));
  HAWSER_ASSERT((state == SessionState::free) == (word == "FREE"));
}

std::optional<std::uint64_t> reference_sid(std::string_view name) {
  if (name.substr(0, 7) != "session") return std::nullopt;
  return reference_number(name.substr(7), kMax32);
}

// "hostN", right before the first component that begins with "session".
std::optional<std::uint64_t> reference_host(std::string_view link) {
  const std::vector<std::string_view> parts = split(link, '/');
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!parts[i].starts_with("session")) continue;
    if (i == 1 || !parts[i - 1].starts_with("host")) return std::nullopt;
    return reference_number(parts[i - 1].substr(4), kMax32);
  }
  return std::nullopt;
}

void check_disk(std::string_view link) {
  const std::optional<hawser::DiskPlace> place = hawser::parse_disk_link(link);
  const std::vector<std::string_view> parts = split(link, '/');
  if (parts.size() < 5) {
    HAWSER_ASSERT(!place);
    return;
  }
  const std::size_t n = parts.size();
  const std::optional<std::uint64_t> sid = reference_sid(parts[n - 5]);
  const std::optional<std::string> hctl = reference_numbers(parts[n - 3], 4, kMax64);
  const bool is_disk = sid && hctl && parts[n - 2] == "block" && !parts[n - 1].empty();
  HAWSER_ASSERT(place.has_value() == is_disk);
  if (!place) return;
  HAWSER_ASSERT(place->sid == *sid);
  HAWSER_ASSERT(to_string(place->hctl) == *hctl);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string_view decoder = input.line();
  const std::string_view text = input.rest();
  if (decoder == "hctl") {
    HAWSER_ASSERT(text_of(hawser::parse_hctl(text)) == reference_numbers(text, 4, kMax64));
  } else if (decoder == "dev") {
    HAWSER_ASSERT(text_of(hawser::parse_dev(text)) == reference_numbers(text, 2, kMax32));
  } else if (decoder == "state") {
    check_state(text);
  } else if (decoder == "sid") {
    HAWSER_ASSERT(hawser::parse_session_name(text) == reference_sid(text));
  } else if (decoder == "host") {
    HAWSER_ASSERT(hawser::parse_session_host(text) == reference_host(text));
  } else if (decoder == "disk") {
    check_disk(text);
  }
  return 0;
}
