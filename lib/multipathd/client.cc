#include "multipathd/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/unique_fd.h"
#include "os/peer.h"
#include "os/poll.h"

namespace hawser {
namespace {

constexpr std::size_t kAnswerBytesMax = 4 * 1024 * 1024;

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
    const bool is_absent = errno == ECONNREFUSED || errno == ENOENT || errno == EAGAIN;
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

// Both ways a length (size_t, with the NUL) and the text.
Result<std::string> MultipathdClient::command(const Ctx& ctx, std::string_view text) const {
  HAWSER_TRY_ASSIGN(const UniqueFd socket, dial(socket_name_, is_abstract_));
  HAWSER_TRY(check_peer(socket.get(), trusted_uid_, "multipathd"));
  std::size_t length = text.size() + 1;
  std::string request(sizeof length, '\0');
  std::memcpy(request.data(), &length, sizeof length);
  request += text;
  request += '\0';
  HAWSER_TRY(send_all(ctx, socket.get(), request));

  HAWSER_TRY_ASSIGN(const std::string header, receive(ctx, socket.get(), sizeof length));
  std::memcpy(&length, header.data(), sizeof length);
  if (length == 0 || length > kAnswerBytesMax) {
    return Error(Errc::protocol,
                 "multipathd announces an answer of " + std::to_string(length) + " bytes");
  }
  HAWSER_TRY_ASSIGN(std::string answer, receive(ctx, socket.get(), length));
  answer.resize(std::min(answer.find('\0'), answer.size()));
  while (answer.ends_with('\n'))
    answer.pop_back();
  return answer;
}

PathOffer parse_add_path(std::string_view answer) {
  if (answer.starts_with("blacklisted")) return PathOffer::blacklisted;
  if (answer.starts_with("ok")) return PathOffer::accepted;
  // "fail" while udev has not handled the device, "timeout", "delayed".
  return PathOffer::undecided;
}

namespace {

// Takes the first line of `answer`: a device, blanks, and the rest without blanks at its end.
std::pair<std::string_view, std::string_view> take_line(std::string_view& answer) {
  std::string_view line = answer.substr(0, answer.find('\n'));
  answer.remove_prefix(std::min(answer.size(), line.size() + 1));
  while (line.ends_with(' '))
    line.remove_suffix(1);
  const std::size_t space = line.find(' ');
  if (space == line.npos) return {line, {}};
  return {line.substr(0, space), line.substr(line.find_first_not_of(' ', space))};
}

}  // namespace

std::optional<std::string> parse_path_wwid(std::string_view answer, std::string_view device) {
  while (!answer.empty()) {
    const auto [name, wwid] = take_line(answer);
    if (name != device) continue;
    if (wwid.empty() || wwid == "[undef]" || wwid.size() > 127) return std::nullopt;
    return std::string(wwid);
  }
  return std::nullopt;
}

bool parse_has_path(std::string_view answer, std::string_view device, std::string_view hctl) {
  while (!answer.empty()) {
    const auto [name, address] = take_line(answer);
    if (name == device && address == hctl) return true;
  }
  return false;
}

}  // namespace hawser
