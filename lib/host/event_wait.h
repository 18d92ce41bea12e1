#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "hawser/ctx.h"

#include "os/poll.h"
#include "udev/udev.h"

namespace hawser {

// Looks until `look` gives a value, and again whenever a block device's uevent comes. Some of what
// is waited for announces itself by no event, and events of another network namespace are not seen:
// so it also looks every `tick`.
template <class Value>
Result<Value> wait_for_event(const Ctx& ctx, UdevMonitor::Source source,
                             std::chrono::milliseconds tick, auto&& look) {
  std::optional<Result<UdevMonitor>> monitor;
  for (;;) {
    Result<std::optional<Value>> seen = look();
    if (!seen) return std::move(seen).error();
    if (*seen) return **std::move(seen);
    if (!monitor) {
      // Then it looks again, for what came in between. Without a monitor, the tick has to do.
      monitor = UdevMonitor::open(source);
      continue;
    }
    const std::array<int, 1> fds{*monitor ? (*monitor)->fd() : -1};
    HAWSER_TRY(wait_readable_for(ctx, fds, tick));
    if (*monitor) (*monitor)->drain();
  }
}

// The same, for a condition.
inline Status wait_until(const Ctx& ctx, UdevMonitor::Source source, std::chrono::milliseconds tick,
                         auto&& is_true) {
  struct Yes {};
  HAWSER_TRY(wait_for_event<Yes>(ctx, source, tick, [&]() -> Result<std::optional<Yes>> {
    HAWSER_TRY_ASSIGN(const bool holds, is_true());
    return holds ? std::optional<Yes>(Yes{}) : std::nullopt;
  }));
  return ok();
}

}  // namespace hawser
