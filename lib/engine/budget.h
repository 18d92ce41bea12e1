// How long is waited for what the outcome does not depend on, and for what passes by itself.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "hawser/ctx.h"
#include "hawser/error.h"

namespace hawser {

// A probe of udev's is over by then, mostly, and who still has a device open uses it.
inline constexpr std::chrono::seconds kPassingOpener{3};

// Whoever works on the same unit takes his time. To clean up after the dead is not worth waiting
// for that: it is tried again by whoever comes next.
inline constexpr std::chrono::seconds kPlacesBudget{5};

// At most `budget`, and at most a third of what is left: what others have to do besides is not
// worth the deadline.
inline std::chrono::nanoseconds at_most(const Ctx& ctx, std::chrono::nanoseconds budget) {
  return std::min<std::chrono::nanoseconds>(budget, ctx.left() / 3);
}

// For a caller who has more time than `budget`: it is not his deadline that has passed.
inline Error not_the_callers_deadline(Error error, std::chrono::seconds budget) {
  if (error.code() != Errc::deadline_exceeded) return error;
  return Error(Errc::unavailable, "no answer in " + std::to_string(budget.count()) + " s");
}

// By force, what is under way, or was begun by a dead process, may end by itself for so long.
inline Ctx peacefully(const Ctx& ctx) { return ctx.within(at_most(ctx, std::chrono::seconds(30))); }

}  // namespace hawser
