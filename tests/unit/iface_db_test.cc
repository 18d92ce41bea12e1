#include "iscsid/iface_db.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "support/temp_tree.h"

namespace hawser {
namespace {

class IfaceDbTest : public ::testing::Test {
 protected:
  Result<IfaceBinding> find(const std::string& name) {
    return find_iface(tree_.path("lib"), tree_.path("etc"), name);
  }
  TempTree tree_{};
};

TEST_F(IfaceDbTest, the_two_that_are_built_in_need_no_record) {
  EXPECT_EQ(*find("default"), IfaceBinding{});
  EXPECT_EQ(find("iser")->transport, "iser");
}

TEST_F(IfaceDbTest, a_record_is_found_in_either_place_and_the_database_comes_first) {
  tree_.write("etc/ifaces/nic1", "iface.iscsi_ifacename = nic1\niface.net_ifacename = eth1\n");
  EXPECT_EQ(find("nic1")->netdev, "eth1");
  tree_.write("lib/ifaces/nic1", "iface.iscsi_ifacename = nic1\niface.net_ifacename = eth2\n");
  EXPECT_EQ(find("nic1")->netdev, "eth2");
}

TEST_F(IfaceDbTest, one_that_is_not_there_is_named) {
  const Result<IfaceBinding> binding = find("nic9");
  ASSERT_FALSE(binding);
  EXPECT_EQ(binding.error().code(), Errc::not_found);
  EXPECT_NE(binding.error().message().find("ifaces/nic9"), std::string::npos);
}

TEST_F(IfaceDbTest, what_is_no_file_is_refused_without_waiting_for_it) {
  tree_.write("lib/ifaces/other", "");
  ASSERT_EQ(::mkfifo(tree_.path("lib/ifaces/pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(tree_.path("lib/ifaces/dir").c_str(), 0700), 0);
  for (const char* name : {"pipe", "dir", ".."}) {
    const Result<IfaceBinding> binding = find(name);
    ASSERT_FALSE(binding) << name;
    EXPECT_EQ(binding.error().code(), Errc::invalid_argument) << name;
  }
}

}  // namespace
}  // namespace hawser
