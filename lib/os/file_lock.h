#pragma once

#include <sys/types.h>

#include <string>

#include "hawser/ctx.h"

#include "base/unique_fd.h"

namespace hawser {

// Write-locks `bytes` bytes of an open file from `start` (0 bytes: to its end) until the descriptor
// returned is closed. The lock belongs to the open file, not to the process: two threads exclude
// each other, and a crash frees it.
//
// Waits in the kernel on a worker; a lock that comes after the deadline is given back there.
// Errors: busy (`what` was held until the deadline), cancelled, io. The file is closed then.
Result<UniqueFd> lock_file(const Ctx& ctx, UniqueFd file, off_t start, off_t bytes,
                           const std::string& what);

// The same without waiting. Errors: busy, io.
Status try_lock_file(int file, off_t start, off_t bytes, const std::string& what);

}  // namespace hawser
