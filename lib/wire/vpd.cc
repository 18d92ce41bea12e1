#include "wire/vpd.h"

#include <algorithm>
#include <array>

namespace hawser {
namespace {

constexpr std::size_t kHeaderBytes = 4;
constexpr unsigned kAssociationUnit = 0;

// What the kernel makes a disk of: direct access, optical, simplified direct access, and, if it is
// built with CONFIG_BLK_DEV_ZONED, host-managed zoned ones. Source: sd_probe() in Linux
// drivers/scsi/sd.c.
constexpr std::array<unsigned, 4> kDiskTypes{0x00, 0x07, 0x0e, 0x14};

unsigned byte_at(std::string_view page, std::size_t offset) {
  return static_cast<unsigned char>(page[offset]);
}

// The part of the page that its header says is there.
Result<std::string_view> body(std::string_view page, unsigned code, const char* name) {
  if (page.size() < kHeaderBytes || byte_at(page, 1) != code) {
    return Error(Errc::protocol, std::string(name) + " has no header");
  }
  const std::size_t bytes = byte_at(page, 2) << 8 | byte_at(page, 3);
  if (page.size() - kHeaderBytes < bytes) {
    return Error(Errc::protocol, std::string(name) + " is cut off");
  }
  return page.substr(kHeaderBytes, bytes);
}

}  // namespace

// The kernel has no driver for a unit that is not connected. Source: scsi_bus_match() in Linux
// drivers/scsi/scsi_sysfs.c.
Result<UnitKind> decode_unit_kind(std::string_view inquiry) {
  if (inquiry.empty()) return Error(Errc::protocol, "the INQUIRY data is empty");
  const unsigned qualifier = byte_at(inquiry, 0) >> 5;
  const unsigned type = byte_at(inquiry, 0) & 0x1f;
  if (qualifier != 0) return UnitKind::vacant;
  const bool is_disk = std::find(kDiskTypes.begin(), kDiskTypes.end(), type) != kDiskTypes.end();
  return is_disk ? UnitKind::disk : UnitKind::other;
}

Result<std::vector<Designator>> decode_vpd83(std::string_view page) {
  HAWSER_TRY_ASSIGN(std::string_view rest, body(page, 0x83, "VPD page 0x83"));
  std::vector<Designator> designators;
  while (!rest.empty()) {
    if (rest.size() < kHeaderBytes || rest.size() - kHeaderBytes < byte_at(rest, 3)) {
      return Error(Errc::protocol, "VPD page 0x83: a designator is cut off");
    }
    const std::size_t bytes = byte_at(rest, 3);
    const unsigned association = byte_at(rest, 1) >> 4 & 3;
    if (association == kAssociationUnit && bytes != 0) {
      designators.push_back({.type = static_cast<std::uint8_t>(byte_at(rest, 1) & 15),
                             .code_set = static_cast<std::uint8_t>(byte_at(rest, 0) & 15),
                             .bytes = std::string(rest.substr(kHeaderBytes, bytes))});
    }
    rest.remove_prefix(kHeaderBytes + bytes);
  }
  return designators;
}

Result<std::string> decode_vpd80(std::string_view page) {
  HAWSER_TRY_ASSIGN(std::string_view serial, body(page, 0x80, "VPD page 0x80"));
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!serial.empty() && is_padding(serial.front()))
    serial.remove_prefix(1);
  while (!serial.empty() && is_padding(serial.back()))
    serial.remove_suffix(1);
  return std::string(serial);
}

}  // namespace hawser
