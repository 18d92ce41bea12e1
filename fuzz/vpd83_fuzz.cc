// Property: the designators that are taken, written as a page again, give the same designators, and
// none when written as those of a port; what stands behind the page is no part of it; and a page
// with its last byte cut off is refused. And all designators of a page that is made of the input
// are taken.
#include <string>
#include <string_view>
#include <vector>

#include "hawser/detail/assert.h"

#include "wire/vpd.h"

namespace {

// `association` 0 is the unit, 1 a port.
std::string page_of(const std::vector<hawser::Designator>& designators, int association) {
  std::string body;
  for (const hawser::Designator& d : designators) {
    body += static_cast<char>(d.code_set);
    body += static_cast<char>(association << 4 | d.type);
    body += '\0';
    body += static_cast<char>(d.bytes.size());
    body += d.bytes;
  }
  std::string page{'\0', '\x83'};
  page += static_cast<char>(body.size() >> 8);
  page += static_cast<char>(body.size() & 0xff);
  return page + body;
}

// Each begins with its code set and type, and its length; of those without a length nothing is
// made.
std::vector<hawser::Designator> designators_in(std::string_view input) {
  std::vector<hawser::Designator> designators;
  while (input.size() > 2 && designators.size() < 64) {
    const auto kind = static_cast<unsigned char>(input[0]);
    const auto length = static_cast<unsigned char>(input[1]);
    const std::string bytes(input.substr(2, length));
    input.remove_prefix(2 + bytes.size());
    if (bytes.empty()) continue;
    designators.push_back({.type = static_cast<std::uint8_t>(kind & 15),
                           .code_set = static_cast<std::uint8_t>(kind >> 4),
                           .bytes = bytes});
  }
  return designators;
}

// How long the page says that it is, with its header.
std::size_t length_of(const std::string& page) {
  return 4 + static_cast<unsigned char>(page[2]) * 256U + static_cast<unsigned char>(page[3]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string page(data, data + size);
  const std::vector<hawser::Designator> made = designators_in(page);
  HAWSER_ASSERT(*hawser::decode_vpd83(page_of(made, 0)) == made);
  const auto designators = hawser::decode_vpd83(page);
  if (!designators) {
    HAWSER_ASSERT(designators.error().code() == hawser::Errc::protocol);
    return 0;
  }
  std::size_t bytes = 4;
  for (const hawser::Designator& d : *designators) {
    HAWSER_ASSERT(!d.bytes.empty() && d.bytes.size() <= 255);
    HAWSER_ASSERT(d.type <= 15 && d.code_set <= 15);
    HAWSER_ASSERT(page.find(d.bytes) != page.npos);
    bytes += 4 + d.bytes.size();
  }
  const std::size_t length = length_of(page);
  HAWSER_ASSERT(bytes <= length && length <= page.size());
  HAWSER_ASSERT(*hawser::decode_vpd83(page_of(*designators, 0)) == *designators);
  HAWSER_ASSERT(hawser::decode_vpd83(page_of(*designators, 1))->empty());
  HAWSER_ASSERT(*hawser::decode_vpd83(page.substr(0, length) + "more") == *designators);
  HAWSER_ASSERT(!hawser::decode_vpd83(page.substr(0, length - 1)));
  return 0;
}
