// Property: a portal that is read, written again, is read as the same; its host is a name or an
// address and nothing that could mean something to a path, a log or a terminal.
#include <string>

#include "hawser/detail/assert.h"
#include "hawser/portal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const hawser::Result<hawser::Portal> portal = hawser::parse_portal(text);
  if (!portal) {
    HAWSER_ASSERT(portal.error().code() == hawser::Errc::invalid_argument);
    return 0;
  }
  HAWSER_ASSERT(portal->port != 0);
  HAWSER_ASSERT(!portal->host.empty() && portal->host.size() <= 253);
  HAWSER_ASSERT(
      portal->host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789.-_%:") == std::string::npos);
  HAWSER_ASSERT(text.find(portal->host) != text.npos);
  HAWSER_ASSERT(*hawser::parse_portal(to_string(*portal)) == *portal);
  return 0;
}
