#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "multipathd/client.h"
#include "multipathd/wwids_file.h"
#include "support/fake_daemon.h"
#include "support/temp_tree.h"
#include "wire/multipathd_answer.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

class MultipathdTest : public ::testing::Test {
 protected:
  Ctx ctx(std::chrono::nanoseconds budget = 60s) const {
    return {.clock = clock_, .deadline = clock_.now() + budget};
  }
  static std::string frame(std::size_t length, const std::string& text) {
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + text;
  }
  // A daemon that answers every command with these bytes, and hangs up.
  FakeDaemon::Script answers(std::string bytes) {
    return [bytes = std::move(bytes)](const Ctx& daemon_ctx, int connection) {
      if (!wait_readable(daemon_ctx, connection)) return;
      std::array<char, 256> sink{};
      (void)::recv(connection, sink.data(), sink.size(), 0);
      (void)::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    };
  }

  SystemClock clock_{};
  TempTree tree_{};
  const std::string path_ = tree_.path("multipathd");
  const MultipathdClient client_{path_, false, ::getuid()};
};

TEST_F(MultipathdTest, an_answer_comes_without_its_line_end) {
  const FakeDaemon daemon(path_, answers(frame(4, std::string("ok\n\0", 4))));
  const Result<std::string> answer = client_.command(ctx(), "add path sdb");
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(*answer, "ok");
}

TEST_F(MultipathdTest, broken_answers_are_refused) {
  const std::string cases[] = {"", "abc", frame(0, ""), frame(std::size_t{1} << 40, ""),
                               frame(100, "half")};
  int i = 0;
  for (const std::string& bytes : cases) {
    SCOPED_TRACE(i);
    const std::string path = tree_.path(std::to_string(i++));
    const FakeDaemon daemon(path, answers(bytes));
    const Result<std::string> answer =
        MultipathdClient(path, false, ::getuid()).command(ctx(), "show daemon");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Errc::protocol);
  }
}

// It runs all the same, and may make a map of what it is not asked about.
TEST_F(MultipathdTest, one_with_a_full_backlog_is_busy_and_not_absent) {
  const UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  ASSERT_EQ(::bind(listening.get(), where, sizeof address), 0);
  ASSERT_EQ(::listen(listening.get(), 0), 0);
  std::vector<UniqueFd> callers;
  do {
    ASSERT_LT(callers.size(), 100u);
    callers.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  } while (::connect(callers.back().get(), where, sizeof address) == 0);
  ASSERT_EQ(errno, EAGAIN);

  const Result<std::string> answer = client_.command(ctx(), "show daemon");

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::busy);
}

TEST_F(MultipathdTest, silence_meets_the_deadline) {
  const FakeDaemon daemon(path_, [](const Ctx& daemon_ctx, int connection) {
    while (wait_readable(daemon_ctx, connection)) {
      std::array<char, 256> sink{};
      if (::recv(connection, sink.data(), sink.size(), 0) <= 0) return;
    }
  });
  const Result<std::string> answer = client_.command(ctx(50ms), "show daemon");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::deadline_exceeded);
}

TEST_F(MultipathdTest, a_listener_of_another_user_is_told_nothing) {
  std::atomic<ssize_t> told{-1};
  const FakeDaemon daemon(path_, [&told](const Ctx& daemon_ctx, int connection) {
    std::array<char, 256> sink{};
    if (wait_readable(daemon_ctx, connection))
      told = ::recv(connection, sink.data(), sink.size(), 0);
  });
  const Result<std::string> answer =
      MultipathdClient(path_, false, ::getuid() + 1).command(ctx(), "add path sdb");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::permission_denied);
  while (told < 0)
    ASSERT_TRUE(pause(ctx(), 1ms));
  EXPECT_EQ(told, 0);
}

TEST_F(MultipathdTest, a_daemon_that_does_not_run_is_unavailable) {
  EXPECT_EQ(client_.command(ctx(), "show daemon").error().code(), Errc::unavailable);
}

TEST_F(MultipathdTest, the_words_of_its_answers_are_understood) {
  EXPECT_EQ(parse_add_path("ok"), PathOffer::accepted);
  EXPECT_EQ(parse_add_path("blacklisted"), PathOffer::blacklisted);
  for (const char* answer : {"fail", "timeout", "delayed", "fail\nblacklisted", ""})
    EXPECT_EQ(parse_add_path(answer), PathOffer::undecided) << answer;

  const std::string paths = "sda 36001\nsdb 36002 \nsdc \nsdd [undef]";
  EXPECT_EQ(parse_path_field(paths, "sdb"), "36002");
  EXPECT_EQ(parse_path_field(paths, "sdc"), std::nullopt);
  EXPECT_EQ(parse_path_field(paths, "sdd"), std::nullopt);
  EXPECT_EQ(parse_path_field(paths, "sd"), std::nullopt);
  EXPECT_EQ(parse_path_field("sda   1:0:0:1\nsdb", "sda"), "1:0:0:1");
  EXPECT_EQ(parse_path_field("ok", "sda"), std::nullopt);
}

class WwidsFileTest : public MultipathdTest {
 protected:
  std::string text() const {
    std::ifstream file(tree_.path("multipath/wwids"));
    return (std::stringstream() << file.rdbuf()).str();
  }
  const WwidsFile file_{tree_.path("multipath/wwids")};
};

TEST_F(WwidsFileTest, an_entry_is_added_once_and_found) {
  EXPECT_TRUE(file_.list(ctx())->empty());
  ASSERT_TRUE(file_.add(ctx(), "36001"));
  ASSERT_TRUE(file_.add(ctx(), "36001"));
  EXPECT_EQ(*file_.list(ctx()), std::vector<std::string>{"36001"});
  EXPECT_TRUE(text().ends_with("# Valid WWIDs:\n/36001/\n"));
}

TEST_F(WwidsFileTest, only_the_entry_itself_is_removed) {
  tree_.write("multipath/wwids", "# mine\n/36001/\n/360010/\n/136001/\n");
  ASSERT_TRUE(file_.remove(ctx(), "36001"));
  EXPECT_EQ(text(), "# mine\n#36001/\n/360010/\n/136001/\n");
  ASSERT_TRUE(file_.remove(ctx(), "136001"));
  EXPECT_EQ(text(), "# mine\n#36001/\n/360010/\n");
  ASSERT_TRUE(file_.remove(ctx(), "360010"));
  EXPECT_EQ(text(), "# mine\n");
  ASSERT_TRUE(file_.remove(ctx(), "not-there"));
}

TEST_F(WwidsFileTest, the_file_does_not_grow_with_every_attach) {
  ASSERT_TRUE(file_.add(ctx(), "36001"));
  ASSERT_TRUE(file_.add(ctx(), "36002"));
  const std::string full = text();
  for (const char* wwid : {"36001", "36003", "36001"}) {
    ASSERT_TRUE(file_.remove(ctx(), "36001"));
    ASSERT_TRUE(file_.add(ctx(), wwid));
    ASSERT_TRUE(file_.remove(ctx(), "36003"));
  }
  ASSERT_TRUE(file_.add(ctx(), "36001"));
  EXPECT_EQ(text(), full);
  ASSERT_TRUE(file_.add(ctx(), "3600123"));  // No line of its length is dead.
  EXPECT_EQ(text(), full + "/3600123/\n");
}

TEST_F(WwidsFileTest, a_file_without_a_last_line_end_is_kept_whole) {
  tree_.write("multipath/wwids", "/36001/");
  ASSERT_TRUE(file_.add(ctx(), "36002"));
  EXPECT_EQ(text(), "/36001/\n/36002/\n");
}

TEST_F(WwidsFileTest, an_entry_without_a_line_end_is_one) {
  tree_.write("multipath/wwids", "/36001/");
  ASSERT_TRUE(file_.add(ctx(), "36001"));
  EXPECT_EQ(text(), "/36001/");
  ASSERT_TRUE(file_.remove(ctx(), "36001"));
  EXPECT_TRUE(file_.list(ctx())->empty());
}

TEST_F(WwidsFileTest, what_cannot_be_a_wwid_is_refused) {
  for (const char* wwid : {"", "a/b", "a b", "a\nb"})
    EXPECT_FALSE(file_.add(ctx(), wwid)) << wwid;
  EXPECT_FALSE(std::filesystem::exists(tree_.path("multipath/wwids")));
}

}  // namespace
}  // namespace hawser
