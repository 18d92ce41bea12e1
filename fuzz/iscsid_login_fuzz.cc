// Property: for every layout a login that is encoded has the daemon's size, and each text stands at
// its offset with a NUL behind it; a length that iscsid copies secrets by is that of the secret.
//
// Input: the lines of login_input.h.
#include <cstring>

#include "hawser/detail/assert.h"

#include "login_input.h"
#include "wire/iscsid_message.h"

namespace {

using F = hawser::IscsidField;

bool has_text(const std::string& request, std::size_t offset, std::string_view text) {
  if (offset + text.size() >= request.size()) return false;
  return text.find('\0') == text.npos &&
         std::string_view(request).substr(offset, text.size()) == text &&
         request[offset + text.size()] == '\0';
}

std::uint32_t number_at(const std::string& request, std::size_t offset) {
  std::uint32_t value = 0;
  HAWSER_ASSERT(offset + sizeof value <= request.size());
  std::memcpy(&value, request.data() + offset, sizeof value);
  return value;
}

void check(const hawser::LoginRequest& login, const hawser::IscsidLayout& layout,
           const std::string& request) {
  HAWSER_ASSERT(request.size() == layout.request_bytes);
  HAWSER_ASSERT(has_text(request, layout.offset(F::target_name), login.target));
  HAWSER_ASSERT(has_text(request, layout.offset(F::address), login.address));
  HAWSER_ASSERT(has_text(request, layout.offset(F::iface_name), login.iface));
  HAWSER_ASSERT(has_text(request, layout.offset(F::transport_name), login.binding.transport));
  HAWSER_ASSERT(has_text(request, layout.netdev_offset(), login.binding.netdev));
  HAWSER_ASSERT(has_text(request, layout.hwaddress_offset(), login.binding.hwaddress));
  HAWSER_ASSERT(has_text(request, layout.initiator_name_offset(), login.binding.initiator_name));
  HAWSER_ASSERT(number_at(request, layout.offset(F::port)) == login.port);
  HAWSER_ASSERT(number_at(request, layout.offset(F::scan)) == 0);
  const hawser::Chap none;
  const hawser::Chap& chap = login.chap == nullptr ? none : *login.chap;
  HAWSER_ASSERT(has_text(request, layout.offset(F::username), chap.username));
  HAWSER_ASSERT(has_text(request, layout.offset(F::password), chap.password.reveal()));
  HAWSER_ASSERT(number_at(request, layout.offset(F::password_length)) == chap.password.size());
  HAWSER_ASSERT(has_text(request, layout.offset(F::username_in), chap.username_in));
  HAWSER_ASSERT(has_text(request, layout.offset(F::password_in), chap.password_in.reveal()));
  HAWSER_ASSERT(number_at(request, layout.offset(F::password_in_length)) ==
                chap.password_in.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const LoginInput made(input);
  for (const hawser::IscsidLayout& layout : hawser::iscsid_layouts()) {
    const hawser::Result<std::string> request = hawser::encode_login(layout, made.login());
    if (request) check(made.login(), layout, *request);
  }
  return 0;
}
