// Property: the paths that are read stand in the line, in that order, as "NUMBER STATE FAILURES";
// and a line that is made of them, in one group or in one each, is read as the same paths.
#include <algorithm>
#include <string>
#include <vector>

#include "hawser/detail/assert.h"

#include "base/number.h"
#include "input.h"
#include "wire/dm_table.h"

namespace {

// Groups of `size` paths, as the kernel writes them without a queue, a handler or a selector's
// words.
std::string line_of(const std::vector<hawser::MapPathStatus>& paths, std::size_t size) {
  std::string line = "2 0 0 0 " + std::to_string((paths.size() + size - 1) / size) + " 1";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (i % size == 0) line += " E 0 " + std::to_string(std::min(size, paths.size() - i)) + " 0";
    line += ' ' + to_string(paths[i].dev) + (paths[i].is_active ? " A " : " F ") +
            std::to_string(paths[i].fail_count);
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
  if (paths->empty()) return 0;
  HAWSER_ASSERT(*hawser::decode_status(line_of(*paths, paths->size())) == *paths);
  HAWSER_ASSERT(*hawser::decode_status(line_of(*paths, 1)) == *paths);
  return 0;
}
