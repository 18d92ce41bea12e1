// Property: a specification is refused with an error of the input, or passes the rules that hold
// for one made by hand; and every login that it leads to can be sent to iscsid.
#include "hawser/detail/assert.h"
#include "hawser/volume.h"

#include "wire/iscsid_message.h"

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
  for (const hawser::PathSpec& path : spec->paths) {
    for (const std::string& iface : spec->ifaces) {
      const hawser::LoginRequest login{.target = path.target,
                                       .address = "10.0.1.2",  // As if resolved.
                                       .port = path.portal.port,
                                       .group = path.portal.group,
                                       .iface = iface,
                                       .chap = spec->chap ? &*spec->chap : nullptr};
      HAWSER_ASSERT(hawser::encode_login(hawser::iscsid_layouts().front(), login));
    }
  }
  return 0;
}
