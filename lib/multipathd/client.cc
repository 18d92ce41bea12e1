#include "multipathd/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>

#include "base/unique_fd.h"
#include "os/peer.h"
#include "os/poll.h"
#include "wire/multipathd_answer.h"

namespace hawser {
namespace {

Result<UniqueFd> dial(const std::string& name, bool is_abstract) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::size_t skip = is_abstract ? 1 : 0;
  if (name.size() + 1 >= sizeof address.sun_path) {
    return Error(Errc::invalid_argument, "socket name '" + name + "' is too long");
  }
  name.copy(address.sun_path + skip, name.size());
  // Without a NUL behind the name, which would be a part of it.
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + skip + name.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error::from_errno(errno, "socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0) {
    if (errno == EAGAIN) return Error(Errc::busy, "multipathd has more callers than it takes");
    const bool is_absent = errno == ECONNREFUSED || errno == ENOENT;
    if (is_absent) return Error(Errc::unavailable, "multipathd does not run");
    return Error::from_errno(errno, "connect to multipathd");
  }
  return socket;
}

Status send_all(const Ctx& ctx, int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      HAWSER_TRY(wait_writable(ctx, socket));
    } else if (errno != EINTR) {
      return Error::from_errno(errno, "send to multipathd");
    }
  }
  return ok();
}

Result<std::string> receive(const Ctx& ctx, int socket, std::size_t bytes) {
  std::string received(bytes, '\0');
  std::size_t got = 0;
  while (got < bytes) {
    const ssize_t count = ::recv(socket, received.data() + got, bytes - got, 0);
    if (count > 0) {
      got += static_cast<std::size_t>(count);
    } else if (count == 0) {
      return Error(Errc::protocol, "multipathd hung up in the middle of an answer");
    } else if (errno == EAGAIN) {
      HAWSER_TRY(wait_readable(ctx, socket));
    } else if (errno != EINTR) {
      return Error::from_errno(errno, "read from multipathd");
    }
  }
  return received;
}

}  // namespace

Result<std::string> MultipathdClient::command(const Ctx& ctx, std::string_view text) const {
  HAWSER_TRY_ASSIGN(const UniqueFd socket, dial(socket_name_, is_abstract_));
  HAWSER_TRY(check_peer(socket.get(), trusted_uid_, "multipathd"));
  HAWSER_TRY(send_all(ctx, socket.get(), encode_multipathd_command(text)));
  HAWSER_TRY_ASSIGN(const std::string header, receive(ctx, socket.get(), kMultipathdLengthBytes));
  HAWSER_TRY_ASSIGN(const std::size_t bytes, decode_multipathd_length(header));
  HAWSER_TRY_ASSIGN(const std::string answer, receive(ctx, socket.get(), bytes));
  return std::string(multipathd_text(answer));
}

}  // namespace hawser
