#include "iscsid/detect.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "os/poll.h"

namespace hawser {
namespace {

// Four times what any release takes.
constexpr std::size_t kRequestBytesMax = 65536;

// What the daemon did with a request of some size.
struct Probe {
  bool has_reply = false;
  bool left_bytes = false;  // It closed without reading all that we sent.
  int result = 0;
};

Result<IscsidExchange> ask(const Ctx& ctx, const IscsidEndpoint& endpoint,
                           const std::string& request, IscsidCommand command, pid_t* daemon) {
  HAWSER_TRY_ASSIGN(IscsidConnection connection, connect_iscsid(ctx, endpoint));
  *daemon = connection.daemon;
  return send_request(ctx, std::move(connection), request, command, nullptr);
}

// Reads to the end of the connection: how it ends is part of the answer.
Result<Probe> probe(const Ctx& ctx, const IscsidEndpoint& endpoint, std::size_t bytes) {
  constexpr auto kCommand = IscsidCommand::config_initiator_name;
  pid_t ignored = 0;
  HAWSER_TRY_ASSIGN(const IscsidExchange exchange,
                    ask(ctx, endpoint, encode_request(kCommand, bytes), kCommand, &ignored));
  Probe answer;
  std::string received;
  for (;;) {
    HAWSER_TRY(wait_readable(ctx, exchange.fd()));
    std::array<char, kIscsidReplyBytes> chunk{};
    const ssize_t got = ::recv(exchange.fd(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) received.append(chunk.data(), static_cast<std::size_t>(got));
    if (received.size() > kIscsidReplyBytes) return Error(Errc::protocol, "reply is too long");
    if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN))) continue;
    if (got < 0 && errno != ECONNRESET) return Error::from_errno(errno, "read from iscsid");
    answer.left_bytes = got < 0;
    break;
  }
  answer.has_reply = !received.empty();
  if (answer.has_reply) {
    HAWSER_TRY_ASSIGN(const IscsidReply reply, decode_reply(received, kCommand));
    answer.result = reply.result;
  }
  return answer;
}

// The size of the daemon's request if it is one that we know, else 0.
Result<std::size_t> find_known_size(const Ctx& ctx, const IscsidEndpoint& endpoint) {
  std::size_t too_small = 0;
  std::size_t too_large = kRequestBytesMax + 1;
  for (const IscsidLayout& layout : iscsid_layouts()) {
    const std::size_t bytes = layout.request_bytes;
    if (bytes <= too_small || bytes >= too_large) continue;
    HAWSER_TRY_ASSIGN(const Probe answer, probe(ctx, endpoint, bytes));
    // A refusal comes before the request is read and says nothing about its size.
    if (answer.result != iscsid_result::kSuccess) {
      return iscsid_error(answer.result, IscsidCommand::config_initiator_name);
    }
    if (!answer.has_reply) {
      too_small = bytes;
    } else if (answer.left_bytes) {
      too_large = bytes;
    } else {
      // How a socket ends is Linux's business; that one byte less is not enough is proof.
      HAWSER_TRY_ASSIGN(const Probe shorter, probe(ctx, endpoint, bytes - 1));
      return shorter.has_reply ? 0 : bytes;
    }
  }
  return std::size_t{0};
}

// The size, whatever it is: for the message about a layout that is not known.
Result<std::size_t> find_any_size(const Ctx& ctx, const IscsidEndpoint& endpoint) {
  std::size_t too_small = 0;
  std::size_t enough = kRequestBytesMax;
  HAWSER_TRY_ASSIGN(const Probe largest, probe(ctx, endpoint, enough));
  if (!largest.has_reply) {
    return Error(Errc::unavailable, "iscsid answers no request; see its log");
  }
  while (enough - too_small > 1) {
    const std::size_t middle = too_small + (enough - too_small) / 2;
    HAWSER_TRY_ASSIGN(const Probe answer, probe(ctx, endpoint, middle));
    (answer.has_reply ? enough : too_small) = middle;
  }
  return enough;
}

// Whether the daemon finds the transport's name where `layout` has it. Two releases have one size
// and differ in this, and no two have it at the same offset.
Result<bool> confirm(const Ctx& ctx, const IscsidEndpoint& endpoint, const IscsidLayout& layout,
                     pid_t* daemon) {
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, ask(ctx, endpoint, encode_layout_check(layout),
                                                 IscsidCommand::session_sync, daemon));
  HAWSER_TRY_ASSIGN(const IscsidReply reply, exchange.read_reply(ctx));
  return reply.result == iscsid_result::kSysfsLookup ||
         reply.result == iscsid_result::kNoInitiatorName;
}

Result<IscsidLayoutCache::Entry> detect(const Ctx& ctx, const IscsidEndpoint& endpoint) {
  HAWSER_TRY_ASSIGN(const std::size_t size, find_known_size(ctx, endpoint));
  for (const IscsidLayout& layout : iscsid_layouts()) {
    if (layout.request_bytes != size) continue;
    pid_t daemon = 0;
    HAWSER_TRY_ASSIGN(const bool is_right, confirm(ctx, endpoint, layout, &daemon));
    if (is_right) return IscsidLayoutCache::Entry{.layout = &layout, .daemon = daemon};
  }
  HAWSER_TRY_ASSIGN(const std::size_t wanted, find_any_size(ctx, endpoint));
  return Error(Errc::unsupported,
               "this iscsid takes requests of " + std::to_string(wanted) +
                   " bytes in a layout that is not known here; open-iscsi 2.0.875 to 2.1.13 is, "
                   "or a newer version of this library is needed");
}

}  // namespace

Result<IscsidLayoutCache::Entry> detect_layout(const Ctx& ctx, const IscsidEndpoint& endpoint) {
  Result<IscsidLayoutCache::Entry> found = detect(ctx, endpoint);
  if (found) return found;
  return std::move(found).error().with("find out iscsid's release").with(Stage::preflight);
}

}  // namespace hawser
