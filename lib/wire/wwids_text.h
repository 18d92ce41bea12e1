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

// Where a line starts that was of another WWID of this length, and has been commented out since.
std::optional<std::size_t> find_dead_wwids_line(std::string_view text, std::size_t wwid_size);

// Where the lines that were commented out start which come right before the line at `at`, or `at`.
std::size_t dead_wwids_lines_before(std::string_view text, std::size_t at);

// What to write behind `text` so that it has a line of this WWID as well.
std::string added_wwids_line(std::string_view text, std::string_view wwid);

}  // namespace hawser
