#include "model/identity.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "model/map.h"

namespace hawser {
namespace {

// Designator types of SPC-5 table 503.
constexpr std::uint8_t kT10 = 1;
constexpr std::uint8_t kEui64 = 2;
constexpr std::uint8_t kNaa = 3;
constexpr std::uint8_t kScsiName = 8;

// DM_UUID_LEN is 129 with its end.
constexpr std::size_t kMapUuidBytesMax = 128;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

unsigned naa_kind(const Designator& d) {
  return d.bytes.empty() ? 0 : static_cast<unsigned char>(d.bytes.front()) >> 4;
}

// How much udev's rules like a designator; 0 for those that they do not use. Source: the order of
// 55-scsi-sg3_id.rules of sg3-utils, and its length checks.
int preference(const Designator& d) {
  const std::size_t bytes = d.bytes.size();
  switch (d.type) {
    case kNaa:
      switch (naa_kind(d)) {
        case 6: return bytes == 16 ? 8 : 0;
        case 5: return bytes == 8 ? 7 : 0;
        case 2: return bytes == 8 ? 6 : 0;
        case 3: return bytes == 8 ? 2 : 0;
        default: return 0;
      }
    case kEui64: return bytes == 8 || bytes == 12 || bytes == 16 ? 5 : 0;
    case kScsiName: return bytes >= 4 ? 4 : 0;
    case kT10: return bytes >= 8 ? 3 : 0;
    default: return 0;
  }
}

// Blanks at the end go, runs of blanks within become one underscore, as udev replaces them.
std::string squeeze(std::string_view text) {
  std::string result;
  bool is_gap = false;
  for (const char c : text.substr(0, text.find('\0'))) {
    if (c == ' ' || c == '\t') {
      is_gap = true;
      continue;
    }
    if (is_gap && !result.empty()) result += '_';
    is_gap = false;
    result += c;
  }
  return result;
}

// Blanks and underscores apart, which differ between those who write WWIDs.
std::string bare(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, text.find('\0'))) {
    if (c != ' ' && c != '\t' && c != '_') result += lower(c);
  }
  return result;
}

// A designator of nothing but blanks tells no unit from another.
std::string text_wwid(char kind, std::string_view text) {
  return bare(text).empty() ? std::string() : kind + squeeze(text);
}

std::string format_wwid(const Designator& d) {
  switch (d.type) {
    case kNaa: return "3" + hex(d.bytes);
    case kEui64: return "2" + hex(d.bytes);
    case kScsiName: return text_wwid('8', d.bytes);
    case kT10: return text_wwid('1', d.bytes);
    default: return {};
  }
}

// Serial numbers and designators are compared over what both units have of each kind: a page that
// grew by a firmware update does not make another unit of it.
bool any_type_differs(const Identity& a, const Identity& b, bool& compared) {
  for (const std::uint8_t type : {kNaa, kEui64, kScsiName, kT10}) {
    const auto of_type = [type](const Identity& identity) {
      std::vector<Designator> result;
      for (const Designator& d : identity.designators) {
        if (d.type == type) result.push_back(d);
      }
      return result;
    };
    const std::vector<Designator> left = of_type(a);
    const std::vector<Designator> right = of_type(b);
    if (left.empty() || right.empty()) continue;
    compared = true;
    const bool shares = std::any_of(left.begin(), left.end(), [&](const Designator& d) {
      return std::find(right.begin(), right.end(), d) != right.end();
    });
    if (!shares) return true;
  }
  return false;
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

bool same_unit(const Identity& a, const Identity& b) {
  bool compared = false;
  if (any_type_differs(a, b, compared)) return false;
  if (!a.serial.empty() && !b.serial.empty()) {
    if (a.serial != b.serial) return false;
    compared = true;
  }
  return compared;
}

std::string wwid_of(const Identity& identity) {
  std::string best;
  int best_likes = 1;
  for (const Designator& d : identity.designators) {
    const int likes = preference(d);
    if (likes < best_likes) continue;
    std::string wwid = format_wwid(d);
    if (!is_usable_wwid(wwid)) continue;
    best = std::move(wwid);
    best_likes = likes;
  }
  return best;
}

bool is_usable_wwid(const std::string& wwid) {
  // The last of the partitions that kpartx makes has the longest UUID.
  return !wwid.empty() && kernel_uuid("part15-mpath-" + wwid).size() <= kMapUuidBytesMax &&
         std::all_of(wwid.begin(), wwid.end(), [](char c) {
           return c > ' ' && c < 0x7f && c != '/' && c != '"' && c != '\\';
         });
}

bool names_unit(const Identity& identity, const std::string& wwid) {
  // The first character says which kind it is.
  const std::string wanted = bare(wwid.substr(std::min<std::size_t>(wwid.size(), 1)));
  if (wanted.empty()) return false;
  const std::string serial = bare(identity.serial);
  if (wwid.front() == 'S' && !serial.empty() && wanted.ends_with(serial)) return true;
  return std::any_of(identity.designators.begin(), identity.designators.end(),
                     [&](const Designator& d) {
                       if (d.bytes.empty()) return false;
                       const std::string text = bare(d.bytes);
                       return hex(d.bytes) == wanted || text == wanted || text == "naa." + wanted ||
                              text == "eui." + wanted;
                     });
}

bool is_serial_name(const Identity& identity, const std::string& wwid) {
  constexpr std::size_t kSerialBytesMin = 8;
  const std::string serial = squeeze(identity.serial);
  // The separator is missing after a product name of full length; then it is not known where the
  // serial number begins, and another's may end like ours.
  return serial.size() >= kSerialBytesMin && wwid.starts_with('S') && wwid.ends_with("_" + serial);
}

bool matches_wwid(const Identity& identity, const std::string& expected) {
  const std::string wanted = lower(expected);
  std::string_view digits = wanted;
  for (const std::string_view prefix : {"naa.", "eui.", "0x"})
    digits = without_prefix(digits, prefix);
  return std::any_of(identity.designators.begin(), identity.designators.end(),
                     [&](const Designator& d) {
                       if (lower(format_wwid(d)) == wanted) return true;
                       const bool is_binary = d.type == kNaa || d.type == kEui64;
                       return is_binary && !d.bytes.empty() && hex(d.bytes) == digits;
                     });
}

}  // namespace hawser
