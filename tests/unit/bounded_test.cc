#include "os/bounded.h"

#include <fcntl.h>

#include <latch>

#include <gtest/gtest.h>

#include "os/file_lock.h"
#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

TEST(RunBoundedTest, gives_back_what_the_call_returned) {
  const SystemClock clock;
  const Ctx ctx{.clock = clock, .deadline = clock.now() + 60s};

  EXPECT_TRUE(run_bounded(ctx, "x", [] { return ok(); }));
  const Status failed = run_bounded(ctx, "x", []() -> Status { return Error(Errc::io, "bad"); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "bad");
}

TEST(RunBoundedTest, leaves_a_call_behind_that_does_not_return) {
  const SystemClock clock;
  const Ctx ctx{.clock = clock, .deadline = clock.now() + 20ms};
  const auto release = std::make_shared<std::latch>(1);

  const Status waited = run_bounded(ctx, "flush /dev/x", [release] {
    release->wait();
    return ok();
  });

  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), Errc::deadline_exceeded);
  EXPECT_EQ(waited.error().outcome(), Outcome::unknown);
  release->count_down();
}

TEST(FileLockTest, a_second_holder_waits_and_gets_busy_at_the_deadline) {
  const SystemClock clock;
  const TempTree tree;
  tree.write("lock", "");
  const auto open_file = [&] {
    return UniqueFd(::open(tree.path("lock").c_str(), O_RDWR | O_CLOEXEC));
  };
  const Ctx patient{.clock = clock, .deadline = clock.now() + 60s};
  Result<UniqueFd> first = lock_file(patient, open_file(), 5, 1, "it");
  ASSERT_TRUE(first);

  const Ctx hasty{.clock = clock, .deadline = clock.now() + 20ms};
  const Result<UniqueFd> second = lock_file(hasty, open_file(), 5, 1, "it");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::busy);
  EXPECT_TRUE(lock_file(patient, open_file(), 6, 1, "another byte"));

  first->reset();
  EXPECT_TRUE(lock_file(patient, open_file(), 5, 1, "it"));
}

}  // namespace
}  // namespace hawser
