// The text of /etc/multipath/wwids: one "/WWID/" a line, and comments.
// Source: multipath-tools libmultipath/wwids.c and file.c.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hawser {

std::vector<std::string> parse_wwids(std::string_view text);

// True if a line can hold it, and multipath-tools reads the same back.
bool is_wwids_entry(std::string_view wwid);

// Where the line of this WWID starts. The last line may lack its end.
std::optional<std::size_t> find_wwids_line(std::string_view text, std::string_view wwid);

// What to write behind `text` so that it has a line of this WWID as well.
std::string added_wwids_line(std::string_view text, std::string_view wwid);

}  // namespace hawser
