// What a logical unit says it is.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace hawser {

// One designator of VPD page 0x83 that names the logical unit (association 0).
// Source: SPC-5 section 7.7.6.
struct Designator {
  std::uint8_t type = 0;      // 1 T10 vendor, 2 EUI-64, 3 NAA, 8 SCSI name, ...
  std::uint8_t code_set = 0;  // 1 binary, 2 ASCII, 3 UTF-8.
  std::string bytes{};        // As on the wire.

  auto operator<=>(const Designator&) const = default;
};

// All that a unit says about itself. Two units are the same when they are equal in every part that
// both have.
struct Identity {
  std::vector<Designator> designators{};  // In the order of the page.
  std::string serial{};                   // VPD page 0x80, trimmed; may be empty.

  bool operator==(const Identity&) const = default;
  bool empty() const { return designators.empty() && serial.empty(); }
};

// False if any part that both have differs, or if either has none at all: what cannot be compared
// is not taken for the same.
bool same_unit(const Identity& a, const Identity& b);

// The WWID that udev's ID_SERIAL and multipath-tools derive from the designators (sg3-utils rule
// order: NAA 6, NAA 5, NAA 2, EUI-64, SCSI name, T10, NAA 3; of two of a kind the last); empty if
// there is none. Designators that make no usable WWID are passed over.
std::string wwid_of(const Identity& identity);

// True if maps, files and commands can carry it: printable, without blanks and slashes, and short
// enough for the uuid of a map.
bool is_usable_wwid(const std::string& wwid);

// True if `wwid` is made of something that the unit says. What udev and multipathd know of a device
// name may still be that of the device that had the name before.
bool names_unit(const Identity& identity, const std::string& wwid);

// True if `wwid` is the name that udev makes of the serial number when page 0x83 cannot be read:
// 'S', vendor, product, serial number (systemd, src/udev/scsi_id). One of less than 8 characters
// may well be that of another vendor's unit, and is not taken for this one's.
bool is_serial_name(const Identity& identity, const std::string& wwid);

// True if `expected` (a WWID as above, or bare NAA/EUI hex digits, with or without a "naa." or
// "eui." or "0x" prefix) names a designator of this unit. Letter case of hex digits is ignored.
bool matches_wwid(const Identity& identity, const std::string& expected);

}  // namespace hawser
