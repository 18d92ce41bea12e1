#include "host/event_wait.h"

#include <gtest/gtest.h>

namespace hawser {
namespace {

using namespace std::chrono_literals;

Status wait_for_looks(const Ctx& ctx, int wanted) {
  int looks = 0;
  return wait_until(ctx, UdevMonitor::Source::udev, 1ms,
                    [&]() -> Result<bool> { return ++looks >= wanted; });
}

// Nor by one that was lost.
TEST(EventWaitTest, what_announces_itself_by_no_event_is_seen_all_the_same) {
  const SystemClock clock;
  EXPECT_TRUE(wait_for_looks({.clock = clock, .deadline = clock.now() + 1min}, 5));
}

TEST(EventWaitTest, what_never_comes_is_waited_for_until_the_deadline) {
  const SystemClock clock;
  const Status never = wait_for_looks({.clock = clock, .deadline = clock.now() + 20ms}, 1'000'000);
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code(), Errc::deadline_exceeded);
}

}  // namespace
}  // namespace hawser
