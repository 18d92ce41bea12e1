// Property: what a portal says of its targets arrives as a plain second decoder reads it, or is
// refused; whatever it says, discovery comes to an end.
//
// The text is decoded in libiscsi, so all of it is run: a portal on the loopback device lets
// everybody in and answers SendTargets with the input, in which a line end stands for a NUL.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>

#include "hawser/detail/assert.h"

#include "base/unique_fd.h"
#include "input.h"
#include "portal/discovery.h"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kHeaderBytes = 48;
constexpr std::size_t kTextBytesMax = 8192;  // What one PDU may have.

// The parts of iSCSI's protocol that a portal needs. Source: RFC 7143 section 11.
using Header = std::array<unsigned char, kHeaderBytes>;

bool read_all(int fd, unsigned char* into, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = ::recv(fd, into, bytes, 0);
    if (got <= 0) return false;
    into += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

void put32(Header& header, std::size_t at, std::uint32_t value) {
  value = htonl(value);
  std::memcpy(&header[at], &value, sizeof value);
}

std::uint32_t get32(const Header& header, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, &header[at], sizeof value);
  return ntohl(value);
}

Header answer_to(const Header& request, std::uint32_t text_bytes) {
  const bool is_login = (request[0] & 0x3f) == 0x03;
  Header answer{};
  answer[0] = is_login ? 0x23 : 0x24;
  answer[1] = is_login ? request[1] : 0x80;  // As far as it wants; final.
  put32(answer, 4, text_bytes);
  if (is_login) std::memcpy(&answer[8], &request[8], 6);  // ISID
  if (is_login) answer[15] = 1;                           // TSIH
  std::memcpy(&answer[16], &request[16], 4);              // Task
  if (!is_login) put32(answer, 20, 0xffffffff);
  const std::uint32_t command = get32(request, 24);
  put32(answer, 24, is_login ? 1 : 2);
  put32(answer, 28, is_login ? command : command + 1);
  put32(answer, 32, command + 10);
  return answer;
}

// Serves one connection after the other, all with the same text.
class Portal {
 public:
  Portal() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    HAWSER_ASSERT(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) ==
                  0);
    HAWSER_ASSERT(::listen(listener_.get(), 1) == 0);
    socklen_t bytes = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &bytes);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }

  void serve(const std::string& text) {
    const hawser::UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
    Header request{};
    while (connection && read_all(connection.get(), request.data(), request.size())) {
      const std::size_t bytes = ((get32(request, 4) & 0xffffff) + 3) & ~3U;
      std::string sink(bytes, '\0');
      if (!read_all(connection.get(), reinterpret_cast<unsigned char*>(sink.data()), bytes)) return;
      const bool is_login = (request[0] & 0x3f) == 0x03;
      const std::string body = is_login ? "" : text;
      const Header answer = answer_to(request, static_cast<std::uint32_t>(body.size()));
      std::string pdu(answer.begin(), answer.end());
      pdu += body;
      pdu.resize((pdu.size() + 3) & ~std::size_t{3});
      if (::send(connection.get(), pdu.data(), pdu.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

 private:
  hawser::UniqueFd listener_;
  std::uint16_t port_ = 0;
};

// "TargetName=NAME", each with its "TargetAddress=PORTAL" behind it, and each with a NUL. The
// padding of the PDU counts as part of the text, and an empty item as its end: libiscsi has it so.
std::optional<std::vector<hawser::DiscoveredTarget>> reference_targets(std::string text) {
  text.resize((text.size() + 3) & ~std::size_t{3});
  std::vector<hawser::DiscoveredTarget> targets;
  const std::vector<std::string_view> items = split(text, '\0');
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string_view item = items[i];
    if (item.empty()) return targets;
    if (i + 1 == items.size()) break;  // It has no NUL.
    if (item.starts_with("TargetName=")) {
      targets.push_back({.target = std::string(item.substr(11))});
    } else if (item.starts_with("TargetAddress=")) {
      const auto portal = hawser::parse_portal(item.substr(14));
      if (!portal || targets.empty()) return std::nullopt;
      if (targets.back().portals.size() < 64) targets.back().portals.push_back(*portal);
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

bool is_equal(const hawser::DiscoveredTarget& a, const hawser::DiscoveredTarget& b) {
  return a.target == b.target && a.portals == b.portals;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(data, data + std::min(size, kTextBytesMax));
  std::replace(text.begin(), text.end(), '\n', '\0');
  static Portal portal;
  std::thread server([&] { portal.serve(text); });
  const hawser::SystemClock clock;
  const hawser::Ctx ctx{.clock = clock, .deadline = clock.now() + 20s};
  const auto targets = hawser::discover(ctx, "iqn.2004-10.org.example:initiator",
                                        {.host = "127.0.0.1", .port = portal.port()}, std::nullopt);
  server.join();
  const auto expected = reference_targets(text);
  if (!targets) {
    HAWSER_ASSERT(targets.error().code() == hawser::Errc::protocol);
    HAWSER_ASSERT(targets.error().stage() == hawser::Stage::discover);
  }
  HAWSER_ASSERT(targets.has_value() == expected.has_value());
  if (!targets) return 0;
  HAWSER_ASSERT(targets->size() == expected->size());
  HAWSER_ASSERT(std::equal(targets->begin(), targets->end(), expected->begin(), &is_equal));
  return 0;
}
