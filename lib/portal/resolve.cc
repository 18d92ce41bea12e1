#include "portal/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/c_ptr.h"
#include "os/bounded.h"

namespace hawser {
namespace {

constexpr std::size_t kAddressesMax = 64;

// One spelling for each address, since sessions are found by it.
std::optional<std::string> normalise(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (::inet_pton(family, text.c_str(), bytes.data()) != 1) return std::nullopt;
  if (::inet_ntop(family, bytes.data(), out.data(), out.size()) == nullptr) return std::nullopt;
  return std::string(out.data());
}

Status look_up(const std::string& host, std::vector<std::string>& addresses) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  if (failed != 0) {
    const Errc code = failed == EAI_AGAIN ? Errc::unavailable : Errc::not_found;
    return Error(code, "resolve '" + host + "': " + ::gai_strerror(failed));
  }
  const CPtr<addrinfo, &::freeaddrinfo> list(raw);
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
      continue;
    }
    const std::string address(text.data());
    const bool is_new = std::find(addresses.begin(), addresses.end(), address) == addresses.end();
    if (is_new && addresses.size() < kAddressesMax) addresses.push_back(address);
  }
  if (addresses.empty()) return Error(Errc::not_found, "'" + host + "' has no address");
  return ok();
}

}  // namespace

Result<std::vector<std::string>> resolve(const Ctx& ctx, const std::string& host) {
  for (const int family : {AF_INET, AF_INET6}) {
    if (const auto numeric = normalise(family, host)) return std::vector<std::string>{*numeric};
  }
  const auto addresses = std::make_shared<std::vector<std::string>>();
  Status found = run_bounded(ctx, "resolve '" + host + "'",
                             [host, addresses] { return look_up(host, *addresses); });
  if (found) return *addresses;
  return std::move(found).error().with(Outcome::unchanged);
}

}  // namespace hawser
