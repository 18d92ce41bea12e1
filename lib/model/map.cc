#include "model/map.h"

#include <algorithm>
#include <utility>

namespace hawser {

std::string kernel_uuid(const std::string& uuid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : uuid) {
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') ||
                         std::string_view("#+-.:=@_").find(c) != std::string_view::npos;
    if (is_kept) {
      text += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += "\\x";
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xfU];
  }
  return text;
}

bool Map::queues() const {
  return std::find(table.features.begin(), table.features.end(), "queue_if_no_path") !=
         table.features.end();
}

bool Map::has_path(const DevT& dev) const {
  return std::any_of(paths.begin(), paths.end(),
                     [&](const MapPathStatus& path) { return path.dev == dev; });
}

MapTable simple_table(const std::vector<DevT>& paths) {
  MapTable table;
  // A handler that the kernel has put on a path by itself (ALUA) works for the map only if the
  // table names it or has this word; without a handler the word means nothing.
  table.features = {"retain_attached_hw_handler"};
  table.groups.emplace_back();
  for (const DevT& dev : paths)
    table.groups.front().paths.push_back({.dev = dev, .selector_args = {"1"}});
  return table;
}

MapTable with_path(MapTable table, const DevT& dev) {
  if (table.groups.empty()) {
    table.groups = simple_table({dev}).groups;
    table.initial_group = 1;
    return table;
  }
  MapTableGroup& group = table.groups.front();
  std::vector<std::string> args{"1"};
  if (!group.paths.empty()) args = group.paths.front().selector_args;
  group.paths.push_back({.dev = dev, .selector_args = std::move(args)});
  return table;
}

MapTable without_paths(MapTable table, const std::vector<DevT>& devs) {
  const auto is_dropped = [&](const MapTablePath& path) {
    return std::find(devs.begin(), devs.end(), path.dev) != devs.end();
  };
  for (MapTableGroup& group : table.groups)
    std::erase_if(group.paths, is_dropped);
  std::erase_if(table.groups, [](const MapTableGroup& group) { return group.paths.empty(); });
  // Which group is tried first is a hint to the kernel, but it has to be there.
  if (table.initial_group > table.groups.size()) table.initial_group = 1;
  return table;
}

}  // namespace hawser
