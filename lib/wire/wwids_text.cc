#include "wire/wwids_text.h"

#include <algorithm>

namespace hawser {
namespace {

constexpr std::size_t kWwidBytesMax = 127;
constexpr std::string_view kHeader =
    "# Multipath wwids, Version : 1.0\n"
    "# NOTE: This file is automatically maintained by multipath and multipathd.\n"
    "# You should not need to edit this file in normal circumstances.\n"
    "#\n"
    "# Valid WWIDs:\n";

std::string line_of(std::string_view wwid) { return "/" + std::string(wwid) + "/"; }

// As multipath-tools leaves them, which comments a line out instead of moving what is behind it.
bool is_dead_line(std::string_view line) {
  return line.size() > 2 && line.front() == '#' && line.back() == '/' &&
         is_wwids_entry(line.substr(1, line.size() - 2));
}

}  // namespace

std::vector<std::string> parse_wwids(std::string_view text) {
  std::vector<std::string> wwids;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const bool is_entry = line.size() > 2 && line.front() == '/' && line.back() == '/';
    if (is_entry) wwids.emplace_back(line.substr(1, line.size() - 2));
  }
  return wwids;
}

bool is_wwids_entry(std::string_view wwid) {
  return !wwid.empty() && wwid.size() <= kWwidBytesMax &&
         std::all_of(wwid.begin(), wwid.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

std::optional<std::size_t> find_wwids_line(std::string_view text, std::string_view wwid) {
  const std::string line = line_of(wwid);
  for (std::size_t at = text.find(line); at != text.npos; at = text.find(line, at + 1)) {
    const std::size_t end = at + line.size();
    const bool is_whole =
        (at == 0 || text[at - 1] == '\n') && (end == text.size() || text[end] == '\n');
    if (is_whole) return at;
  }
  return std::nullopt;
}

std::optional<std::size_t> find_dead_wwids_line(std::string_view text, std::size_t wwid_size) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    const bool is_whole = at + line.size() < text.size();
    if (is_whole && line.size() == wwid_size + 2 && is_dead_line(line)) return at;
    at += line.size() + 1;
  }
  return std::nullopt;
}

std::size_t dead_wwids_lines_before(std::string_view text, std::size_t at) {
  while (at > 0) {
    const std::size_t before = at > 1 ? text.rfind('\n', at - 2) : text.npos;
    const std::size_t start = before == text.npos ? 0 : before + 1;
    if (!is_dead_line(text.substr(start, at - 1 - start))) break;
    at = start;
  }
  return at;
}

std::string added_wwids_line(std::string_view text, std::string_view wwid) {
  std::string added;
  if (text.empty()) added = kHeader;
  if (!text.empty() && text.back() != '\n') added = '\n';
  return added + line_of(wwid) + '\n';
}

}  // namespace hawser
