// Property: the serial number is what stands in the page between the padding, all of it.
#include <string>

#include "hawser/detail/assert.h"

#include "wire/vpd.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string page(data, data + size);
  const hawser::Result<std::string> serial = hawser::decode_vpd80(page);
  const std::size_t length =
      size < 4 ? 0
               : static_cast<unsigned char>(page[2]) * 256U + static_cast<unsigned char>(page[3]);
  const bool is_whole = size >= 4 && page[1] == '\x80' && size - 4 >= length;
  HAWSER_ASSERT(serial.has_value() == is_whole);
  if (!serial) return 0;

  const std::string padding(" \0", 2);
  const std::string body = page.substr(4, length);
  const std::size_t at = body.find_first_not_of(padding);
  if (at == body.npos) {
    HAWSER_ASSERT(serial->empty());
    return 0;
  }
  HAWSER_ASSERT(*serial == body.substr(at, body.find_last_not_of(padding) - at + 1));
  return 0;
}
