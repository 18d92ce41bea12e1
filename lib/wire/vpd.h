// Vital product data pages, as sysfs has them. Source: SPC-5 sections 7.7.6 and 7.7.19.
#pragma once

#include <string_view>

#include "hawser/result.h"

#include "model/identity.h"

namespace hawser {

// The unit's own designators of page 0x83; those of ports and targets are left out.
// Errors: protocol.
Result<std::vector<Designator>> decode_vpd83(std::string_view page);

// The unit serial number of page 0x80, without blanks at its ends. Errors: protocol.
Result<std::string> decode_vpd80(std::string_view page);

}  // namespace hawser
