// Property: a LUN is taken from a specification exactly if it is a number up to 16383, written as a
// number or as a text; and the kernel's number of it is what the kernel makes of the eight bytes
// that stand for it on the wire.
//
// Input: the LUN.
#include <array>
#include <string>

#include "hawser/detail/assert.h"
#include "hawser/volume.h"

#include "model/lun.h"
#include "reference.h"

namespace {

constexpr std::uint64_t kLunMax = 0x3fff;  // What 14 bits hold.

hawser::Result<hawser::VolumeSpec> spec_with(const std::string& lun) {
  return hawser::parse_volume_spec(
      R"({"target_portal": "10.0.1.2:3260", "target_iqn": "iqn.2004-10.org.example:t", )"
      R"("target_lun": )" +
      lun + "}");
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    char escape[8];
    (void)std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
    result += escape;
  }
  return result + '"';
}

// Source: scsilun_to_int() in Linux drivers/scsi/scsi_common.c.
std::uint64_t as_the_kernel_reads(const std::array<std::uint8_t, 8>& wire) {
  std::uint64_t lun = 0;
  for (std::size_t i = 0; i < wire.size(); i += 2)
    lun |= static_cast<std::uint64_t>(wire[i] << 8 | wire[i + 1]) << (i * 8);
  return lun;
}

// SAM-5 table 21 and 22: peripheral device addressing on bus 0, flat space addressing.
std::array<std::uint8_t, 8> on_the_wire(std::uint16_t lun, bool is_flat) {
  std::array<std::uint8_t, 8> wire{};
  wire[0] = static_cast<std::uint8_t>(is_flat ? 0x40 | lun >> 8 : 0);
  wire[1] = static_cast<std::uint8_t>(lun);
  return wire;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const std::optional<std::uint64_t> expected = reference_number(text, kLunMax);

  const hawser::Result<hawser::VolumeSpec> by_text = spec_with(quoted(text));
  HAWSER_ASSERT(by_text.has_value() == expected.has_value());
  if (!expected) return 0;
  const std::uint16_t lun = by_text->paths.front().lun;
  HAWSER_ASSERT(lun == *expected);
  const hawser::Result<hawser::VolumeSpec> by_number = spec_with(std::to_string(lun));
  HAWSER_ASSERT(by_number && by_number->paths.front().lun == lun);

  using hawser::LunAddressing;
  HAWSER_ASSERT(hawser::kernel_lun(lun, LunAddressing::flat) ==
                as_the_kernel_reads(on_the_wire(lun, true)));
  HAWSER_ASSERT(hawser::kernel_lun(lun, LunAddressing::automatic) ==
                as_the_kernel_reads(on_the_wire(lun, lun > 255)));
  HAWSER_ASSERT(hawser::kernel_lun(lun, LunAddressing::transparent) == lun);
  return 0;
}
