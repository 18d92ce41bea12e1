#pragma once

#include <string>
#include <vector>

#include "hawser/ctx.h"

namespace hawser {

// The numeric addresses of a host name; a numeric address is its own. Errors: not_found,
// unavailable (the resolver does not answer), deadline_exceeded.
Result<std::vector<std::string>> resolve(const Ctx& ctx, const std::string& host);

}  // namespace hawser
