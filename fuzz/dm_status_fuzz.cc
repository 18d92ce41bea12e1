// Property: the paths that are read stand in the line, in that order, as "NUMBER STATE FAILURES";
// and a line that is made of them is read as the same paths.
#include <string>

#include "hawser/detail/assert.h"

#include "base/number.h"
#include "input.h"
#include "wire/dm_table.h"

namespace {

// One group of all paths, as the kernel writes it without a queue, a handler or a selector's words.
std::string line_of(const std::vector<hawser::MapPathStatus>& paths) {
  std::string line = "2 0 0 0 1 1 A 0 " + std::to_string(paths.size()) + " 0";
  for (const hawser::MapPathStatus& path : paths) {
    line += ' ' + to_string(path.dev) + (path.is_active ? " A " : " F ") +
            std::to_string(path.fail_count);
  }
  return line;
}

bool stands_at(const std::vector<std::string_view>& words, std::size_t at,
               const hawser::MapPathStatus& path) {
  if (at + 3 > words.size()) return false;
  return hawser::parse_dev(words[at]) == path.dev &&
         words[at + 1] == (path.is_active ? "A" : "F") &&
         hawser::parse_number<std::uint32_t>(words[at + 2]) == path.fail_count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto paths = hawser::decode_status(line);
  if (!paths) {
    HAWSER_ASSERT(paths.error().code() == hawser::Errc::protocol);
    HAWSER_ASSERT(paths.error().message().size() < 300);
    return 0;
  }
  std::vector<std::string_view> words = split(line, ' ');
  std::erase(words, std::string_view());
  std::size_t at = 0;
  for (const hawser::MapPathStatus& path : *paths) {
    while (at < words.size() && !stands_at(words, at, path))
      ++at;
    HAWSER_ASSERT(at < words.size());
    at += 3;
  }
  if (paths->size() > 1024) return 0;  // More than one group may have.
  HAWSER_ASSERT(*hawser::decode_status(line_of(*paths)) == *paths);
  return 0;
}
