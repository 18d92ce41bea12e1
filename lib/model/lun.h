#pragma once

#include <cstdint>

#include "hawser/volume.h"

namespace hawser {

// The number by which the kernel knows a LUN: the first two bytes of the 8-byte LUN, big-endian, so
// flat space addressing shows as 0x4000 | lun. Source: scsilun_to_int() in Linux
// drivers/scsi/scsi_common.c; SAM-5 section 4.7.
constexpr std::uint32_t kernel_lun(std::uint16_t lun, LunAddressing addressing) {
  const bool is_flat =
      addressing == LunAddressing::flat || (addressing == LunAddressing::automatic && lun > 255);
  return is_flat ? 0x4000U | lun : lun;
}

}  // namespace hawser
