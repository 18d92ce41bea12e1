#include "iscsid/node_db.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "support/temp_tree.h"
#include "wire/node_record.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

class NodeDbTest : public ::testing::Test {
 protected:
  Ctx ctx(std::chrono::nanoseconds budget = 60s) const {
    return {.clock = clock_, .deadline = clock_.now() + budget};
  }

  SystemClock clock_{};
  TempTree tree_{};
  const NodeDb db_{tree_.path(), tree_.path("lock")};
  const LoginRequest login_{.target = "iqn.x:y", .address = "10.0.1.2", .group = 1};
  const std::string record_ = tree_.path("nodes/iqn.x:y/10.0.1.2,3260,1/default");
};

TEST_F(NodeDbTest, a_record_is_written_for_root_alone_and_removed_without_a_trace) {
  EXPECT_FALSE(*db_.contains(login_));
  ASSERT_TRUE(db_.add(ctx(), login_));
  EXPECT_TRUE(*db_.contains(login_));
  struct stat status {};
  ASSERT_EQ(::stat(record_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  ASSERT_TRUE(db_.remove(ctx(), login_));
  EXPECT_FALSE(std::filesystem::exists(tree_.path("nodes/iqn.x:y")));
  EXPECT_FALSE(std::filesystem::exists(tree_.path("lock/lock.write")));
  EXPECT_TRUE(db_.remove(ctx(), login_));  // Gone already.
}

TEST_F(NodeDbTest, records_of_others_stay) {
  tree_.write("nodes/iqn.x:y/10.0.1.2,3260,1/other", "theirs");
  ASSERT_TRUE(db_.add(ctx(), login_));
  ASSERT_TRUE(db_.remove(ctx(), login_));
  EXPECT_TRUE(std::filesystem::exists(tree_.path("nodes/iqn.x:y/10.0.1.2,3260,1/other")));
}

TEST_F(NodeDbTest, a_lock_that_a_dead_iscsiadm_left_is_named_at_the_deadline) {
  tree_.write("lock/lock", "");
  std::filesystem::create_hard_link(tree_.path("lock/lock"), tree_.path("lock/lock.write"));
  const Status added = db_.add(ctx(50ms), login_);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Errc::busy);
  EXPECT_NE(added.error().message().find("lock.write"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, no_name_leaves_the_database) {
  LoginRequest evil = login_;
  evil.target = "../../../tmp/x";
  EXPECT_FALSE(db_.add(ctx(), evil));
  evil.target = "..";
  EXPECT_FALSE(db_.add(ctx(), evil));
  evil = login_;
  evil.iface = "a/b";
  EXPECT_FALSE(db_.add(ctx(), evil));
}

TEST_F(NodeDbTest, the_record_says_what_we_log_in_with) {
  const Chap chap{.username = "u", .password = Secret("p")};
  LoginRequest login = login_;
  login.chap = &chap;
  const std::string text = encode_node_record(login);
  for (const char* line : {"node.name = iqn.x:y\n", "node.session.scan = manual\n",
                           "node.startup = manual\n", "node.conn[0].address = 10.0.1.2\n",
                           "node.session.auth.username = u\n", "node.session.auth.password = p\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line;
}

}  // namespace
}  // namespace hawser
