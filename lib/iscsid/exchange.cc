#include "iscsid/exchange.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <utility>

#include "os/peer.h"
#include "os/poll.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// A full backlog (32 in iscsid) fails connect() with EAGAIN and announces no end: tried again.
constexpr auto kConnectInterval = 50ms;

struct Address {
  sockaddr_un raw{.sun_family = AF_UNIX, .sun_path = {}};
  socklen_t bytes = 0;
};

bool is_path(const std::string& name) { return name.starts_with('/'); }

// `is_padded`: 2.0.873 binds the abstract name with all the zeros behind it.
Result<Address> make_address(const std::string& name, bool is_padded) {
  Address address;
  if (name.empty() || name.size() + 1 >= sizeof address.raw.sun_path) {
    return Error(Errc::invalid_argument, "socket name '" + name + "' is empty or too long");
  }
  name.copy(address.raw.sun_path + (is_path(name) ? 0 : 1), name.size());
  address.bytes = is_path(name) || is_padded
                      ? sizeof address.raw
                      : static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

// False if nobody listens there.
Result<bool> connect_to(const Ctx& ctx, int socket, const Address& address) {
  while (::connect(socket, reinterpret_cast<const sockaddr*>(&address.raw), address.bytes) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return false;
    if (errno != EAGAIN && errno != EINTR) return Error::from_errno(errno, "connect to iscsid");
    Status waited = pause(ctx, kConnectInterval);
    if (!waited) return std::move(waited).error().with("connect to iscsid, which is busy");
  }
  return true;
}

Status send_all(const Ctx& ctx, int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t took = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (took >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(took));
      continue;
    }
    if (errno == EINTR) continue;
    // It took what it wanted, or refused us: the reply says which.
    if (errno == EPIPE || errno == ECONNRESET) return ok();
    if (errno != EAGAIN) return Error::from_errno(errno, "write");
    HAWSER_TRY(wait_writable(ctx, socket));
  }
  return ok();
}

bool changes_things(IscsidCommand command) {
  return command == IscsidCommand::session_login || command == IscsidCommand::session_logout;
}

}  // namespace

IscsidLayoutCache::Entry IscsidLayoutCache::get() const {
  const MutexLock lock(mutex_);
  return entry_;
}

void IscsidLayoutCache::set(const Entry& entry) {
  const MutexLock lock(mutex_);
  entry_ = entry;
}

void IscsidLayoutCache::forget() { set({}); }

Result<IscsidConnection> connect_iscsid(const Ctx& ctx, const IscsidEndpoint& endpoint) {
  HAWSER_TRY(ctx.check());
  for (const bool is_padded : {false, true}) {
    if (is_padded && is_path(endpoint.socket_name)) continue;
    HAWSER_TRY_ASSIGN(const Address address, make_address(endpoint.socket_name, is_padded));
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return Error::from_errno(errno, "socket");
    HAWSER_TRY_ASSIGN(const bool is_there, connect_to(ctx, socket.get(), address));
    if (!is_there) continue;
    // Before anything is sent: logins carry secrets.
    Result<pid_t> daemon =
        check_peer(socket.get(), endpoint.trusted_uid, "iscsid on " + endpoint.socket_name);
    if (!daemon) return std::move(daemon).error().with(Stage::preflight);
    return IscsidConnection{.socket = std::move(socket), .daemon = *daemon};
  }
  // Abstract names belong to a network namespace.
  return Error(Errc::unavailable, "connect to iscsid: nobody listens on " + endpoint.socket_name +
                                      " in this network namespace; start iscsid.socket or iscsid")
      .with(Stage::preflight);
}

Result<IscsidExchange> send_request(const Ctx& ctx, IscsidConnection connection,
                                    const std::string& request, IscsidCommand command,
                                    std::shared_ptr<IscsidLayoutCache> cache) {
  Status sent = send_all(ctx, connection.socket.get(), request);
  if (!sent) return std::move(sent).error().with("send to iscsid").with(stage_of(command));
  IscsidExchange exchange(std::move(connection.socket), command, std::move(cache));
  // An iscsid that wants more than we sent sees the end and hangs up, instead of waiting for the
  // rest with everybody else's requests behind it. Closing does the same, should this fail.
  if (::shutdown(exchange.fd(), SHUT_WR) != 0 && errno != ENOTCONN) {
    return exchange.failed(Error::from_errno(errno, "half-close the socket to iscsid"));
  }
  return exchange;
}

Error IscsidExchange::failed(Error error) const {
  const Outcome outcome = changes_things(command_) ? Outcome::unknown : Outcome::unchanged;
  return std::move(error).with(outcome).with(stage_of(command_));
}

Result<std::optional<IscsidReply>> IscsidExchange::poll_reply() {
  for (;;) {
    std::array<char, kIscsidReplyBytes> chunk{};
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::optional<IscsidReply>{};
    // iscsid that closes before it has read all that we sent: the reply ends with ECONNRESET.
    if (got < 0 && errno != ECONNRESET) {
      return failed(Error::from_errno(errno, "read from iscsid"));
    }
    if (got > 0) received_.append(chunk.data(), static_cast<std::size_t>(got));
    if (got > 0 && received_.size() < kIscsidReplyBytes) continue;
    break;
  }
  Result<IscsidReply> reply =
      received_.empty() ? Error(Errc::unavailable, "iscsid closed the connection without an answer")
                        : decode_reply(received_, command_);
  // Both are what a daemon of another release does with our request.
  const bool is_stale = !reply || reply->result == iscsid_result::kTransportNotFound;
  if (is_stale && cache_) cache_->forget();
  if (!reply) return failed(std::move(reply).error());
  return {*std::move(reply)};
}

Result<IscsidReply> IscsidExchange::read_reply(const Ctx& ctx) {
  for (;;) {
    Status waited = wait_readable(ctx, fd());
    if (!waited) return failed(std::move(waited).error().with("wait for iscsid's answer"));
    HAWSER_TRY_ASSIGN(std::optional<IscsidReply> reply, poll_reply());
    if (reply) return *std::move(reply);
  }
}

}  // namespace hawser
