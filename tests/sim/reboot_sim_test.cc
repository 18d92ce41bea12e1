// The host is started again in the middle of things. Nothing claims to be attached, what was left
// on disk is undone, and which unit a volume was is remembered.
#include "sim/walk.h"

namespace hawser {
namespace {

constexpr const char* kNoPicture = "";

SimWorld attached_then_rebooted() {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2), {.node_record = true});
  world.reboot();
  return world;
}

std::string id() { return attachment_id(sim_spec(2)); }

// The picture without logs: those may stay.
std::string on_host(SimWorld world) {
  world.logs.clear();
  return world.picture();
}

Result<Attachment> attach_now(SimWorld& world) {
  SimProcess process(world);
  return attach(process.ctx(), process.environment(), sim_spec(2), {});
}

TEST(RebootSimTest, nothing_claims_to_be_attached_and_what_is_on_disk_is_undone) {
  SimWorld world = attached_then_rebooted();
  EXPECT_NE(on_host(world), kNoPicture);

  EXPECT_FALSE(recover_in_good_weather(world, id()));

  EXPECT_EQ(on_host(world), kNoPicture);
}

TEST(RebootSimTest, a_unit_that_was_replaced_is_refused_and_the_right_one_is_attached) {
  SimWorld world = attached_then_rebooted();
  world.targets[kTarget][1] = "stranger";
  const Result<Attachment> refused = attach_now(world);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(on_host(world), kNoPicture);

  world.targets[kTarget][1] = kUnit;
  const Result<Attachment> made = attach_now(world);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE(made->already_attached);

  detach_in_good_weather(world, id());
  EXPECT_EQ(world.picture(), kNoPicture);
}

// Keeps: R6
TEST(RebootSimTest, a_recovery_remembers_which_unit_it_was) {
  SimWorld world = attached_then_rebooted();
  EXPECT_FALSE(recover_in_good_weather(world, id()));
  world.targets[kTarget][1] = "stranger";
  const Result<Attachment> refused = attach_now(world);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::identity_mismatch);
}

// The array has given the unit another LUN, so that it is another attachment.
// Keeps: R4
TEST(RebootSimTest, what_an_earlier_boot_left_takes_no_entry_from_an_attachment) {
  SimWorld world = attached_then_rebooted();
  world.targets[kTarget] = {{7, kUnit}};
  attach_in_good_weather(world, sim_spec(2, 7), {});
  const std::set<std::string> wwids = world.wwids;
  ASSERT_EQ(wwids.size(), 1u);
  EXPECT_FALSE(recover_in_good_weather(world, id()));
  EXPECT_EQ(world.wwids, wwids);
}

// Keeps: R6
TEST(RebootSimTest, an_attach_that_dies_forgets_no_unit) {
  SimWorld world = attached_then_rebooted();
  world.targets[kTarget][1] = "stranger";
  for (const bool reboots_again : {false, true}) {
    const int runs = walk(
        world, 1,
        [](SimProcess& process, SimWorld&) {
          (void)attach(process.ctx(), process.environment(), sim_spec(2), {});
        },
        [&](SimWorld& after, bool) {
          if (reboots_again) after.reboot();
          (void)recover_in_good_weather(after, id());
          const Result<Attachment> refused = attach_now(after);
          ASSERT_FALSE(refused);
          EXPECT_EQ(refused.error().code(), Errc::identity_mismatch);
        });
    EXPECT_GT(runs, 30);
  }
}

// Whoever detaches has no use for that any more, and the LUN is to be another's.
TEST(RebootSimTest, a_detach_of_an_attach_that_died_forgets_the_unit) {
  SimWorld world = attached_then_rebooted();
  SimProcess dying(world);
  Environment environment = dying.environment();
  environment.on_event = [](const Event& event) {
    if (event.name == "map.create") throw SimCrash{};
  };
  EXPECT_THROW((void)attach(dying.ctx(), environment, sim_spec(2), {}), SimCrash);
  detach_in_good_weather(world, id());
  EXPECT_EQ(world.picture(), kNoPicture);
  world.targets[kTarget][1] = "later";
  EXPECT_TRUE(attach_now(world));
}

TEST(RebootSimTest, a_detach_after_it_undoes_what_is_on_disk) {
  SimWorld world = attached_then_rebooted();

  detach_in_good_weather(world, id());

  EXPECT_EQ(world.picture(), kNoPicture);
}

// Agents try for days.
TEST(RebootSimTest, attaches_that_fail_one_after_the_other_leave_no_records) {
  SimWorld world = attached_then_rebooted();
  world.dead_portals = {"10.0.1.2", "10.0.2.2"};
  ASSERT_FALSE(attach_now(world));
  const std::size_t size = world.logs[id()].size();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(attach_now(world));
    EXPECT_EQ(world.logs[id()].size(), size);
  }

  VolumeSpec wide = sim_spec(2);  // It fails before it has begun.
  wide.discovery = true;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(attach_once(world, wide, {.min_paths = 9}));
    EXPECT_EQ(world.logs[id()].size(), size);
  }
}

// A log that only remembers which unit it was.
TEST(RebootSimTest, a_volume_that_is_only_remembered_was_not_attached) {
  SimWorld world = attached_then_rebooted();
  world.targets[kTarget][1] = "later";
  ASSERT_FALSE(attach_now(world));
  ASSERT_TRUE(world.logs.contains(id()));
  SimProcess process(world);
  const Result<DetachReport> done = detach(process.ctx(), process.environment(), id(), {});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(done->was_attached);
}

// Two detaches at once: the slower one opens a log that the other has just removed.
TEST(RebootSimTest, a_detach_leaves_no_log_that_it_has_made_itself) {
  SimWorld world = sim_world();
  world.logs[id()] = {};
  const Result<DetachReport> done = detach_once(world, id());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(done->was_attached);
  EXPECT_TRUE(world.logs.empty());
}

TEST(RebootSimTest, a_recovery_that_is_out_of_time_names_what_it_has_not_looked_at) {
  SimWorld world = attached_then_rebooted();
  SimProcess process(world);
  const Result<RecoverReport> report = recover(process.ctx(0s), process.environment());
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_EQ(report->failed.size(), 1U);
  EXPECT_EQ(report->failed.front().id, id());
  EXPECT_EQ(report->failed.front().error.code(), Errc::deadline_exceeded);
}

TEST(RebootSimTest, an_attach_after_a_crash_without_recovery_is_whole) {
  int attached = 0;
  const int runs = walk(
      sim_world(), 1,
      [&](SimProcess& process, SimWorld& world) {
        const auto attach_it = [&] {
          return attach(process.ctx(), process.environment(), sim_spec(2), {});
        };
        try {
          (void)attach_it();
        } catch (const SimCrash&) {
        }
        const Result<Attachment> made = attach_now(world);
        EXPECT_TRUE(made) << made.error().message();
      },
      [&](SimWorld& world, bool) {
        if (recover_in_good_weather(world, id())) ++attached;
        detach_in_good_weather(world, id());
        EXPECT_EQ(world.picture(), kNoPicture);
      });
  EXPECT_EQ(attached, runs);
}

void walk_to_a_reboot(void (SimWorld::*end)()) {
  const int runs = walk(
      sim_world(), 1,
      [&](SimProcess& process, SimWorld& world) {
        const auto attach_it = [&] {
          return attach(process.ctx(), process.environment(), sim_spec(2), {.node_record = true});
        };
        try {
          (void)attach_it();
        } catch (const SimCrash&) {
        }
        (world.*end)();
      },
      [&](SimWorld& world, bool) {
        EXPECT_FALSE(recover_in_good_weather(world, id()));
        EXPECT_EQ(on_host(world), kNoPicture);
        const Result<Attachment> made = attach_now(world);
        EXPECT_TRUE(made) << made.error().message();
        detach_in_good_weather(world, id());
        EXPECT_EQ(world.picture(), kNoPicture);
      });
  EXPECT_GT(runs, 50);
}

TEST(RebootSimTest, at_any_instant_of_an_attach) { walk_to_a_reboot(&SimWorld::reboot); }

// A node record may have a secret, and an entry of wwids makes multipathd claim the unit.
// Keeps: R6
TEST(RebootSimTest, the_power_is_lost_at_any_instant_of_an_attach) {
  walk_to_a_reboot(&SimWorld::lose_power);
}

}  // namespace
}  // namespace hawser
