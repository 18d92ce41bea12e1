#include "iscsid/client.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "os/poll.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// A full backlog announces nothing, so connect() is tried again.
constexpr auto kConnectInterval = 50ms;

// Requests of every known release are below this; what wants more is nothing that we know.
constexpr std::size_t kRequestBytesMax = 65536;

struct Address {
  sockaddr_un raw{.sun_family = AF_UNIX, .sun_path = {}};
  socklen_t bytes = 0;
};

// `is_padded`: 2.0.873 binds the name with all the zeros behind it.
Result<Address> make_address(const std::string& name, bool is_padded) {
  Address address;
  const bool is_path = name.starts_with('/');
  const std::size_t skip = is_path ? 0 : 1;
  if (name.size() + 1 >= sizeof address.raw.sun_path) {
    return Error(Errc::invalid_argument, "socket name '" + name + "' is too long");
  }
  name.copy(address.raw.sun_path + skip, name.size());
  address.bytes = is_path || is_padded
                      ? sizeof address.raw
                      : static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

Status send_all(const Ctx& ctx, int socket, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t took =
        ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (took >= 0) {
      sent += static_cast<std::size_t>(took);
    } else if (errno == EAGAIN) {
      HAWSER_TRY(wait_writable(ctx, socket));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return ok();  // It took what it wanted, or refused us: the reply says which.
    } else if (errno != EINTR) {
      return Error::from_errno(errno, "send to iscsid");
    }
  }
  return ok();
}

// Wipes the secrets of a request however its sending ends.
class Wiped {
 public:
  explicit Wiped(std::string& bytes) : bytes_(bytes) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { ::explicit_bzero(bytes_.data(), bytes_.size()); }

 private:
  std::string& bytes_;
};

}  // namespace

Result<std::optional<IscsidReply>> IscsidExchange::poll_reply() {
  for (;;) {
    std::array<char, kIscsidReplyBytes> chunk{};
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::optional<IscsidReply>{};
    // When iscsid closes without having read all that we sent, the reply ends with ECONNRESET.
    if (got < 0 && errno != ECONNRESET) return Error::from_errno(errno, "read from iscsid");
    if (got > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(got));
      if (received_.size() > kIscsidReplyBytes) return Error(Errc::protocol, "reply is too long");
      if (received_.size() < kIscsidReplyBytes) continue;
    }
    if (received_.empty()) {
      return Error(Errc::unavailable, "iscsid closed the connection without an answer");
    }
    HAWSER_TRY_ASSIGN(IscsidReply reply, decode_reply(received_, command_));
    return {std::move(reply)};
  }
}

Result<UniqueFd> IscsidClient::connect(const Ctx& ctx, pid_t* peer) const {
  for (bool is_padded = false;;) {
    HAWSER_TRY_ASSIGN(const Address address, make_address(socket_name_, is_padded));
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return Error::from_errno(errno, "socket");
    const auto* raw = reinterpret_cast<const sockaddr*>(&address.raw);
    if (::connect(socket.get(), raw, address.bytes) == 0) {
      ucred credentials{};
      socklen_t bytes = sizeof credentials;
      if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
        return Error::from_errno(errno, "ask who listens on " + socket_name_);
      }
      if (credentials.uid != trusted_uid_) {
        return Error(Errc::permission_denied, "the listener on " + socket_name_ + " is uid " +
                                                  std::to_string(credentials.uid) +
                                                  ", not iscsid: nothing was sent to it");
      }
      *peer = credentials.pid;
      return socket;
    }
    if (errno == EAGAIN) {
      HAWSER_TRY(pause(ctx, kConnectInterval));
      continue;
    }
    const bool is_absent = errno == ECONNREFUSED || errno == ENOENT;
    if (is_absent && !is_padded && !socket_name_.starts_with('/')) {
      is_padded = true;
      continue;
    }
    if (!is_absent) return Error::from_errno(errno, "connect to iscsid");
    return Error(Errc::unavailable,
                 "iscsid does not run in this network namespace (nobody listens on " +
                     socket_name_ + "); start iscsid.socket or iscsid");
  }
}

Result<IscsidExchange> IscsidClient::send(const Ctx& ctx, const std::string& request,
                                          IscsidCommand command) const {
  pid_t peer = 0;
  HAWSER_TRY_ASSIGN(UniqueFd socket, connect(ctx, &peer));
  Status sent = send_all(ctx, socket.get(), request);
  // It may have taken all of it before we saw the failure.
  if (!sent) return std::move(sent).error().with(Outcome::unknown);
  // An iscsid that wants more than we sent sees the end and hangs up, instead of waiting for the
  // rest with everybody else's requests behind it.
  if (::shutdown(socket.get(), SHUT_WR) != 0 && errno != ENOTCONN) {
    return Error::from_errno(errno, "half-close the socket to iscsid");
  }
  return IscsidExchange(std::move(socket), command);
}

Result<IscsidReply> IscsidClient::call(const Ctx& ctx, IscsidCommand command,
                                       const std::string& request) {
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, send(ctx, request, command));
  for (;;) {
    HAWSER_TRY(wait_readable(ctx, exchange.fd()));
    Result<std::optional<IscsidReply>> reply = exchange.poll_reply();
    if (!reply) {
      // Another release may have been started meanwhile.
      forget_layout();
      return std::move(reply).error();
    }
    if (*reply) return **reply;
  }
}

Result<IscsidReply> IscsidClient::call_session(const Ctx& ctx, IscsidCommand command,
                                               std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const IscsidLayout* known, layout(ctx));
  return call(ctx, command, encode_session_request(command, *known, sid));
}

Result<IscsidClient::Probe> IscsidClient::probe(const Ctx& ctx, std::size_t bytes) const {
  constexpr auto kCommand = IscsidCommand::config_initiator_name;
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, send(ctx, encode_request(kCommand, bytes), kCommand));
  Probe probe;
  for (;;) {
    HAWSER_TRY(wait_readable(ctx, exchange.fd()));
    std::array<char, kIscsidReplyBytes> chunk{};
    const ssize_t got = ::recv(exchange.fd(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got > 0) {
      // A refusal comes before the request is read: its result is not the size's business.
      if (!probe.has_reply && got >= 8) ::memcpy(&probe.result, chunk.data() + 4, 4);
      probe.has_reply = true;
      continue;
    }
    if (got < 0 && errno != ECONNRESET) return Error::from_errno(errno, "read from iscsid");
    probe.left_bytes = got < 0;
    return probe;
  }
}

// The exact size of the daemon's request, for the error message about one that is not known.
Result<std::size_t> IscsidClient::find_size(const Ctx& ctx) const {
  std::size_t too_small = 0;
  std::size_t enough = kRequestBytesMax;
  HAWSER_TRY_ASSIGN(const Probe largest, probe(ctx, enough));
  if (!largest.has_reply) return Error(Errc::unsupported, "no answer to any size of request");
  while (enough - too_small > 1) {
    const std::size_t middle = too_small + (enough - too_small) / 2;
    HAWSER_TRY_ASSIGN(const Probe answer, probe(ctx, middle));
    (answer.has_reply ? enough : too_small) = middle;
  }
  return enough;
}

Result<bool> IscsidClient::confirm(const Ctx& ctx, const IscsidLayout& layout) const {
  constexpr auto kCommand = IscsidCommand::session_sync;
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, send(ctx, encode_layout_check(layout), kCommand));
  for (;;) {
    HAWSER_TRY(wait_readable(ctx, exchange.fd()));
    HAWSER_TRY_ASSIGN(const std::optional<IscsidReply> reply, exchange.poll_reply());
    if (!reply) continue;
    return reply->result == iscsid_result::kSysfsLookup ||
           reply->result == iscsid_result::kNoInitiatorName;
  }
}

Result<const IscsidLayout*> IscsidClient::detect(const Ctx& ctx) const {
  std::size_t too_small = 0;
  std::size_t too_large = kRequestBytesMax + 1;
  std::size_t size = 0;
  for (const IscsidLayout& layout : iscsid_layouts()) {
    const std::size_t bytes = layout.request_bytes;
    if (bytes <= too_small || bytes >= too_large) continue;
    HAWSER_TRY_ASSIGN(const Probe answer, probe(ctx, bytes));
    if (answer.has_reply && answer.result != iscsid_result::kSuccess) {
      return iscsid_error(answer.result, IscsidCommand::config_initiator_name);
    }
    if (!answer.has_reply) {
      too_small = bytes;
    } else if (answer.left_bytes) {
      too_large = bytes;
    } else {
      size = bytes;
      break;
    }
  }
  if (size != 0) {
    // That a shorter request is not enough proves the size without the way in which sockets close.
    HAWSER_TRY_ASSIGN(const Probe shorter, probe(ctx, size - 1));
    if (shorter.has_reply) size = 0;
  }
  for (const IscsidLayout& layout : iscsid_layouts()) {
    if (layout.request_bytes != size) continue;
    HAWSER_TRY_ASSIGN(const bool is_right, confirm(ctx, layout));
    if (is_right) return &layout;
  }
  HAWSER_TRY_ASSIGN(const std::size_t wanted, find_size(ctx));
  return Error(Errc::unsupported,
               "this iscsid takes requests of " + std::to_string(wanted) +
                   " bytes in a layout that hawser does not know; a newer hawser, or an open-iscsi "
                   "from 2.0.875 to 2.1.13, is needed");
}

Result<const IscsidLayout*> IscsidClient::layout(const Ctx& ctx) {
  pid_t peer = 0;
  // Under socket activation the listener is process 1 for ever: then forget_layout() is what
  // notices a new daemon.
  HAWSER_TRY(connect(ctx, &peer));
  {
    const MutexLock lock(mutex_);
    if (layout_ != nullptr && layout_pid_ == peer) return layout_;
  }
  Result<const IscsidLayout*> found = detect(ctx);
  if (!found) return std::move(found).error().with(Stage::preflight).with("ask iscsid");
  const MutexLock lock(mutex_);
  layout_ = *found;
  layout_pid_ = peer;
  return layout_;
}

void IscsidClient::forget_layout() {
  const MutexLock lock(mutex_);
  layout_ = nullptr;
}

Result<IscsidExchange> IscsidClient::send_login(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY_ASSIGN(const IscsidLayout* known, layout(ctx));
  HAWSER_TRY_ASSIGN(std::string bytes, encode_login(*known, request));
  const Wiped wiped(bytes);
  return send(ctx, bytes, IscsidCommand::session_login);
}

Status IscsidClient::logout(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply, call_session(ctx, IscsidCommand::session_logout, sid));
  if (reply.result == iscsid_result::kSuccess) return ok();
  return iscsid_error(reply.result, IscsidCommand::session_logout);
}

Result<SessionReport::Counters> IscsidClient::counters(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply, call_session(ctx, IscsidCommand::session_stats, sid));
  if (reply.counters) return *reply.counters;
  return iscsid_error(reply.result, IscsidCommand::session_stats);
}

Result<std::string> IscsidClient::initiator_name(const Ctx& ctx) {
  HAWSER_TRY_ASSIGN(const IscsidLayout* known, layout(ctx));
  constexpr auto kCommand = IscsidCommand::config_initiator_name;
  HAWSER_TRY_ASSIGN(const IscsidReply reply,
                    call(ctx, kCommand, encode_request(kCommand, known->request_bytes)));
  if (reply.result != iscsid_result::kSuccess) return iscsid_error(reply.result, kCommand);
  return reply.initiator_name;
}

Result<bool> IscsidClient::login_in_flight(const Ctx& ctx) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply,
                    call_session(ctx, IscsidCommand::session_info, kSidOfFirstLogin));
  if (reply.result == iscsid_result::kSuccess) return true;
  if (reply.result == iscsid_result::kSessionNotFound) return false;
  return iscsid_error(reply.result, IscsidCommand::session_info);
}

}  // namespace hawser
