// Ctx is the first parameter of every function that may block, and of no other. Whoever reads a
// signature knows whether it can wait, for how long, and how to stop it.
#pragma once

#include <chrono>
#include <stop_token>

#include "hawser/detail/export.h"
#include "hawser/result.h"

namespace hawser {

using TimePoint = std::chrono::steady_clock::time_point;

/// The source of time. Tests bring their own.
class HAWSER_API Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

/// The machine's monotonic clock. Stateless.
class HAWSER_API SystemClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

/// How long a call may take, and how to stop it.
struct HAWSER_API Ctx {
  const Clock& clock;                     ///< Must outlive the call.
  TimePoint deadline = TimePoint::max();  ///< max() means no deadline.
  std::stop_token stop{};                 ///< A stop request cancels the call.

  /// @errors  cancelled, deadline_exceeded.
  Status check() const;

  /// Time left; zero when the deadline has passed.
  std::chrono::nanoseconds left() const;

  /// A child with at most `budget` left. A child never outlives its parent.
  Ctx within(std::chrono::nanoseconds budget) const;

  /// For undoing: a fresh budget that neither the parent's deadline nor its cancellation cuts
  /// short. Rolling back is how we honour a cancellation, so it cannot itself be cancelled.
  Ctx for_undo(std::chrono::nanoseconds budget) const;
};

}  // namespace hawser
