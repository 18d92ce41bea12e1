// Sessions and devices, read from a tree that stands in for /sys.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scsi/block_io.h"
#include "scsi/block_users.h"
#include "scsi/device.h"
#include "support/temp_tree.h"
#include "sysfs/iscsi.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class ScsiSysfsTest : public ::testing::Test {
 protected:
  ScsiSysfsTest() {
    const std::string session = "devices/platform/host3/session1/";
    tree_.write(session + "iscsi_session/session1/targetname", "iqn.x\n");
    tree_.write(session + "iscsi_session/session1/state", "LOGGED_IN\n");
    tree_.write(session + "iscsi_session/session1/ifacename", "default\n");
    tree_.write(session + "iscsi_session/session1/tpgt", "1\n");
    tree_.write(session + "iscsi_session/session1/recovery_tmo", "120\n");
    tree_.link("../..", "devices/platform/host3/session1/iscsi_session/session1/device");
    tree_.link("../../devices/platform/host3/session1/iscsi_session/session1",
               "class/iscsi_session/session1");
    tree_.write("class/iscsi_connection/connection1:0/persistent_address", "10.0.1.2\n");
    tree_.write("class/iscsi_connection/connection1:0/persistent_port", "3260\n");
    tree_.write("class/scsi_host/host3/scan", "");
    add_device("3:0:0:1", "sdb", "8:16");
    add_device("3:0:0:2", "sdc", "8:32");
    // Not a disk: no block device.
    tree_.write(session + "target3:0:0/3:0:0:3/state", "running\n");
    tree_.write(session + "target3:0:0/uevent", "");
  }

  void add_device(const std::string& hctl, const std::string& name, const std::string& dev) {
    const std::string dir = "devices/platform/host3/session1/target3:0:0/" + hctl + "/";
    tree_.write(dir + "state", "running\n");
    tree_.write(dir + "delete", "");
    tree_.write(dir + "rescan", "");
    tree_.write(dir + "vpd_pg80", "\x00\x80\x00\x04"s + hctl.substr(4) + " ");
    tree_.write(dir + "block/" + name + "/dev", dev + "\n");
    tree_.write(dir + "block/" + name + "/size", "131072\n");
    tree_.write(dir + "block/" + name + "/ro", "0\n");
    tree_.link("../../../devices/platform/host3/session1/target3:0:0/" + hctl,
               "class/scsi_device/" + hctl + "/device");
  }
  std::string read(const std::string& path) { return *Sysfs::open(tree_.path())->attribute(path); }
  Ctx ctx() const { return {.clock = clock_, .deadline = clock_.now() + 60s}; }

  SystemClock clock_{};
  TempTree tree_{};
  Sysfs sysfs_ = *Sysfs::open(tree_.path());
  IscsiSysfs iscsi_{sysfs_};
  ScsiSysfs scsi_{sysfs_};
};

TEST_F(ScsiSysfsTest, one_disk_is_read_by_its_address) {
  const auto disk = scsi_.device({.host = 3, .lun = 2}, 1);
  ASSERT_TRUE(disk) << disk.error().message();
  ASSERT_TRUE(*disk);
  EXPECT_EQ((*disk)->name, "sdc");
  EXPECT_EQ((*disk)->sid, 1u);
  EXPECT_EQ((*disk)->identity.serial, "0:2");

  EXPECT_FALSE(*scsi_.device({.host = 3, .lun = 3}, 1));  // Not a disk.
  EXPECT_FALSE(*scsi_.device({.host = 3, .lun = 4}, 1));  // Not there.
}

// Keeps: A7
TEST_F(ScsiSysfsTest, a_path_that_the_array_keeps_in_reserve_need_not_be_readable) {
  const std::string dir = "devices/platform/host3/session1/target3:0:0/";
  tree_.write(dir + "3:0:0:1/access_state", "standby\n");
  tree_.write(dir + "3:0:0:2/access_state", "active/non-optimized\n");

  const auto devices = scsi_.devices(1);

  ASSERT_TRUE(devices) << devices.error().message();
  ASSERT_EQ(devices->size(), 2u);
  EXPECT_FALSE((*devices)[0].takes_reads());
  EXPECT_TRUE((*devices)[1].takes_reads());
  EXPECT_TRUE(ScsiDevice{}.takes_reads());
}

TEST_F(ScsiSysfsTest, a_session_is_read_with_its_host) {
  const auto sessions = iscsi_.sessions();

  ASSERT_TRUE(sessions) << sessions.error().message();
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ((*sessions)[0], (Session{.sid = 1,
                                     .host_no = 3,
                                     .target = "iqn.x",
                                     .address = "10.0.1.2",
                                     .port = 3260,
                                     .tpgt = 1,
                                     .iface = "default",
                                     .state = SessionState::logged_in}));
}

TEST_F(ScsiSysfsTest, an_address_has_one_spelling_whoever_made_the_session) {
  const auto address_of = [this](const std::string& written) {
    tree_.write("class/iscsi_connection/connection1:0/persistent_address", written + "\n");
    return iscsi_.sessions()->at(0).address;
  };
  EXPECT_EQ(address_of("FD00:0001::0002"), "fd00:1::2");
  EXPECT_EQ(address_of("fe80::2%eth1"), "fe80::2%eth1");
  EXPECT_EQ(address_of("array.example"), "array.example");

  tree_.write("class/iscsi_connection/connection1:0/address",
              "fd00:0001:0000:0000:0000:0000:0000:0002\n");
  EXPECT_EQ(address_of("array.example"), "fd00:1::2");
  EXPECT_EQ(address_of("10.0.1.2"), "10.0.1.2");
  EXPECT_EQ(address_of("fe80::2%eth1"), "fe80::2%eth1");
}

TEST_F(ScsiSysfsTest, a_session_that_is_half_there_is_left_out) {
  std::filesystem::remove(tree_.path("class/iscsi_connection/connection1:0/persistent_port"));
  EXPECT_TRUE(iscsi_.sessions()->empty());
}

TEST_F(ScsiSysfsTest, a_session_whose_connection_is_made_anew_is_there_and_not_whole) {
  EXPECT_FALSE(*iscsi_.has_unfinished("iqn.x"));

  std::filesystem::remove_all(tree_.path("class/iscsi_connection/connection1:0"));

  EXPECT_FALSE(*iscsi_.session(1));
  EXPECT_TRUE(iscsi_.exists(1));
  EXPECT_TRUE(*iscsi_.has_unfinished("iqn.x"));
  EXPECT_FALSE(*iscsi_.has_unfinished("iqn.y"));
}

TEST_F(ScsiSysfsTest, nonsense_in_an_attribute_is_an_error_that_names_it) {
  tree_.write("class/iscsi_connection/connection1:0/persistent_port", "99999\n");
  const auto sessions = iscsi_.sessions();
  ASSERT_FALSE(sessions);
  EXPECT_EQ(sessions.error().code(), Errc::protocol);
  EXPECT_NE(sessions.error().message().find("persistent_port"), std::string::npos);
}

// Whoever logs out, or undoes a login, takes one that is not there for done.
TEST_F(ScsiSysfsTest, a_session_that_cannot_be_read_is_not_gone) {
  const std::string name = tree_.path("class/iscsi_session/session1/targetname");
  std::filesystem::remove(name);
  std::filesystem::create_directory(name);

  const auto session = iscsi_.session(1);

  ASSERT_FALSE(session);
  EXPECT_NE(session.error().message().find("targetname"), std::string::npos);
}

TEST_F(ScsiSysfsTest, the_sessions_to_one_target_need_nothing_of_the_others) {
  const std::string other = "devices/platform/host4/session2/iscsi_session/session2";
  tree_.write(other + "/targetname", "iqn.y\n");
  tree_.write(other + "/ifacename", "default\n");
  tree_.write(other + "/state", "nonsense\n");
  tree_.link("../../" + other, "class/iscsi_session/session2");
  ASSERT_FALSE(iscsi_.sessions());

  const auto sessions = iscsi_.sessions_to("iqn.x");

  ASSERT_TRUE(sessions) << sessions.error().message();
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ(sessions->front().sid, 1u);
  EXPECT_TRUE(iscsi_.sessions_to("iqn.z")->empty());
}

TEST_F(ScsiSysfsTest, the_state_is_that_of_the_disk_that_was_meant) {
  ScsiDevice disk = **scsi_.device({.host = 3, .lun = 2}, 1);
  EXPECT_EQ(*scsi_.state(disk), "running");

  disk.dev.minor = 16;

  const Result<std::string> state = scsi_.state(disk);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code(), Errc::not_found);
}

TEST_F(ScsiSysfsTest, no_iscsi_in_the_kernel_is_no_session) {
  const TempTree empty;
  const Sysfs sysfs = *Sysfs::open(empty.path());
  EXPECT_TRUE(IscsiSysfs(sysfs).sessions()->empty());
}

TEST_F(ScsiSysfsTest, the_handle_of_a_transport_is_for_its_own_sessions_only) {
  tree_.write("class/iscsi_transport/tcp/handle", "18446744072099\n");
  const std::string driver = "class/scsi_host/host3/proc_name";
  tree_.write(driver, "iscsi_tcp\n");
  const Result<std::uint64_t> handle = iscsi_.tcp_handle_of({.sid = 1, .host_no = 3});
  ASSERT_TRUE(handle) << handle.error().message();
  EXPECT_EQ(*handle, 18446744072099U);
  tree_.write(driver, "iscsi_iser\n");
  EXPECT_FALSE(iscsi_.tcp_handle_of({.sid = 1, .host_no = 3}));
}

TEST_F(ScsiSysfsTest, the_recovery_timeout_is_written) {
  ASSERT_TRUE(iscsi_.set_recovery_timeout(1, 5s));
  EXPECT_TRUE(read("class/iscsi_session/session1/recovery_tmo").starts_with("5"));
}

TEST_F(ScsiSysfsTest, the_disks_of_a_session_are_found) {
  const auto devices = scsi_.devices(1);

  ASSERT_TRUE(devices) << devices.error().message();
  ASSERT_EQ(devices->size(), 2u);
  const ScsiDevice& disk = (*devices)[0];
  EXPECT_EQ(to_string(disk.hctl), "3:0:0:1");
  EXPECT_EQ(disk.name, "sdb");
  EXPECT_EQ(to_string(disk.dev), "8:16");
  EXPECT_EQ(disk.sectors, 131072u);
  EXPECT_EQ(disk.identity.serial, "0:1");
  EXPECT_TRUE(scsi_.devices(9)->empty());
}

TEST_F(ScsiSysfsTest, a_disk_is_found_by_its_number) {
  tree_.link("../../devices/platform/host3/session1/target3:0:0/3:0:0:2/block/sdc",
             "dev/block/8:32");
  tree_.link("../../devices/pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda", "dev/block/8:0");

  const auto disk = scsi_.find({.major = 8, .minor = 32});
  ASSERT_TRUE(disk && disk->has_value());
  EXPECT_EQ((*disk)->name, "sdc");
  EXPECT_EQ((*disk)->sid, 1u);
  EXPECT_EQ((*disk)->identity.serial, "0:2");

  const auto other = scsi_.find({.major = 8, .minor = 0});
  ASSERT_TRUE(other && other->has_value());
  EXPECT_EQ((*other)->name, "sda");
  EXPECT_EQ((*other)->sid, 0u);

  EXPECT_FALSE(scsi_.find({.major = 8, .minor = 48})->has_value());
}

// Keeps: H1
TEST_F(ScsiSysfsTest, garbage_for_vpd_pages_is_a_disk_without_an_identity) {
  const std::string dir = "devices/platform/host3/session1/target3:0:0/3:0:0:1/";
  const std::string pages[] = {
      ""s,
      "\x00"s,
      "garbage"s,
      std::string(4096, '\xff'),
      std::string(255, '\0'),
      "\x00\x83\xff\xff"s,
      "\x00\x83\x00\x04\x01\x03\x00\x10"s,
      // Designators of no bytes, and of a type and length that do not go together.
      "\x00\x83\x00\x04\x01\x03\x00\x00"s,
      "\x00\x83\x00\x06\x01\x03\x00\x02\x60\x01"s,
  };
  for (const std::string& page : pages) {
    tree_.write(dir + "vpd_pg83", page);
    tree_.write(dir + "vpd_pg80", page);
    const auto devices = scsi_.devices(1);
    ASSERT_TRUE(devices) << devices.error().message();
    ASSERT_EQ(devices->size(), 2u);
    EXPECT_EQ((*devices)[0].identity.serial, "");
    EXPECT_EQ(wwid_of((*devices)[0].identity), "");
    EXPECT_FALSE(same_unit((*devices)[0].identity, (*devices)[1].identity));
  }
}

// Keeps: H1
TEST_F(ScsiSysfsTest, a_device_that_goes_while_it_is_read_is_left_out) {
  const std::string dir = tree_.path("devices/platform/host3/session1/target3:0:0/3:0:0:1");
  const std::string aside = tree_.path("aside");
  std::atomic<bool> stop = false;
  std::thread coming_and_going([&] {
    std::error_code ignored;
    while (!stop) {
      std::filesystem::rename(dir, aside, ignored);
      std::filesystem::rename(aside, dir, ignored);
    }
  });
  int there = 0;
  int gone = 0;
  for (int i = 0; i < 4000 || there == 0 || gone == 0; ++i) {
    const auto devices = scsi_.devices(1);
    if (!devices) {
      ADD_FAILURE() << devices.error().message();
      break;
    }
    ++(devices->size() == 2 ? there : gone);
    EXPECT_EQ(devices->back().name, "sdc");
  }
  stop = true;
  coming_and_going.join();
}

TEST_F(ScsiSysfsTest, units_are_what_a_driver_serves_or_is_about_to) {
  const std::string target = "devices/platform/host3/session1/target3:0:0/";
  for (const char* lun : {"4", "5"}) {
    const std::string hctl = "3:0:0:" + std::string(lun);
    tree_.write(target + hctl + "/state", "running\n");
    tree_.link("../../../" + target + hctl, "class/scsi_device/" + hctl + "/device");
  }
  tree_.write(target + "3:0:0:4/inquiry", "\x0c"s);  // An array's controller.
  tree_.write(target + "3:0:0:5/inquiry", "\x00"s);  // A disk whose size is being asked for.
  for (const char* lun : {"1", "2"})
    tree_.write(target + "3:0:0:" + lun + "/driver/uevent", "");
  tree_.write(target + "3:0:0:6/driver/uevent", "");  // A tape.
  tree_.link("../../../" + target + "3:0:0:6", "class/scsi_device/3:0:0:6/device");

  Result<std::vector<Hctl>> units = scsi_.units(1);

  ASSERT_TRUE(units) << units.error().message();
  std::sort(units->begin(), units->end());
  std::string luns;
  for (const Hctl& unit : *units)
    luns += std::to_string(unit.lun) + " ";
  EXPECT_EQ(luns, "1 2 5 6 ");
}

// What cannot be read may be a disk that is to come: whoever logs out would take it.
TEST_F(ScsiSysfsTest, units_that_cannot_be_read_are_an_error) {
  const std::string unit = "devices/platform/host3/session1/target3:0:0/3:0:0:4";
  tree_.write(unit + "/inquiry", "");
  tree_.link("../../../" + unit, "class/scsi_device/3:0:0:4/device");

  const Result<std::vector<Hctl>> units = scsi_.units(1);

  ASSERT_FALSE(units);
  EXPECT_EQ(units.error().code(), Errc::protocol);
}

TEST_F(ScsiSysfsTest, a_cd_drive_has_no_disk) {
  add_device("3:0:0:4", "sr0", "11:0");

  const Result<std::vector<ScsiDevice>> devices = scsi_.devices(1);

  ASSERT_TRUE(devices) << devices.error().message();
  EXPECT_EQ(devices->size(), 2u);
}

TEST_F(ScsiSysfsTest, what_does_not_answer_a_read_is_not_rescanned) {
  ScsiDevice disk = (*scsi_.devices(1))[0];
  disk.name = "hawser-no-such-disk";

  const Status rescanned = scsi_.rescan(ctx(), disk, true);

  ASSERT_FALSE(rescanned);
  EXPECT_NE(rescanned.error().message().find("/dev/hawser-no-such-disk"), std::string::npos);
  EXPECT_EQ(read("class/scsi_device/3:0:0:1/device/rescan"), "");
  EXPECT_TRUE(scsi_.rescan(ctx(), disk, false));
  EXPECT_EQ(read("class/scsi_device/3:0:0:1/device/rescan"), "1");
}

TEST_F(ScsiSysfsTest, exactly_one_lun_is_scanned) {
  ASSERT_TRUE(scsi_.scan(ctx(), {.sid = 1, .host_no = 3}, 16385));
  EXPECT_EQ(read("class/scsi_host/host3/scan"), "0 0 16385");
}

TEST_F(ScsiSysfsTest, a_session_that_is_not_logged_in_is_not_scanned) {
  tree_.write("devices/platform/host3/session1/iscsi_session/session1/state", "FAILED\n");
  const Status scanned = scsi_.scan(ctx(), {.sid = 1, .host_no = 3}, 1);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code(), Errc::unavailable);
  EXPECT_EQ(read("class/scsi_host/host3/scan"), "");
}

// The kernel lets it wait for the other scan, and then finds that the session is lost.
// Keeps: A1
TEST_F(ScsiSysfsTest, a_scan_under_way_is_waited_for_on_a_session_that_is_lost) {
  tree_.write("devices/platform/host3/session1/iscsi_session/session1/state", "FAILED\n");
  ASSERT_TRUE(scsi_.finish_scan(ctx(), {.sid = 1, .host_no = 3}, 1));
  EXPECT_EQ(read("class/scsi_host/host3/scan"), "0 0 1");
  const Status gone = scsi_.finish_scan(ctx(), {.sid = 9, .host_no = 9}, 1);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), Errc::not_found);
}

TEST_F(ScsiSysfsTest, a_device_is_deleted_only_if_the_name_is_still_its_own) {
  ScsiDevice disk = (*scsi_.devices(1))[0];
  ASSERT_TRUE(scsi_.remove(ctx(), disk));
  EXPECT_EQ(read("class/scsi_device/3:0:0:1/device/delete"), "1");

  ScsiDevice other = (*scsi_.devices(1))[1];
  other.dev = {.major = 8, .minor = 48};
  const Status refused = scsi_.remove(ctx(), other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(read("class/scsi_device/3:0:0:2/device/delete"), "");

  disk.hctl.lun = 77;
  EXPECT_TRUE(scsi_.remove(ctx(), disk));  // Gone already.
}

TEST_F(ScsiSysfsTest, a_disk_that_has_come_in_the_place_of_another_is_not_deleted) {
  const ScsiDevice disk = (*scsi_.devices(1))[0];
  const std::string address = "class/scsi_device/3:0:0:1/device/";
  std::filesystem::remove_all(tree_.path(address + "block/sdb"));
  tree_.write(address + "block/sdx/dev", "65:112\n");
  const Status refused = scsi_.remove(ctx(), disk);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(read(address + "delete"), "");
}

// The number of its host was given to another session, whose disks have got the names as well.
// Keeps: D10
TEST_F(ScsiSysfsTest, what_another_session_has_at_the_address_is_another_disk) {
  ScsiDevice disk = (*scsi_.devices(1))[0];
  disk.sid = 2;
  const auto found = scsi_.device(disk.hctl, disk.sid);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_FALSE(*found);
  EXPECT_FALSE(scsi_.exists(disk));
  EXPECT_FALSE(scsi_.state(disk));
  EXPECT_TRUE(scsi_.remove(ctx(), disk));  // Gone already.
  EXPECT_EQ(read("class/scsi_device/3:0:0:1/device/delete"), "");
}

TEST_F(ScsiSysfsTest, mounts_are_found_by_device_number) {
  tree_.write("proc/self/mountinfo",
              "36 35 8:16 / /srv/data rw,noatime master:1 - ext4 /dev/sdb rw\n"
              "37 35 8:161 / /srv/other rw - ext4 /dev/x rw\n");
  const auto users = mounts_of(ctx(), tree_.path("proc"), {{.major = 8, .minor = 16}});
  ASSERT_TRUE(users);
  EXPECT_EQ(*users, std::vector<std::string>{"mounted on /srv/data"});
}

TEST_F(ScsiSysfsTest, mounts_of_other_namespaces_are_found_once) {
  tree_.write("proc/self/mountinfo", "");
  for (const char* pid : {"77", "78", "79"}) {
    const std::string process = std::string("proc/") + pid;
    tree_.write(process + "/mountinfo", "36 35 8:17 / /inside rw - ext4 /dev/sdb1 rw\n");
    tree_.write(process + "/comm", "guest\n");
    tree_.write(process + "/ns/empty", "");
    const char* space = *(pid + 1) == '9' ? "mnt:[3]" : "mnt:[2]";
    std::filesystem::create_symlink(space, tree_.path(process + "/ns/mnt"));
  }
  const auto users =
      mounts_of(ctx(), tree_.path("proc"), {{.major = 8, .minor = 16}, {.major = 8, .minor = 17}});
  ASSERT_TRUE(users);
  EXPECT_EQ(users->size(), 2u);  // One for each namespace, whoever of its processes comes first.
  for (const std::string& user : *users)
    EXPECT_THAT(user, testing::StartsWith("mounted on /inside in the mount namespace of guest"));
}

TEST_F(ScsiSysfsTest, who_has_a_device_open_is_not_taken_for_nobody_when_he_cannot_be_seen) {
  tree_.write("proc/77/comm", "gone\n");  // Without descriptors: it has just ended.
  const auto nobody = openers_of(ctx(), tree_.path("proc"), {{.major = 8, .minor = 16}});
  ASSERT_TRUE(nobody);
  EXPECT_TRUE(nobody->empty());
  tree_.write("proc/78/fd", "");  // No directory.
  const auto unseen = openers_of(ctx(), tree_.path("proc"), {{.major = 8, .minor = 16}});
  ASSERT_FALSE(unseen);
  EXPECT_THAT(unseen.error().message(), testing::HasSubstr("proc/78/fd"));
}

TEST_F(ScsiSysfsTest, io_goes_only_to_the_device_that_is_meant) {
  tree_.write("disk", std::string(8192, 'x'));
  const Status probed = probe_read(ctx(), tree_.path("disk"), {.major = 8, .minor = 16});
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(flush_device(ctx(), tree_.path("none"), {}).error().code(), Errc::not_found);
}

}  // namespace
}  // namespace hawser
