#include "engine/run_all.h"

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "host/linux_host.h"
#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

class RunAllTest : public testing::Test {
 protected:
  using Task = std::function<Status(const Ctx&)>;

  void SetUp() override {
    Result<std::unique_ptr<LinuxHost>> host = LinuxHost::open(tree_.path());
    ASSERT_TRUE(host);
    host_ = *std::move(host);
  }

  Status run(std::chrono::nanoseconds time, std::vector<Task> tasks) {
    return run_all({.clock = clock_, .deadline = clock_.now() + time}, *host_, std::move(tasks));
  }
  TempTree tree_{};
  SystemClock clock_{};
  std::unique_ptr<LinuxHost> host_{};
};

TEST_F(RunAllTest, none_is_a_success) { EXPECT_TRUE(run(60s, {})); }

TEST_F(RunAllTest, the_first_is_run_by_the_caller) {
  std::array<std::thread::id, 2> threads{};
  const auto note = [&threads](std::size_t i) {
    return [&threads, i](const Ctx&) {
      threads[i] = std::this_thread::get_id();
      return ok();
    };
  };
  EXPECT_TRUE(run(60s, {note(0), note(1)}));
  EXPECT_EQ(threads[0], std::this_thread::get_id());
  EXPECT_NE(threads[1], std::this_thread::get_id());
}

TEST_F(RunAllTest, every_task_is_run_and_the_first_error_in_the_list_is_told) {
  std::atomic<int> done = 0;
  const auto task = [&done](Errc code) {
    return [&done, code](const Ctx&) -> Status {
      ++done;
      return Error(code, "");
    };
  };
  const Status status = run(60s, {[&done](const Ctx&) {
                                    ++done;
                                    return ok();
                                  },
                                  task(Errc::io), task(Errc::busy)});
  EXPECT_EQ(done, 3);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Errc::io);
}

// What they work on must not go before they have.
TEST_F(RunAllTest, tasks_that_meet_the_deadline_are_waited_for) {
  std::atomic<int> ended = 0;
  const auto slow = [this, &ended](const Ctx& ctx) {
    Status waited = host_->pause(ctx, 60s);
    ++ended;
    return waited;
  };
  const Status status = run(50ms, {[](const Ctx&) { return ok(); }, slow, slow});
  EXPECT_EQ(ended, 2);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Errc::deadline_exceeded);
}

TEST_F(RunAllTest, a_task_that_runs_out_of_memory_stops_no_other) {
  for (const unsigned which : {0U, 1U}) {
    std::atomic<int> done = 0;
    std::vector<Task> tasks(2, [&done](const Ctx&) {
      ++done;
      return ok();
    });
    tasks[which] = [](const Ctx&) -> Status { throw std::bad_alloc(); };
    const Status status = run(60s, std::move(tasks));
    EXPECT_EQ(done, 1);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), Errc::exhausted);
  }
}

}  // namespace
}  // namespace hawser
