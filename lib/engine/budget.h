// How much of a deadline a step may use up that the outcome does not depend on.
#pragma once

#include <algorithm>
#include <chrono>

#include "hawser/ctx.h"

namespace hawser {

// At most `budget`, and at most a third of what is left: what others have to do besides is not
// worth the deadline.
inline std::chrono::nanoseconds at_most(const Ctx& ctx, std::chrono::nanoseconds budget) {
  return std::min<std::chrono::nanoseconds>(budget, ctx.left() / 3);
}

}  // namespace hawser
