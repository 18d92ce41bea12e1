#pragma once

#include <functional>
#include <memory>
#include <string>

#include "hawser/ctx.h"

namespace hawser {

// Runs `call`, which may block for ever in the kernel, on a thread of its own, and returns by the
// deadline of `ctx` or when it is cancelled, whatever the call does. A call that is late is left
// behind: it ends by itself or stays stuck, so it may refer to nothing but what it owns. One that
// has not begun by then never does.
//
// Errors: that of `call`; deadline_exceeded or cancelled, with Outcome::unknown if it was left
// behind and unchanged if it has not begun; exhausted if no thread can be had.
Status run_bounded(const Ctx& ctx, const std::string& doing, std::function<Status()> call);

}  // namespace hawser
