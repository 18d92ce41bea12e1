// Of uevents nothing is decoded: they wake a look at the kernel. What udev, or multipathd, says of
// a device and is used is one word, the WWID.
//
// Property: a word is taken for a unit's WWID only if it is made of what the unit itself says; and
// the one that we make ourselves is such a word.
//
// Input: the word; the serial number; then one designator a line, "TYPE BYTES".
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "model/identity.h"

namespace {

using hawser::Designator;
using hawser::Identity;

std::string hex_of(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    char digits[3];
    (void)std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    text += digits;
  }
  return text;
}

// As a person compares them: lower case, up to a NUL, blanks and underscores apart.
std::string essence(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\0') break;
    if (c == ' ' || c == '\t' || c == '_') continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return result;
}

bool is_made_of(const Identity& identity, std::string_view wwid) {
  if (wwid.empty()) return false;
  const std::string word = essence(wwid.substr(1));
  if (word.empty()) return false;
  const std::string serial = essence(identity.serial);
  if (wwid.front() == 'S' && !serial.empty() && word.size() >= serial.size() &&
      word.compare(word.size() - serial.size(), serial.size(), serial) == 0) {
    return true;
  }
  for (const Designator& d : identity.designators) {
    const std::string text = essence(d.bytes);
    if (d.bytes.empty()) continue;
    if (word == hex_of(d.bytes) || word == text || "naa." + word == text || "eui." + word == text) {
      return true;
    }
  }
  return false;
}

bool is_plain(const std::string& wwid) {
  std::string bad = " /\"\\\x7f";
  for (int c = 0; c < ' '; ++c)
    bad += static_cast<char>(c);
  for (int c = 0x80; c < 0x100; ++c)
    bad += static_cast<char>(c);
  return !wwid.empty() && wwid.size() <= 115 && wwid.find_first_of(bad) == wwid.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string word(input.line());
  Identity identity{.serial = std::string(input.line())};
  while (!input.is_at_end()) {
    const std::string_view line = input.line();
    if (line.size() < 2) continue;
    identity.designators.push_back({.type = static_cast<std::uint8_t>(line[0] - '0'),
                                    .code_set = 1,
                                    .bytes = std::string(line.substr(2))});
  }

  HAWSER_ASSERT(hawser::is_usable_wwid(word) == is_plain(word));
  HAWSER_ASSERT(hawser::names_unit(identity, word) == is_made_of(identity, word));
  const std::string own = hawser::wwid_of(identity);
  if (own.empty()) return 0;
  HAWSER_ASSERT(is_plain(own));
  HAWSER_ASSERT(hawser::names_unit(identity, own));
  HAWSER_ASSERT(hawser::matches_wwid(identity, own));
  HAWSER_ASSERT(hawser::same_unit(identity, identity));
  return 0;
}
