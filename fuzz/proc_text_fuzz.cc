// Property: a mount has the number and the place that a plain second reader finds in the third and
// fifth word; a swap has a path for a node.
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "wire/proc_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string_view> words = split(line, ' ');

  const std::optional<hawser::Mount> mount = hawser::parse_mount(line);
  const bool has_words = words.size() >= 5 && std::none_of(words.begin(), words.begin() + 5,
                                                           [](auto word) { return word.empty(); });
  HAWSER_ASSERT(mount.has_value() == (has_words && hawser::parse_dev(words[2])));
  if (mount) {
    HAWSER_ASSERT(mount->dev == hawser::parse_dev(words[2]));
    HAWSER_ASSERT(mount->where == words[4]);
  }

  const std::optional<std::string> node = hawser::parse_swap_node(line);
  HAWSER_ASSERT(node.has_value() == words[0].starts_with('/'));
  if (node) HAWSER_ASSERT(*node == words[0]);
  return 0;
}
