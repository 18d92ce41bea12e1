#include "wire/proc_text.h"

#include <algorithm>
#include <array>

namespace hawser {

std::optional<Mount> parse_mount(std::string_view line) {
  // Mount, its parent, device, root, mount point.
  std::array<std::string_view, 5> fields;
  for (std::string_view& field : fields) {
    field = line.substr(0, line.find(' '));
    if (field.empty()) return std::nullopt;
    line.remove_prefix(std::min(line.size(), field.size() + 1));
  }
  const std::optional<DevT> dev = parse_dev(fields[2]);
  if (!dev) return std::nullopt;
  return Mount{.dev = *dev, .where = std::string(fields[4])};
}

std::optional<std::string> parse_swap_node(std::string_view line) {
  if (!line.starts_with('/')) return std::nullopt;
  return std::string(line.substr(0, line.find(' ')));
}

}  // namespace hawser
