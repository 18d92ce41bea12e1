#include "hawser/ctx.h"

#include <algorithm>

namespace hawser {
namespace {

// Saturates, so that "a very long time" cannot wrap round into the past.
TimePoint after(TimePoint now, std::chrono::nanoseconds budget) {
  return budget < TimePoint::max() - now ? now + budget : TimePoint::max();
}

}  // namespace

Status Ctx::check() const {
  if (stop.stop_requested()) return Error(Errc::cancelled, "cancelled by the caller");
  if (clock.now() >= deadline) return Error(Errc::deadline_exceeded, "deadline exceeded");
  return ok();
}

std::chrono::nanoseconds Ctx::left() const {
  return std::max<std::chrono::nanoseconds>(deadline - clock.now(), std::chrono::nanoseconds{0});
}

Ctx Ctx::within(std::chrono::nanoseconds budget) const {
  return {.clock = clock, .deadline = std::min(deadline, after(clock.now(), budget)), .stop = stop};
}

Ctx Ctx::for_undo(std::chrono::nanoseconds budget) const {
  return {.clock = clock, .deadline = after(clock.now(), budget)};
}

}  // namespace hawser
