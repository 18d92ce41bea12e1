#pragma once

#include <cstdint>
#include <string_view>

namespace hawser {

// CRC-32C (Castagnoli), as iSCSI uses it. Source: RFC 3720 appendix B.4.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace hawser
