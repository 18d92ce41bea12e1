// Who uses block devices, from /proc: for deciding that nobody does, and for naming who does.
#pragma once

#include <string>
#include <vector>

#include "hawser/ctx.h"

#include "model/scsi_device.h"

namespace hawser {

// Where any of `devices` is mounted, in any mount namespace, or swapped on; in words. `proc` is
// /proc. Reads as long as `ctx` lasts. Errors: io, deadline_exceeded, cancelled.
Result<std::vector<std::string>> mounts_of(const Ctx& ctx, const std::string& proc,
                                           const std::vector<DevT>& devices);

// Processes that have any of `devices` open: "dd (pid 123)".
// Errors: permission_denied (a process whose descriptors we may not see: who has CAP_SYS_PTRACE
// may), io, deadline_exceeded, cancelled.
Result<std::vector<std::string>> openers_of(const Ctx& ctx, const std::string& proc,
                                            const std::vector<DevT>& devices);

// Whether a loop device ("/dev/loop3") is over any of `devices`. It has no process and no claim,
// and the kernel lists it as no holder. Errors: io, not_found (or it has no file),
// deadline_exceeded.
Result<bool> is_loop_over(const Ctx& ctx, const std::string& loop,
                          const std::vector<DevT>& devices);

}  // namespace hawser
