// Property: a specification is refused with an error of the input, or passes the rules that hold
// for one made by hand.
#include "hawser/detail/assert.h"
#include "hawser/volume.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spec = hawser::parse_volume_spec(text);
  if (!spec) {
    HAWSER_ASSERT(spec.error().code() == hawser::Errc::invalid_argument);
    HAWSER_ASSERT(spec.error().stage() == hawser::Stage::input);
    return 0;
  }
  HAWSER_ASSERT(hawser::validate(*spec));
  HAWSER_ASSERT(hawser::attachment_id(*spec).size() == 16);
  return 0;
}
