#include "host/linux_host.h"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>

#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// Session 1 of host 3, whose connection is not there: an iscsid that was started anew makes it.
class LinuxHostTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string session = "devices/platform/host3/session1/iscsi_session/session1/";
    tree_.write(session + "targetname", "iqn.x\n");
    tree_.write(session + "ifacename", "default\n");
    tree_.write(session + "state", "FAILED\n");
    tree_.write(session + "tpgt", "1\n");
    tree_.link("../..", session + "device");
    tree_.link("../../devices/platform/host3/session1/iscsi_session/session1",
               "class/iscsi_session/session1");
    Result<std::unique_ptr<LinuxHost>> host = LinuxHost::open(tree_.path());
    ASSERT_TRUE(host);
    host_ = *std::move(host);
  }

  Ctx within(std::chrono::nanoseconds time) const {
    return {.clock = clock_, .deadline = clock_.now() + time};
  }

  // It appears whole, by its link, as the kernel's do.
  void make_connection() const {
    const std::string connection =
        "devices/platform/host3/session1/connection1:0/iscsi_connection/connection1:0";
    tree_.write(connection + "/persistent_address", "10.0.0.1\n");
    tree_.write(connection + "/persistent_port", "3260\n");
    tree_.link("../../" + connection, "class/iscsi_connection/connection1:0");
  }

  // `first` is that of the INQUIRY data: qualifier and type.
  void make_unit(const std::string& address, char first) const {
    const std::string unit = "devices/platform/host3/session1/target3:0:0/" + address;
    tree_.write(unit + "/inquiry", std::string(36, first));
    tree_.write(unit + "/delete", "");
    tree_.link("../../../" + unit, "class/scsi_device/" + address + "/device");
  }
  std::string deletions(const std::string& address) const {
    std::ifstream file(tree_.path("class/scsi_device/" + address + "/device/delete"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempTree tree_{};
  SystemClock clock_{};
  std::unique_ptr<LinuxHost> host_{};
};

// As in a container with a /dev of its own: who cannot be asked has not said no.
// Keeps: D7
TEST_F(LinuxHostTest, a_disk_without_a_node_is_not_taken_for_unused) {
  const std::string disk = "class/block/hawser-no-such-node/";
  tree_.write(disk + "dev", "8:4000\n");
  std::filesystem::create_directories(tree_.path(disk + "holders"));
  std::filesystem::create_directories(tree_.path("block"));
  const Status unused = host_->wait_until_unused(within(60s), "hawser-no-such-node");
  ASSERT_FALSE(unused);
  EXPECT_EQ(unused.error().sys_errno(), ENOENT) << unused.error().message();
}

// Keeps: R5
TEST_F(LinuxHostTest, a_session_whose_connection_is_being_made_is_waited_for) {
  std::thread iscsid([this] {
    std::this_thread::sleep_for(200ms);  // What it takes is what is tested.
    make_connection();
  });
  const Result<std::optional<Session>> session = host_->session(within(60s), 1);
  iscsid.join();
  ASSERT_TRUE(session) << session.error().message();
  ASSERT_TRUE(session->has_value());
  EXPECT_EQ((*session)->address, "10.0.0.1");
}

TEST_F(LinuxHostTest, a_session_that_goes_meanwhile_is_gone) {
  std::thread kernel([this] {
    std::this_thread::sleep_for(200ms);
    std::filesystem::remove(tree_.path("class/iscsi_session/session1"));
  });
  const Result<std::optional<Session>> session = host_->session(within(60s), 1);
  kernel.join();
  ASSERT_TRUE(session) << session.error().message();
  EXPECT_FALSE(session->has_value());
}

TEST_F(LinuxHostTest, a_session_whose_connection_never_comes_is_waited_for_until_the_deadline) {
  const Result<std::optional<Session>> session = host_->session(within(300ms), 1);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), Errc::deadline_exceeded);
}

// Of a tape no disk comes, however long one waits; nor of a LUN that is not connected.
TEST_F(LinuxHostTest, a_unit_that_is_no_disk_is_refused_at_once) {
  make_unit("3:0:0:7", 0x01);
  make_unit("3:0:0:8", 0x20);

  const Session session{.sid = 1, .host_no = 3};
  const Result<ScsiDevice> tape = host_->wait_for_device(within(60s), session, 7);
  const Result<ScsiDevice> vacant = host_->wait_for_device(within(60s), session, 8);

  ASSERT_FALSE(tape);
  EXPECT_EQ(tape.error().code(), Errc::unsupported) << tape.error().message();
  ASSERT_FALSE(vacant);
  EXPECT_EQ(vacant.error().code(), Errc::not_found) << vacant.error().message();
}

TEST_F(LinuxHostTest, a_unit_is_deleted_unless_it_is_a_disk) {
  const Session session{.sid = 1, .host_no = 3};
  make_unit("3:0:0:1", 0x00);
  EXPECT_TRUE(host_->remove_unless_disk(within(60s), session, 1));
  EXPECT_EQ(deletions("3:0:0:1"), "");
  EXPECT_TRUE(host_->remove_unless_disk(within(60s), session, 9)) << "it is not there";
  make_unit("3:0:0:7", 0x01);
  make_unit("3:0:0:8", 0x20);

  for (const std::uint32_t lun : {7U, 8U}) {
    // Nobody deletes it here.
    const Status removed = host_->remove_unless_disk(within(200ms), session, lun);

    EXPECT_EQ(deletions("3:0:0:" + std::to_string(lun)), "1");
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code(), Errc::deadline_exceeded);
    EXPECT_EQ(removed.error().outcome(), Outcome::unknown);
  }
}

// Host numbers are given again.
TEST_F(LinuxHostTest, what_another_session_has_at_that_address_is_not_deleted) {
  make_unit("3:0:0:7", 0x01);
  EXPECT_TRUE(host_->remove_unless_disk(within(60s), {.sid = 2, .host_no = 3}, 7));
  EXPECT_EQ(deletions("3:0:0:7"), "");
}

}  // namespace
}  // namespace hawser
