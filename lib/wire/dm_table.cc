#include "wire/dm_table.h"

#include <algorithm>
#include <optional>

#include "base/number.h"

namespace hawser {
namespace {

// More than the kernel takes of anything here.
constexpr std::size_t kCountMax = 1024;

// Takes words off a line; the first failure stays, and every take after it gives nothing.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string word() {
    const std::size_t start = std::min(rest_.find_first_not_of(' '), rest_.size());
    rest_.remove_prefix(start);
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    if (word.empty()) is_bad_ = true;
    rest_.remove_prefix(word.size());
    return std::string(word);
  }
  std::size_t count() {
    const auto value = parse_number<std::size_t>(word());
    if (!value || *value > kCountMax) is_bad_ = true;
    return is_bad_ ? 0 : *value;
  }
  std::vector<std::string> words(std::size_t count) {
    std::vector<std::string> list;
    for (std::size_t i = 0; i < count && !is_bad_; ++i)
      list.push_back(word());
    return list;
  }
  DevT dev() {
    const std::optional<DevT> dev = parse_dev(word());
    if (!dev) is_bad_ = true;
    return dev.value_or(DevT{});
  }
  std::uint32_t number() {
    const auto value = parse_number<std::uint32_t>(word());
    if (!value) is_bad_ = true;
    return value.value_or(0);
  }
  char one_of(std::string_view letters) {
    const std::string text = word();
    if (text.size() != 1 || letters.find(text.front()) == letters.npos) is_bad_ = true;
    return is_bad_ ? '\0' : text.front();
  }
  bool is_bad() const { return is_bad_; }
  bool is_at_end() const { return rest_.find_first_not_of(' ') == rest_.npos; }

 private:
  std::string_view rest_;
  bool is_bad_ = false;
};

Error bad(const char* what, std::string_view line) {
  return Error(Errc::protocol, std::string("multipath ") + what + " '" +
                                   std::string(line.substr(0, 200)) + "' cannot be read");
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += ' ' + word;
  return text;
}

}  // namespace

std::string encode_table(const MapTable& table) {
  std::string text = std::to_string(table.features.size()) + join(table.features) + ' ' +
                     std::to_string(table.hw_handler.size()) + join(table.hw_handler) + ' ' +
                     std::to_string(table.groups.size()) + ' ' +
                     std::to_string(table.groups.empty() ? 0 : table.initial_group);
  for (const MapTableGroup& group : table.groups) {
    const std::size_t args = group.paths.empty() ? 0 : group.paths.front().selector_args.size();
    text += ' ' + group.selector + ' ' + std::to_string(group.paths.size()) + ' ' +
            std::to_string(args);
    for (const MapTablePath& path : group.paths)
      text += ' ' + to_string(path.dev) + join(path.selector_args);
  }
  return text;
}

Result<MapTable> decode_table(std::string_view params) {
  Words words(params);
  MapTable table;
  table.features = words.words(words.count());
  table.hw_handler = words.words(words.count());
  const std::size_t groups = words.count();
  table.initial_group = static_cast<unsigned>(words.count());
  for (std::size_t g = 0; g < groups && !words.is_bad(); ++g) {
    MapTableGroup group;
    const std::string selector = words.word();
    const std::vector<std::string> args = words.words(words.count());
    group.selector = selector + ' ' + std::to_string(args.size()) + join(args);
    const std::size_t paths = words.count();
    const std::size_t path_args = words.count();
    for (std::size_t p = 0; p < paths && !words.is_bad(); ++p) {
      const DevT dev = words.dev();
      group.paths.push_back({.dev = dev, .selector_args = words.words(path_args)});
    }
    table.groups.push_back(std::move(group));
  }
  if (words.is_bad() || !words.is_at_end()) return bad("table", params);
  return table;
}

Result<std::vector<MapPathStatus>> decode_status(std::string_view status) {
  Words words(status);
  std::vector<MapPathStatus> paths;
  words.words(words.count());  // Queue and path-group initialisation counters.
  words.words(words.count());  // Hardware handler.
  const std::size_t groups = words.count();
  words.count();  // The group to be tried next.
  for (std::size_t g = 0; g < groups && !words.is_bad(); ++g) {
    words.one_of("AED");
    words.words(words.count());
    const std::size_t count = words.count();
    const std::size_t infos = words.count();
    for (std::size_t p = 0; p < count && !words.is_bad(); ++p) {
      MapPathStatus path{.dev = words.dev()};
      path.is_active = words.one_of("AF") == 'A';
      path.fail_count = words.number();
      words.words(infos);
      paths.push_back(path);
    }
  }
  if (words.is_bad() || !words.is_at_end()) return bad("status", status);
  return paths;
}

}  // namespace hawser
