// A transaction log that fails once: what the operation knows then, what it writes, and which locks
// it keeps.
#include <gtest/gtest.h>

#include "engine/log_state.h"
#include "engine/operation.h"
#include "sim/process.h"

namespace hawser {
namespace {

// A write that failed, and what there is of it.
constexpr Faults::Fault kNotWritten = Faults::fail_before;
constexpr Faults::Fault kWritten = Faults::fail_after;

class OperationSimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<LogFile>> log = process_.journal.open(process_.ctx(), kId);
    ASSERT_TRUE(log);
    Result<std::unique_ptr<Operation>> operation =
        Operation::start(process_.environment(), kId, *std::move(log));
    ASSERT_TRUE(operation);
    operation_ = *std::move(operation);
    LogState start;
    start.boot_id = "boot-1";
    ASSERT_TRUE(operation_->mark(RecordType::begin, step::kAttach, begin_fields(start)));
  }

  Result<std::uint32_t> announce_device() {
    return operation_->intent(step::kDevice, {{"sid", "1"}, {"lun", "7"}, {"existed", "0"}});
  }

  // What somebody reads who has only the log.
  LogState log() {
    const Result<LogState> state = replay(world_.logs[kId]);
    EXPECT_TRUE(state);
    return state ? *state : LogState{};
  }

  static constexpr const char* kId = "v1";
  static constexpr const char* kLock = "session a";

  SimWorld world_;
  Mishap mishap_;
  Faults faults_{mishap_, 100};
  SimProcess process_{world_, faults_};
  std::unique_ptr<Operation> operation_;
};

TEST_F(OperationSimTest, nothing_new_is_begun_over_a_log_that_has_failed) {
  mishap_.next = kNotWritten;
  EXPECT_FALSE(announce_device());
  EXPECT_FALSE(announce_device());
  EXPECT_TRUE(log().devices.empty());
}

TEST_F(OperationSimTest, a_step_that_was_written_after_all_is_known_to_the_undo) {
  mishap_.next = kWritten;
  EXPECT_FALSE(announce_device());
  EXPECT_TRUE(operation_->state()->devices.empty());

  operation_->reconcile();

  ASSERT_EQ(operation_->state()->devices.size(), 1u);
  operation_->undone(step::kDevice, operation_->state()->devices.front().number);
  EXPECT_EQ(log().devices.front().progress, Progress::ended);
}

// The undo would not look for it.
TEST_F(OperationSimTest, a_step_that_was_written_after_all_does_not_turn_up_in_the_middle) {
  mishap_.next = kWritten;
  EXPECT_FALSE(announce_device());

  operation_->found(step::kMap, {{"uuid", "mpath-x"}});

  EXPECT_TRUE(operation_->state()->devices.empty());
  EXPECT_EQ(operation_->state()->maps.size(), 1u);
  EXPECT_TRUE(log().maps.empty());
}

TEST_F(OperationSimTest, what_was_done_is_known_and_written_by_the_undo) {
  for (const Faults::Fault loss : {kNotWritten, kWritten}) {
    const Result<std::uint32_t> number = announce_device();
    ASSERT_TRUE(number);
    mishap_.next = loss;
    EXPECT_FALSE(operation_->done(step::kDevice, *number,
                                  {{"hctl", "1:0:0:7"}, {"name", "sda"}, {"dev", "8:0"}}));
    EXPECT_EQ(operation_->state()->devices.back().progress, Progress::done);

    operation_->found(step::kMap, {{"uuid", "mpath-x"}});

    EXPECT_EQ(log().devices.back().progress, Progress::done);
    EXPECT_EQ(log().maps.size(), operation_->state()->maps.size());
  }
  // Each but once: begin, and twice a device, its end and a map.
  EXPECT_EQ(world_.logs[kId].size(), 7u);
}

TEST_F(OperationSimTest, a_lock_is_kept_while_others_may_read_either) {
  for (const Faults::Fault loss : {kNotWritten, kWritten}) {
    Result<Operation::SharedLock> lock = operation_->lock_shared(process_.ctx(), kLock);
    ASSERT_TRUE(lock);
    mishap_.next = loss;
    EXPECT_FALSE(
        operation_->claim(step::kDevice, {{"sid", "1"}, {"lun", "7"}, {"existed", "0"}}, *lock));
    lock = Operation::SharedLock{};
    EXPECT_TRUE(world_.locks.contains(kLock));
    operation_->reconcile();
  }
  operation_.reset();
  EXPECT_FALSE(world_.locks.contains(kLock));
}

TEST_F(OperationSimTest, a_lock_is_kept_when_letting_go_could_not_be_written) {
  Result<std::uint32_t> number = 0;
  {
    Result<Operation::SharedLock> lock = operation_->lock_shared(process_.ctx(), kLock);
    ASSERT_TRUE(lock);
    number =
        operation_->claim(step::kDevice, {{"sid", "1"}, {"lun", "7"}, {"existed", "0"}}, *lock);
    ASSERT_TRUE(number);
  }
  EXPECT_FALSE(world_.locks.contains(kLock));

  Result<Operation::SharedLock> lock = operation_->lock_shared(process_.ctx(), kLock);
  ASSERT_TRUE(lock);
  mishap_.next = kNotWritten;
  operation_->let_go(step::kDevice, *number, *std::move(lock));
  EXPECT_TRUE(world_.locks.contains(kLock));
  operation_.reset();
  EXPECT_FALSE(world_.locks.contains(kLock));
}

}  // namespace
}  // namespace hawser
