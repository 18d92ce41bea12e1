// What multipathd answers to commands. Both ways go a length (a size_t, with the NUL) and a text.
// Source: multipath-tools libmpathcmd/mpath_cmd.c.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "hawser/result.h"

namespace hawser {

inline constexpr std::size_t kMultipathdLengthBytes = sizeof(std::size_t);

std::string encode_multipathd_command(std::string_view text);

// How many bytes follow, of which it says so in the first kMultipathdLengthBytes. Errors: protocol
// (none, or over 4 MiB).
Result<std::size_t> decode_multipathd_length(std::string_view header);

// The text of what follows, without the NUL and line ends at its end.
std::string_view multipathd_text(std::string_view bytes);

enum class PathOffer { accepted, undecided, blacklisted };

// What multipathd's answer to "add path" means. Source: multipath-tools multipathd/main.c and
// cli_handlers.c, 0.7 to 0.14.
PathOffer parse_add_path(std::string_view answer);

// What the answer to `show paths raw format "%d %w"` (WWID) or "%d %i" (address) says of `device`;
// nullopt if nothing.
std::optional<std::string> parse_path_field(std::string_view answer, std::string_view device);

}  // namespace hawser
