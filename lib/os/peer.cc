#include "os/peer.h"

#include <sys/socket.h>

#include <cerrno>

namespace hawser {

Result<pid_t> check_peer(int socket, uid_t trusted_uid, const std::string& who) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
    return Error::from_errno(errno, "ask who listens in place of " + who);
  }
  if (credentials.uid == trusted_uid) return credentials.pid;
  return Error(Errc::permission_denied, "whoever listens in place of " + who + " runs as uid " +
                                            std::to_string(credentials.uid) +
                                            " and is not trusted: nothing was sent to it");
}

}  // namespace hawser
