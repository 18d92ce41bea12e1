#include "iscsid/node_db.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_tree.h"

namespace hawser {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class NodeDbTest : public ::testing::Test {
 protected:
  NodeDbTest() {
    fs::create_directories(tree_.path("iscsi"));
    fs::create_directories(tree_.path("lock"));
  }

  Ctx ctx() const { return {.clock = clock_, .deadline = clock_.now() + std::chrono::minutes(1)}; }
  Ctx soon() const {
    return {.clock = clock_, .deadline = clock_.now() + std::chrono::milliseconds(50)};
  }
  NodeDb db() const { return NodeDb(tree_.path("iscsi"), tree_.path("lock")); }
  LoginRequest login(const std::string& address = "10.0.1.2") const {
    return {.target = "iqn.2004-10.test:disk", .address = address, .group = 1, .chap = nullptr};
  }
  std::string file(const std::string& address = "10.0.1.2") const {
    return tree_.path("iscsi/nodes/iqn.2004-10.test:disk/" + address + ",3260,1/default");
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static unsigned mode(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
  }

  const TempTree tree_{};
  const SystemClock clock_{};
};

TEST_F(NodeDbTest, a_record_is_added_found_and_removed_without_a_trace) {
  ASSERT_TRUE(db().add(ctx(), login()));
  EXPECT_THAT(read(file()), HasSubstr("node.name = iqn.2004-10.test:disk\n"));
  Result<bool> is_there = db().contains(login());
  ASSERT_TRUE(is_there);
  EXPECT_TRUE(*is_there);

  ASSERT_TRUE(db().remove(ctx(), login()));
  is_there = db().contains(login());
  ASSERT_TRUE(is_there);
  EXPECT_FALSE(*is_there);
  EXPECT_TRUE(fs::is_empty(tree_.path("iscsi/nodes")));
  EXPECT_FALSE(fs::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, only_root_can_read_a_record) {
  ASSERT_TRUE(db().add(ctx(), login()));

  EXPECT_EQ(mode(file()), 0600U);
  EXPECT_EQ(mode(fs::path(file()).parent_path()), 0700U);
  EXPECT_EQ(mode(tree_.path("iscsi/nodes")), 0700U);
}

TEST_F(NodeDbTest, a_record_that_is_there_is_left_alone) {
  tree_.write("iscsi/nodes/iqn.2004-10.test:disk/10.0.1.2,3260,1/default", "the admin's\n");

  ASSERT_TRUE(db().add(ctx(), login()));

  EXPECT_EQ(read(file()), "the admin's\n");
}

TEST_F(NodeDbTest, removing_spares_the_records_of_other_portals) {
  ASSERT_TRUE(db().add(ctx(), login("10.0.1.2")));
  ASSERT_TRUE(db().add(ctx(), login("10.0.2.2")));

  ASSERT_TRUE(db().remove(ctx(), login("10.0.1.2")));

  EXPECT_FALSE(fs::exists(fs::path(file("10.0.1.2")).parent_path()));
  EXPECT_TRUE(fs::exists(file("10.0.2.2")));
}

TEST_F(NodeDbTest, removing_what_is_not_there_is_success) {
  EXPECT_TRUE(db().remove(ctx(), login()));
}

TEST_F(NodeDbTest, nothing_but_records_is_ever_below_nodes) {
  ASSERT_TRUE(db().add(ctx(), login()));

  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(tree_.path("iscsi")))
    if (entry.is_regular_file()) files.push_back(entry.path());
  EXPECT_EQ(files, std::vector<std::string>{file()});
}

// In a directory that a group may write to.
TEST_F(NodeDbTest, a_link_in_the_place_of_the_lock_is_not_followed) {
  tree_.write("victim", "untouched");
  for (const char* to : {"victim", "not there"}) {
    fs::create_symlink(tree_.path(to), tree_.path("lock/lock.hawser"));
    EXPECT_FALSE(db().add(ctx(), login()));
    fs::remove(tree_.path("lock/lock.hawser"));
  }
  EXPECT_EQ(read(tree_.path("victim")), "untouched");
  EXPECT_FALSE(fs::exists(tree_.path("not there")));

  fs::create_hard_link(tree_.path("victim"), tree_.path("lock/lock.hawser"));
  EXPECT_TRUE(db().add(ctx(), login()));
  EXPECT_EQ(read(tree_.path("victim")), "untouched");
}

TEST_F(NodeDbTest, what_a_killed_writer_left_is_cleared_away) {
  tree_.write("iscsi/.hawser-record", "half a rec");

  ASSERT_TRUE(db().add(ctx(), login()));

  EXPECT_THAT(read(file()), HasSubstr("# END RECORD"));
  EXPECT_FALSE(fs::exists(tree_.path("iscsi/.hawser-record")));
}

TEST_F(NodeDbTest, the_lock_of_iscsiadm_is_respected_until_the_deadline) {
  tree_.write("lock/lock", "");
  fs::create_hard_link(tree_.path("lock/lock"), tree_.path("lock/lock.write"));

  const Status added = db().add(soon(), login());

  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Errc::busy);
  EXPECT_THAT(added.error().message(), HasSubstr(tree_.path("lock/lock.write")));
  EXPECT_FALSE(fs::exists(file()));
  EXPECT_TRUE(fs::exists(tree_.path("lock/lock.write")));  // Not ours to take away.
}

TEST_F(NodeDbTest, a_lock_that_a_dead_process_of_ours_left_holds_nobody_up) {
  tree_.write("lock/lock.hawser", "");
  fs::create_hard_link(tree_.path("lock/lock.hawser"), tree_.path("lock/lock.write"));

  ASSERT_TRUE(db().add(soon(), login()));

  EXPECT_FALSE(fs::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, a_lock_directory_that_others_planted_is_refused) {
  fs::create_directories(tree_.path("victim"));
  fs::create_directory_symlink(tree_.path("victim"), tree_.path("linked"));
  const Status linked = NodeDb(tree_.path("iscsi"), tree_.path("linked")).add(ctx(), login());
  ASSERT_FALSE(linked);
  EXPECT_EQ(linked.error().code(), Errc::permission_denied);
  EXPECT_TRUE(fs::is_empty(tree_.path("victim")));

  ASSERT_EQ(::chmod(tree_.path("lock").c_str(), 01777), 0);
  const Status open_to_all = db().add(ctx(), login());
  ASSERT_FALSE(open_to_all);
  EXPECT_EQ(open_to_all.error().code(), Errc::permission_denied);
  EXPECT_THAT(open_to_all.error().message(), HasSubstr("remove it"));
  EXPECT_TRUE(fs::is_empty(tree_.path("lock")));
  EXPECT_FALSE(fs::exists(file()));
}

TEST_F(NodeDbTest, when_iscsiadm_lets_go_we_go_on) {
  tree_.write("lock/lock", "");
  fs::create_hard_link(tree_.path("lock/lock"), tree_.path("lock/lock.write"));
  std::jthread iscsiadm([this] { fs::remove(tree_.path("lock/lock.write")); });

  EXPECT_TRUE(db().add(ctx(), login()));
}

TEST_F(NodeDbTest, writers_take_turns) {
  std::atomic<int> added = 0;
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 8; ++i)
      writers.emplace_back([this, i, &added] {
        added += db().add(ctx(), login("10.0.1." + std::to_string(i))) ? 1 : 0;
      });
  }

  EXPECT_EQ(added, 8);
  EXPECT_FALSE(fs::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, a_record_that_cannot_be_said_makes_no_directories) {
  Chap chap{
      .username = "user", .password = Secret("bad\n"), .username_in = "", .password_in = Secret()};
  LoginRequest request = login();
  request.chap = &chap;

  const Status added = db().add(ctx(), request);

  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Errc::invalid_argument);
  EXPECT_TRUE(fs::is_empty(tree_.path("iscsi")));
  EXPECT_FALSE(fs::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, a_record_that_cannot_be_written_leaves_no_directories) {
  fs::create_directories(tree_.path("iscsi/.hawser-record"));  // In the way.

  EXPECT_FALSE(db().add(ctx(), login()));

  EXPECT_TRUE(fs::is_empty(tree_.path("iscsi/nodes")));
  EXPECT_FALSE(fs::exists(tree_.path("lock/lock.write")));
}

TEST_F(NodeDbTest, the_database_is_where_the_records_are) {
  const std::string prefix = tree_.path();
  const auto root = [&prefix] { return system_node_db(prefix).root(); };
  EXPECT_EQ(root(), prefix + "/etc/iscsi");

  fs::create_directories(prefix + "/var/lib/iscsi");  // Newer, and empty.
  EXPECT_EQ(root(), prefix + "/var/lib/iscsi");

  fs::create_directories(prefix + "/etc/iscsi/nodes");  // Older, and in use.
  EXPECT_EQ(root(), prefix + "/etc/iscsi");

  fs::create_directories(prefix + "/var/lib/iscsi/nodes");  // Both: an upgrade left the older.
  EXPECT_EQ(root(), prefix + "/var/lib/iscsi");
}

}  // namespace
}  // namespace hawser
