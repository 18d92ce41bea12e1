// Detach by force: the host is cleaned whatever stands in the way, and what was lost, or is left,
// is said.
#include <cstdio>

#include <gmock/gmock.h>

#include "engine/join.h"
#include "engine/map_paths.h"
#include "sim/attached.h"
#include "sim/foreign.h"

namespace hawser {
namespace {

// Keeps: D5
TEST(ForceSimTest, cleans_without_a_path_and_one_fault_changes_that_to_nothing_else) {
  Attached start = attached(sim_world(), sim_spec(2), {.node_record = true});
  cut_all_paths(start.world);
  start.world.stuck_nodes = {"dm-0"};
  const std::string before = start.before.picture();
  int kept = 0;
  const int runs = walk(
      start.world, 1,
      [&](SimProcess& process, SimWorld& world) {
        const Result<DetachReport> done =
            detach(process.ctx(), process.environment(), start.id, {.force = true});
        if (done && done->leftovers.empty()) {
          EXPECT_EQ(world.picture(), before);
          EXPECT_TRUE(done->data_at_risk);
          EXPECT_FALSE(done->flushed);
        } else if (!done && done.error().outcome() == Outcome::unchanged) {
          EXPECT_EQ(world.picture(), start.world.picture()) << done.error().message();
        }
      },
      [&](SimWorld& world, bool) {
        if (!recover_in_good_weather(world, start.id)) {
          EXPECT_EQ(world.picture(), before);
          return;
        }
        ++kept;
        EXPECT_EQ(world.picture(), start.world.picture());
      });
  std::printf("%-28s %7d runs, kept in %d\n", "forced", runs, kept);
  EXPECT_GT(runs, 50);
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, runs);
}

// Keeps: D5, D9
TEST(ForceSimTest, leaves_a_map_to_whoever_has_it_open_and_recover_ends_it) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  SimWorld& world = start.world;
  world.open_nodes = {"dm-0"};
  const Result<DetachReport> done = detach_once(world, start.id, {.force = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->data_at_risk);
  ASSERT_EQ(done->leftovers.size(), 1u);
  EXPECT_THAT(done->leftovers.front(), testing::HasSubstr("qemu (pid 7)"));
  EXPECT_TRUE(world.devices.empty());
  EXPECT_TRUE(world.sessions.empty());
  EXPECT_TRUE(world.maps.begin()->second.is_closing);

  const Result<RecoverReport> early = recover_once(world);
  ASSERT_TRUE(early);
  ASSERT_EQ(early->failed.size(), 1u);
  EXPECT_THAT(early->failed.front().error.message(), testing::HasSubstr("qemu (pid 7)"));

  world.open_nodes.clear();
  world.maps.clear();  // The kernel's part, at the last close.
  const Result<RecoverReport> late = recover_once(world);
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->failed.empty());
  EXPECT_EQ(world.picture(), start.before.picture());
}

// Dies when the engine tells of `event`.
template <typename Call>
void die_at(SimWorld& world, const std::string& event, Call call) {
  SimProcess dying(world);
  Environment environment = dying.environment();
  environment.on_event = [event](const Event& told) {
    if (told.name == event) throw SimCrash{};
  };
  EXPECT_THROW((void)call(dying.ctx(), environment), SimCrash);
}

// Keeps: D5
TEST(ForceSimTest, what_a_forced_detach_gave_up_is_said_by_the_one_that_completes_it) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.dead_portals = {"10.0.1.2", "10.0.2.2"};
  die_at(start.world, "map.remove", [&](const Ctx& ctx, const Environment& environment) {
    return detach(ctx, environment, start.id, {.force = true});
  });

  SimProcess process(start.world);
  const Result<DetachReport> done = detach(process.ctx(), process.environment(), start.id, {});

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->was_attached);
  EXPECT_TRUE(done->data_at_risk);
  EXPECT_FALSE(done->flushed);
}

// Keeps: D5
TEST(ForceSimTest, completes_a_detach_under_the_user_of_a_map_that_came_back) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  SimWorld& world = start.world;
  const auto map = *world.maps.begin();
  die_at(world, "device.remove", [&](const Ctx& ctx, const Environment& environment) {
    return detach(ctx, environment, start.id, {});
  });
  ASSERT_TRUE(world.maps.empty());
  world.maps.insert(map);
  world.open_nodes = {"dm-0"};
  const Result<DetachReport> refused = detach_once(world, start.id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::busy);
  EXPECT_EQ(world.maps.begin()->second.target_type, "multipath") << "it may be written to";

  const Result<DetachReport> done = detach_once(world, start.id, {.force = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->data_at_risk);
  EXPECT_THAT(done->leftovers, testing::ElementsAre(testing::HasSubstr("qemu (pid 7)")));
  EXPECT_TRUE(world.devices.empty());
  EXPECT_TRUE(world.sessions.empty());

  world.open_nodes.clear();
  world.maps.clear();  // The kernel's part, at the last close.
  EXPECT_FALSE(recover_in_good_weather(world, start.id));
  EXPECT_EQ(world.picture(), start.before.picture());
}

// In the middle of an attach, which has come to nothing.
std::string die_with_a_map(SimWorld& world, std::uint16_t lun = 1) {
  const std::set<std::string> dead = std::exchange(world.dead_portals, {"10.0.3.2"});
  const std::size_t maps = world.maps.size();
  die_at(world, "attach.undo", [&](const Ctx& ctx, const Environment& environment) {
    return attach(ctx, environment, sim_spec(3, lun), {.min_paths = 3});
  });
  world.dead_portals = dead;
  EXPECT_EQ(world.maps.size(), maps + 1);
  return attachment_id(sim_spec(3, lun));
}

// Keeps: D5
TEST(ForceSimTest, undoes_an_attach_whose_map_somebody_is_stuck_on) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  const std::string id = die_with_a_map(world);
  world.stuck_nodes = {"dm-0"};
  const Result<DetachReport> refused = detach_once(world, id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::busy);

  const Result<DetachReport> done = detach_once(world, id, {.force = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->data_at_risk);
  EXPECT_EQ(world.picture(), before.picture());
}

// By its order it would have all the time, each time.
// Keeps: D9
TEST(ForceSimTest, without_force_one_that_cannot_be_undone_leaves_time_for_the_others) {
  for (const char* node : {"dm-0", "dm-1"}) {
    SimWorld world = sim_world();
    const std::set<std::string> ids{die_with_a_map(world, 1), die_with_a_map(world, 2)};
    world.open_nodes = {node};
    const Result<RecoverReport> report = recover_once(world);
    ASSERT_TRUE(report) << report.error().message();
    ASSERT_EQ(report->failed.size(), 1u);
    ASSERT_EQ(report->undone.size(), 1u);
    EXPECT_EQ((std::set<std::string>{report->failed.front().id, report->undone.front()}), ids);
    world.open_nodes.clear();
    (void)recover_in_good_weather(world, *ids.begin());
    EXPECT_EQ(world.picture(), sim_world().picture());
  }
}

// Those that are whole need none.
TEST(ForceSimTest, a_recovery_gives_its_time_to_what_is_unfinished) {
  SimWorld world = sim_world();
  for (std::uint16_t lun = 3; lun < 13; ++lun) {
    world.targets[kTarget][lun] = "unit-" + std::to_string(lun);
    attach_in_good_weather(world, sim_spec(1, lun), {});
  }
  const std::string id = die_with_a_map(world);
  world.open_nodes = {
      "dm-" + std::to_string(world.maps.at(map_uuid_of(wwid_of(sim_identity(kUnit)))).minor)};
  const std::int64_t start_ms = world.uptime_ms;
  const Result<RecoverReport> report = recover_once(world);
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_EQ(report->failed.size(), 1u);
  EXPECT_EQ(report->failed.front().id, id);
  EXPECT_GT(world.uptime_ms - start_ms, 50'000);  // Of 60 s.
}

// Keeps: D5
TEST(ForceSimTest, does_not_wait_for_an_attach_to_be_undone_that_cannot_be) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  const std::string id = die_with_a_map(world);
  world.open_nodes = {"dm-0"};
  const Result<DetachReport> forced = detach_once(world, id, {.force = true});
  ASSERT_TRUE(forced) << forced.error().message();
  EXPECT_TRUE(forced->data_at_risk);
  EXPECT_THAT(forced->leftovers, testing::ElementsAre(testing::HasSubstr("qemu (pid 7)")));
  EXPECT_TRUE(world.devices.empty());
  EXPECT_TRUE(world.sessions.empty());
  EXPECT_TRUE(world.maps.begin()->second.is_closing);

  const Result<DetachReport> early = detach_once(world, id);
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message(), testing::HasSubstr("qemu (pid 7)"));

  world.open_nodes.clear();
  world.maps.clear();  // The kernel's part, at the last close.
  EXPECT_FALSE(recover_in_good_weather(world, id));
  EXPECT_EQ(world.picture(), before.picture());
}

// A scan that ends late brings a disk after all.
// Keeps: A1, D9
TEST(ForceSimTest, what_a_scan_of_a_dead_attach_brings_later_is_recovered) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 2), {});  // Its sessions stay.
  const std::string before = world.picture();
  world.slow_scans = {{"10.0.2.2", 600'000}};
  const auto kill_in_second_scan = [&](Faults& faults) {
    if (world.maps.size() == 2 && !world.scans_in_flight.empty()) faults.kill();
  };
  in_turns(world, kill_in_second_scan, [](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), sim_spec(2), {});
  });
  ASSERT_EQ(world.maps.size(), 2u);

  const Result<DetachReport> forced =
      detach_once(world, attachment_id(sim_spec(2)), {.force = true});
  ASSERT_TRUE(forced) << forced.error().message();
  EXPECT_EQ(forced->leftovers.size(), 1u);
  EXPECT_EQ(world.maps.size(), 1u);

  world.slow_scans.clear();
  world.pass(std::chrono::seconds(3600));
  ASSERT_EQ(world.devices.size(), 3u);
  EXPECT_FALSE(recover_in_good_weather(world, attachment_id(sim_spec(2))));
  EXPECT_EQ(world.picture(), before);
}

// The numbers of sessions begin anew with each boot.
// Keeps: D10
TEST(ForceSimTest, nothing_of_this_boot_is_taken_for_what_an_attach_of_an_earlier_one_left) {
  SimWorld start = sim_world();
  const std::string id = die_with_a_map(start);
  start.reboot();
  for (const char* address : {"10.0.1.2", "10.0.2.2", "10.0.3.2"})
    add_foreign(start, kTarget, address, 1);
  ASSERT_EQ(start.devices.size(), 3u);
  const int runs = walk(
      start, 1,
      [&](SimProcess& process, SimWorld&) {
        (void)detach(process.ctx(), process.environment(), id, {.force = true});
      },
      [&](SimWorld& world, bool) {
        EXPECT_FALSE(recover_in_good_weather(world, id));
        EXPECT_EQ(world.devices.size(), 3u);
        EXPECT_EQ(world.sessions.size(), 3u);
      });
  EXPECT_GT(runs, 5);
}

// Keeps: D5
TEST(ForceSimTest, does_not_wait_for_a_join_to_be_mended_that_cannot_be) {
  SimWorld before = sim_world();
  before.dead_portals = {"10.0.2.2"};
  Attached start = attached(before, sim_spec(2), {});
  SimWorld& world = start.world;
  world.dead_portals.clear();
  world.slow_scans["10.0.2.2"] = 1'000'000;
  SimProcess joining(world);
  const Result<Attachment> joined = join(joining.ctx(), joining.environment(), start.id, {});
  ASSERT_TRUE(!joined || joined->paths.size() == 2);
  ASSERT_FALSE(world.scans_in_flight.empty());
  EXPECT_FALSE(detach_once(world, start.id));

  const Result<DetachReport> done = detach_once(world, start.id, {.force = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(done->leftovers, testing::ElementsAre(testing::HasSubstr("a scan under way")));
  EXPECT_FALSE(done->data_at_risk);
  EXPECT_TRUE(world.dirty.empty());
  EXPECT_TRUE(world.maps.empty());
  EXPECT_TRUE(world.devices.empty());
}

// The command has a deadline, a caller of the library may have none.
// Keeps: D5
TEST(ForceSimTest, gives_a_disk_up_that_cannot_be_deleted_also_without_a_deadline) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  SimWorld& world = start.world;
  world.undeletable = {world.devices.begin()->first};
  const TimePoint began = world.clock.now();
  std::optional<Result<DetachReport>> called;
  in_turns(world, {}, [&](SimProcess& process) {
    const Ctx ctx{.clock = world.clock};
    called = detach(ctx, process.environment(), start.id, {.force = true});
  });
  const Result<DetachReport>& done = *called;
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(world.dirty.empty());
  EXPECT_TRUE(world.maps.empty());
  EXPECT_EQ(world.devices.size(), 1u);
  EXPECT_EQ(world.sessions.size(), 1u);
  EXPECT_FALSE(done->leftovers.empty());
  EXPECT_LT(world.clock.now() - began, 10min);
}

}  // namespace
}  // namespace hawser
