#pragma once

#include <functional>
#include <vector>

#include "host/host.h"

namespace hawser {

// Runs every task, side by side, to its end: the first on the caller's thread. A failure does not
// stop the others.
// Errors: that of the first task in the list that failed.
Status run_all(const Ctx& ctx, Host& host, std::vector<std::function<Status(const Ctx&)>> tasks);

}  // namespace hawser
