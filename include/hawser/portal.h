#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hawser/detail/export.h"
#include "hawser/result.h"

namespace hawser {

/// A target portal: where a target listens, and the group that portal belongs to.
struct Portal {
  std::string host;                      ///< IPv4 address, IPv6 address without brackets, or name.
  std::uint16_t port = 3260;             ///< TCP port, 1..65535.
  std::optional<std::uint16_t> group{};  ///< Target portal group tag; empty when not known.

  bool operator==(const Portal&) const = default;
};

/// Parses `host[:port][,group]`. An IPv6 address must be in brackets.
///
/// @errors  invalid_argument, with the offending text in the message.
/// @source  RFC 7143 section 13.8 (TargetAddress).
HAWSER_API Result<Portal> parse_portal(std::string_view text);

/// The inverse of parse_portal(); always writes the port, and the group if it is known.
HAWSER_API std::string to_string(const Portal& portal);

}  // namespace hawser
