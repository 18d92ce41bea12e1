#pragma once

#include <sys/types.h>

#include <string>

#include "hawser/result.h"

namespace hawser {

// The process that listens behind a connected unix socket, if it is of `trusted_uid`. Anybody can
// bind an abstract name while the daemon is down. `who` is the daemon that it should be.
//
// Errors: permission_denied (says whose it is), io.
Result<pid_t> check_peer(int socket, uid_t trusted_uid, const std::string& who);

}  // namespace hawser
