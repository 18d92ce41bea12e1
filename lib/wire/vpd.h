// What a unit says of itself, as sysfs has it. Source: SPC-5 sections 6.7.2 (standard INQUIRY
// data), 7.7.6 and 7.7.19 (vital product data pages).
#pragma once

#include <string_view>

#include "hawser/result.h"

#include "model/identity.h"
#include "model/scsi_device.h"

namespace hawser {

// Of the standard INQUIRY data. Errors: protocol (there are none).
Result<UnitKind> decode_unit_kind(std::string_view inquiry);

// The unit's own designators of page 0x83; those of ports and targets are left out.
// Errors: protocol.
Result<std::vector<Designator>> decode_vpd83(std::string_view page);

// The unit serial number of page 0x80, without blanks at its ends. Errors: protocol.
Result<std::string> decode_vpd80(std::string_view page);

}  // namespace hawser
