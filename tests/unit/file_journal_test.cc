#include "journal/file_journal.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// No file of this process grows beyond `bytes` while it lives.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    set({.rlim_cur = bytes, .rlim_max = before_.rlim_max});
  }
  ~SizeLimit() {
    set(before_);
    (void)std::signal(SIGXFSZ, signal_);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;

 private:
  static void set(const rlimit& limit) { EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0); }

  void (*const signal_)(int);
  rlimit before_{};
};

class FileJournalTest : public ::testing::Test {
 protected:
  Ctx ctx(std::chrono::nanoseconds budget = 60s) const {
    return {.clock = clock_, .deadline = clock_.now() + budget};
  }
  std::unique_ptr<FileJournal> journal() const {
    Result<std::unique_ptr<FileJournal>> opened = FileJournal::open(state_);
    EXPECT_TRUE(opened) << opened.error().message();
    return *std::move(opened);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(state_ + "/" + name);
    return (std::stringstream() << file.rdbuf()).str();
  }

  SystemClock clock_{};
  TempTree tree_{};
  std::string state_ = tree_.path("state");
};

TEST_F(FileJournalTest, what_is_appended_is_read_back_by_another) {
  const auto journal = this->journal();
  {
    auto log = journal->open(ctx(), "v1");
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->append({.type = RecordType::begin, .step = "attach"}, Durability::disk));
    ASSERT_TRUE((*log)->append({.type = RecordType::intent, .step = "map", .number = 1},
                               Durability::process));
  }
  const auto records = this->journal()->read("v1");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[1].step, "map");
  EXPECT_EQ((*records)[1].seq, 2u);
}

TEST_F(FileJournalTest, nobody_else_can_read_the_files) {
  const auto journal = this->journal();
  ASSERT_TRUE(journal->open(ctx(), "v1"));
  struct stat status {};
  ASSERT_EQ(::stat(state_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((state_ + "/v1.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(FileJournalTest, a_log_has_one_owner) {
  const auto journal = this->journal();
  auto first = journal->open(ctx(), "v1");
  ASSERT_TRUE(first);

  const auto busy = journal->try_open("v1");
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), Errc::busy);
  const auto late = journal->open(ctx(20ms), "v1");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Errc::busy);

  first->reset();
  // Whoever gave up waiting has it for a moment when it is free.
  EXPECT_TRUE(journal->open(ctx(), "v1"));
}

TEST_F(FileJournalTest, a_removed_log_is_gone_and_a_new_one_starts_empty) {
  const auto journal = this->journal();
  {
    auto log = journal->open(ctx(), "v1");
    ASSERT_TRUE((*log)->append({.type = RecordType::begin, .step = "attach"}, Durability::disk));
    ASSERT_TRUE((*log)->remove());
  }
  EXPECT_TRUE(journal->list()->empty());
  EXPECT_EQ(journal->try_open("v1").error().code(), Errc::not_found);
  EXPECT_EQ(journal->read("v1").error().code(), Errc::not_found);
  EXPECT_TRUE((*journal->open(ctx(), "v1"))->records().empty());
}

TEST_F(FileJournalTest, records_that_are_taken_back_are_gone_for_everybody) {
  const auto journal = this->journal();
  auto log = journal->open(ctx(), "v1");
  const Record begin{.type = RecordType::begin, .step = "detach"};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE((*log)->append(begin, Durability::disk));
  ASSERT_TRUE((*log)->take_back(1));
  EXPECT_EQ((*log)->records().size(), 1U);
  ASSERT_TRUE((*log)->append(begin, Durability::disk));
  const Result<std::vector<Record>> read = journal->read("v1");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->size(), 2U);
}

TEST_F(FileJournalTest, a_torn_tail_is_cut_before_the_next_record) {
  const auto journal = this->journal();
  {
    auto log = journal->open(ctx(), "v1");
    ASSERT_TRUE((*log)->append({.type = RecordType::begin, .step = "attach"}, Durability::disk));
  }
  std::ofstream(state_ + "/v1.log", std::ios::app) << "0bad torn";
  {
    auto log = journal->open(ctx(), "v1");
    ASSERT_TRUE(log);
    EXPECT_EQ((*log)->records().size(), 1u);
    ASSERT_TRUE((*log)->append({.type = RecordType::commit, .step = "attach"}, Durability::disk));
  }
  EXPECT_EQ(journal->read("v1")->size(), 2u);
  EXPECT_EQ(read("v1.log").find("torn"), std::string::npos);
}

// A disk that is full, and has room again: a file that may not grow stands for it.
TEST_F(FileJournalTest, a_failed_append_is_cut_off_before_the_next_record) {
  const auto journal = this->journal();
  auto log = journal->open(ctx(), "v1");
  ASSERT_TRUE((*log)->append({.type = RecordType::begin, .step = "attach"}, Durability::disk));
  const std::string before = read("v1.log");
  const Record record{.type = RecordType::commit, .step = "attach"};

  {
    const SizeLimit limit(before.size() + 10);
    EXPECT_EQ((*log)->append(record, Durability::disk).error().code(), Errc::io);
    EXPECT_NE(read("v1.log"), before);  // Torn.
    EXPECT_FALSE((*log)->append(record, Durability::disk));
    ASSERT_TRUE((*log)->mend());
    EXPECT_EQ(read("v1.log"), before);
    EXPECT_FALSE((*log)->append(record, Durability::disk));
  }
  EXPECT_FALSE((*log)->append(record, Durability::disk));  // It was not mended yet.
  ASSERT_TRUE((*log)->mend());
  EXPECT_EQ((*log)->records().size(), 1u);
  ASSERT_TRUE((*log)->append(record, Durability::disk));

  EXPECT_EQ((*log)->records().size(), 2u);
  EXPECT_EQ(journal->read("v1")->size(), 2u);
}

TEST_F(FileJournalTest, a_damaged_log_is_reported_and_left_as_it_is) {
  const auto journal = this->journal();
  tree_.write("state/v1.log", "garbage\nmore garbage\n");
  ASSERT_EQ(::chmod((state_ + "/v1.log").c_str(), 0600), 0);

  const auto log = journal->open(ctx(), "v1");

  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code(), Errc::corrupt) << log.error().message();
  EXPECT_EQ(read("v1.log"), "garbage\nmore garbage\n");
}

TEST_F(FileJournalTest, an_unsafe_state_directory_is_refused) {
  std::filesystem::create_directory(tree_.path("real"));
  tree_.link(tree_.path("real"), "link");
  const auto linked = FileJournal::open(tree_.path("link"));
  ASSERT_FALSE(linked);
  EXPECT_EQ(linked.error().code(), Errc::permission_denied);
  EXPECT_NE(linked.error().message().find("symbolic link"), std::string::npos);

  ASSERT_EQ(::chmod(tree_.path("real").c_str(), 0770), 0);
  const auto writable = FileJournal::open(tree_.path("real"));
  ASSERT_FALSE(writable);
  EXPECT_EQ(writable.error().code(), Errc::permission_denied);
  EXPECT_NE(writable.error().message().find("chmod 0700"), std::string::npos);

  tree_.write("file", "");
  EXPECT_FALSE(FileJournal::open(tree_.path("file")));
}

TEST_F(FileJournalTest, links_in_the_state_directory_are_not_followed) {
  const auto journal = this->journal();
  tree_.write("victim", "precious");
  tree_.link(tree_.path("victim"), "state/v1.log");
  EXPECT_FALSE(journal->open(ctx(), "v1"));
  std::filesystem::create_hard_link(tree_.path("victim"), state_ + "/v2.log");
  EXPECT_FALSE(journal->open(ctx(), "v2"));
  EXPECT_FALSE(journal->open(ctx(), "../v3"));
}

TEST_F(FileJournalTest, a_file_that_others_can_write_or_that_is_none_is_refused) {
  const auto journal = this->journal();
  tree_.write("state/v1.log", "");
  ASSERT_EQ(::chmod((state_ + "/v1.log").c_str(), 0620), 0);
  ASSERT_EQ(::mkfifo((state_ + "/v2.log").c_str(), 0600), 0);
  std::filesystem::create_directory(state_ + "/v3.log");
  for (const std::string id : {"v1", "v2", "v3"}) {
    SCOPED_TRACE(id);
    EXPECT_FALSE(journal->open(ctx(), id));
    EXPECT_FALSE(journal->try_open(id));
    EXPECT_FALSE(journal->read(id));
  }
  ASSERT_EQ(::mkfifo((state_ + "/locks").c_str(), 0600), 0);
  const auto lock = journal->lock(ctx(), "session a");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code(), Errc::permission_denied);
  EXPECT_NE(lock.error().message().find("locks"), std::string::npos) << lock.error().message();
}

TEST_F(FileJournalTest, named_locks_exclude_each_other_and_leave_one_file) {
  const auto journal = this->journal();
  auto first = journal->lock(ctx(), "session a");
  ASSERT_TRUE(first);
  EXPECT_TRUE(journal->lock(ctx(), "session b"));
  const auto second = journal->lock(ctx(20ms), "session a");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::busy);
  first->reset();
  EXPECT_TRUE(journal->lock(ctx(), "session a"));
  EXPECT_TRUE(journal->list()->empty());
}

TEST_F(FileJournalTest, a_wait_for_a_lock_that_is_cancelled_has_changed_nothing) {
  const auto journal = this->journal();
  const auto held = journal->lock(ctx(), "session a");
  ASSERT_TRUE(held);
  std::stop_source stop;
  std::thread canceller([&] {
    std::this_thread::sleep_for(100ms);  // The wait has begun by then, mostly.
    stop.request_stop();
  });
  Ctx cancelled = ctx();
  cancelled.stop = stop.get_token();
  const auto lock = journal->lock(cancelled, "session a");
  canceller.join();
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code(), Errc::cancelled);
  EXPECT_EQ(lock.error().outcome(), Outcome::unchanged);
}

}  // namespace
}  // namespace hawser
