// Property: a WWID has a line exactly if it is in the list; behind what is added it is in the list,
// and all others are as before; with its line commented out it is there once less.
//
// Input: a WWID; the file.
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "wire/wwids_text.h"

namespace {

std::vector<std::string> reference_list(std::string_view text) {
  std::vector<std::string> list;
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() < 3 || line[0] != '/' || line[line.size() - 1] != '/') continue;
    list.emplace_back(line.begin() + 1, line.end() - 1);
  }
  return list;
}

// A line that was commented out is taken for the WWID, and no other entry changes.
void check_dead_line(const std::string& text, const std::string& wwid,
                     std::vector<std::string> longer) {
  const std::optional<std::size_t> dead = hawser::find_dead_wwids_line(text, wwid.size());
  if (!dead) return;
  std::string revived = text;
  revived.replace(*dead, wwid.size() + 2, "/" + wwid + "/");
  std::vector<std::string> list = hawser::parse_wwids(revived);
  std::sort(list.begin(), list.end());
  std::sort(longer.begin(), longer.end());
  HAWSER_ASSERT(list == longer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string wwid(input.line());
  const std::string text(input.rest());
  const std::vector<std::string> list = hawser::parse_wwids(text);
  HAWSER_ASSERT(list == reference_list(text));
  if (!hawser::is_wwids_entry(wwid)) return 0;

  const std::optional<std::size_t> at = hawser::find_wwids_line(text, wwid);
  HAWSER_ASSERT(at.has_value() == (std::count(list.begin(), list.end(), wwid) != 0));
  if (!at) {
    std::vector<std::string> longer = list;
    longer.push_back(wwid);
    HAWSER_ASSERT(hawser::parse_wwids(text + hawser::added_wwids_line(text, wwid)) == longer);
    check_dead_line(text, wwid, std::move(longer));
    return 0;
  }
  const std::size_t kept = hawser::dead_wwids_lines_before(text, *at);
  HAWSER_ASSERT(kept <= *at && hawser::parse_wwids(text.substr(0, kept)) ==
                                   hawser::parse_wwids(text.substr(0, *at)));
  std::string commented = text;
  commented[*at] = '#';
  std::vector<std::string> shorter = list;
  shorter.erase(std::find(shorter.begin(), shorter.end(), wwid));
  HAWSER_ASSERT(hawser::parse_wwids(commented) == shorter);
  return 0;
}
