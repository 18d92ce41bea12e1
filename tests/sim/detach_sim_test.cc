// Everything that can go wrong, once and twice, while a volume is detached. Afterwards it is still
// attached as a whole, or gone without a trace; and data is never given up silently.
#include <cstdio>

#include <gmock/gmock.h>

#include "engine/map_paths.h"
#include "sim/walk.h"

namespace hawser {
namespace {

struct Attached {
  SimWorld before;
  SimWorld world;
  std::string id;
};

Attached attached(SimWorld before, const VolumeSpec& spec, const AttachOptions& options) {
  Attached made{.before = before, .world = std::move(before), .id = attachment_id(spec)};
  attach_in_good_weather(made.world, spec, options);
  made.world.dirty = {kUnit};
  return made;
}

void run(const char* name, const Attached& start, int budget) {
  SCOPED_TRACE(name);
  const std::string before = start.before.picture();
  int kept = 0;

  const int runs = walk(
      start.world, budget,
      [&](SimProcess& process, SimWorld& world) {
        const Result<DetachReport> done =
            detach(process.ctx(), process.environment(), start.id, {});
        if (done) {
          EXPECT_EQ(world.picture(), before);
        } else if (done.error().outcome() == Outcome::unchanged) {
          EXPECT_EQ(world.maps.size(), start.world.maps.size()) << done.error().message();
          EXPECT_EQ(world.devices.size(), start.world.devices.size());
          EXPECT_EQ(world.sessions.size(), start.world.sessions.size());
        }
      },
      [&](SimWorld& world, bool) {
        if (world.devices.size() < start.world.devices.size()) {
          EXPECT_TRUE(world.dirty.empty()) << "devices went before the data was safe";
        }
        if (recover_in_good_weather(world, start.id)) {
          ++kept;
          EXPECT_EQ(world.devices.size(), start.world.devices.size());
          EXPECT_EQ(world.maps.size(), start.world.maps.size());
          detach_in_good_weather(world, start.id);
        }
        EXPECT_TRUE(world.dirty.empty());
        EXPECT_EQ(world.picture(), before);
      });

  std::printf("%-28s %7d runs, kept in %d\n", name, runs, kept);
  EXPECT_GT(runs, 50);
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, runs);
}

TEST(DetachSimTest, one_fault_with_four_paths) {
  run("four_paths", attached(sim_world(), sim_spec(4), {}), 1);
}

TEST(DetachSimTest, one_fault_with_a_single_path) {
  run("single", attached(sim_world(), sim_spec(1), {.multipath = Multipath::off}), 1);
}

TEST(DetachSimTest, one_fault_beside_a_volume_on_the_same_sessions) {
  SimWorld neighbour = sim_world();
  attach_in_good_weather(neighbour, sim_spec(2, 2), {});
  run("neighbour", attached(std::move(neighbour), sim_spec(2), {.node_record = true}), 1);
}

TEST(DetachSimTest, two_faults_with_two_paths) {
  run("two_paths_twice", attached(sim_world(), sim_spec(2), {}), 2);
}

TEST(DetachSimTest, the_last_of_two_volumes_logs_out) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 1), {});
  attach_in_good_weather(world, sim_spec(2, 2), {});

  detach_in_good_weather(world, attachment_id(sim_spec(2, 1)));
  EXPECT_EQ(world.sessions.size(), 2u);
  EXPECT_EQ(world.devices.size(), 2u);

  detach_in_good_weather(world, attachment_id(sim_spec(2, 2)));
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// --- data, and those who hold it
// ------------------------------------------------------------------

Result<DetachReport> detach_once(SimWorld& world, const std::string& id,
                                 const DetachOptions& options = {}) {
  SimProcess process(world);
  return detach(process.ctx(), process.environment(), id, options);
}

Result<RecoverReport> recover_once(SimWorld& world) {
  SimProcess process(world);
  return recover(process.ctx(), process.environment());
}

TEST(DetachSimTest, a_disk_that_is_another_unit_now_is_never_touched) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {.multipath = Multipath::off});
  world.targets[kTarget][1] = "stranger";
  world.devices.begin()->second.identity = sim_identity("stranger");
  const std::string id = attachment_id(sim_spec(1));

  // What was written, and is not there yet, would go to the stranger.
  const Result<DetachReport> refused = detach_once(world, id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::data_at_risk);
  EXPECT_TRUE(world.logs.contains(id));

  const Result<DetachReport> forced = detach_once(world, id, {.force = true});
  ASSERT_TRUE(forced);
  EXPECT_TRUE(forced->data_at_risk);
  EXPECT_EQ(world.devices.size(), 1U);
  EXPECT_EQ(world.sessions.size(), 1U);  // It has a device that is not ours.
}

// Its page cache is not that of the map; and what multipathd wrote down goes with it.
// Keeps: R4
TEST(DetachSimTest, a_bare_disk_that_multipathd_made_a_map_of_is_flushed_itself) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {.multipath = Multipath::off});
  const ScsiDevice disk = world.devices.begin()->second;
  const std::string uuid = map_uuid_of(wwid_of(disk.identity));
  world.maps[uuid] = {.name = "mpatha",
                      .uuid = uuid,
                      .sectors = disk.sectors,
                      .target_type = "multipath",
                      .table = simple_table({disk.dev}),
                      .paths = {{.dev = disk.dev, .is_active = true}}};
  world.wwids.insert(wwid_of(disk.identity));

  world.open_nodes = {disk.name};
  const Result<DetachReport> refused = detach_once(world, attachment_id(sim_spec(1)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::busy) << refused.error().message();
  EXPECT_TRUE(world.flushed_nodes.empty());
  world.open_nodes.clear();

  detach_in_good_weather(world, attachment_id(sim_spec(1)));

  EXPECT_EQ(world.picture(), sim_world().picture());
  EXPECT_EQ(world.flushed_nodes, (std::set<std::string>{"dm-0", disk.name}));
}

// What multipathd wrote down while udev knew no more than the serial number.
// Keeps: R4
TEST(DetachSimTest, an_entry_by_the_serial_number_goes_as_well) {
  SimWorld before = sim_world();
  before.targets[kTarget][1] = "unit-with-a-long-serial";
  before.wwids.insert("SVENDOR_MODEL_other-unit-with-a-serial");
  SimWorld world = before;
  attach_in_good_weather(world, sim_spec(2), {});
  world.wwids.insert("SVENDOR_MODEL_unit-with-a-long-serial");

  detach_in_good_weather(world, attachment_id(sim_spec(2)));

  EXPECT_EQ(world.picture(), before.picture());

  before.wwids.insert("SVENDOR_MODEL_unit-with-a-long-serial");
  world = before;
  attach_in_good_weather(world, sim_spec(2), {});
  detach_in_good_weather(world, attachment_id(sim_spec(2)));
  EXPECT_EQ(world.picture(), before.picture()) << "it was there before";
}

TEST(DetachSimTest, a_bare_disk_that_is_opened_while_it_is_flushed_stays) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {.multipath = Multipath::off});
  const std::string disk = world.devices.begin()->first;
  world.opened_after_flush = {disk};

  const Result<DetachReport> refused = detach_once(world, attachment_id(sim_spec(1)));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::busy);
  EXPECT_TRUE(world.devices.contains(disk));
}

// What somebody writes who opens it between flush and removal is in no flush yet when he closes it.
TEST(DetachSimTest, what_is_written_after_the_flush_is_flushed_again) {
  for (const Multipath multipath : {Multipath::required, Multipath::off}) {
    SimWorld world = sim_world();
    attach_in_good_weather(world, sim_spec(1), {.multipath = multipath});
    const std::string node = multipath == Multipath::off ? world.devices.begin()->first : "dm-0";
    world.opened_after_flush = {node};
    world.closes_ms = {{node, world.uptime_ms + 5000}};

    detach_in_good_weather(world, attachment_id(sim_spec(1)));

    EXPECT_TRUE(world.closes_ms.empty());
    EXPECT_TRUE(world.devices.empty());
    EXPECT_TRUE(world.dirty.empty());
    EXPECT_EQ(world.flushes, 2u);
  }
}

// Keeps: D8
TEST(DetachSimTest, a_session_that_has_a_unit_without_a_disk_besides_stays) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {});
  const std::uint32_t sid = world.sessions.begin()->first;
  world.tapes = {{sid, 7}};

  const Result<DetachReport> done = detach_once(world, attachment_id(sim_spec(1)));

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(world.sessions.contains(sid));
  EXPECT_TRUE(world.devices.empty());
  ASSERT_EQ(done->warnings.size(), 1u);
  EXPECT_NE(done->warnings.front().find("unit "), std::string::npos) << done->warnings.front();
}

TEST(DetachSimTest, a_host_that_is_slow_to_say_who_has_it_open_detaches_all_the_same) {
  for (const Multipath multipath : {Multipath::required, Multipath::off}) {
    const SimWorld before = sim_world();
    SimWorld world = before;
    attach_in_good_weather(world, sim_spec(1), {.multipath = multipath});
    world.use_look_ms = 200;

    detach_in_good_weather(world, attachment_id(sim_spec(1)));

    EXPECT_EQ(world.picture(), before.picture());
  }
}

// A disk of ours that is still to be deleted, say, when its block device is gone.
TEST(DetachSimTest, a_unit_of_ours_without_a_disk_keeps_no_session) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  attach_in_good_weather(world, sim_spec(1), {});
  world.tapes = {{world.sessions.begin()->first, 1}};

  detach_in_good_weather(world, attachment_id(sim_spec(1)));

  EXPECT_EQ(world.picture(), before.picture());
}

// multipathd lags: it makes a map of a bare disk when that is gone, and udev looks into it.
// Keeps: D2
TEST(DetachSimTest, a_map_that_comes_when_its_disk_is_gone_is_waited_for) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  attach_in_good_weather(world, sim_spec(1), {.multipath = Multipath::off});
  const DevT dev = world.devices.begin()->second.dev;
  bool is_made = false;
  const auto make_map = [&](Faults&) {
    if (!world.devices.empty() || std::exchange(is_made, true)) return;
    const std::string uuid = map_uuid_of(wwid_of(sim_identity(kUnit)));
    world.maps[uuid] = {.name = "late",
                        .uuid = uuid,
                        .sectors = 2048,
                        .target_type = "multipath",
                        .table = simple_table({dev}),
                        .paths = {{.dev = dev, .is_active = true}}};
    world.open_nodes = {"dm-0"};
    world.closes_ms = {{"dm-0", world.uptime_ms + 2000}};
  };
  Result<DetachReport> done = Error(Errc::internal, "not run");

  in_turns(world, make_map, [&](SimProcess& process) {
    done = detach(process.ctx(), process.environment(), attachment_id(sim_spec(1)), {});
  });

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(is_made);
  EXPECT_EQ(world.picture(), before.picture());
}

void cut_all_paths(SimWorld& world) {
  for (const auto& [sid, session] : world.sessions)
    world.dead_portals.insert(session.address);
  for (auto& [uuid, map] : world.maps) {
    for (MapPathStatus& path : map.paths)
      path.is_active = false;
  }
}

// Whatever goes wrong besides, what cannot be flushed stays attached as a whole.
void run_kept(const char* name, const Attached& start) {
  SCOPED_TRACE(name);
  const int runs = walk(
      start.world, 1,
      [&](SimProcess& process, SimWorld&) {
        const Result<DetachReport> done =
            detach(process.ctx(), process.environment(), start.id, {});
        EXPECT_FALSE(done);
      },
      [&](SimWorld& world, bool) {
        EXPECT_TRUE(recover_in_good_weather(world, start.id));
        EXPECT_EQ(world.picture(), start.world.picture());
      });
  std::printf("%-28s %7d runs\n", name, runs);
  EXPECT_GT(runs, 30);
}

// Keeps: D4
TEST(DetachSimTest, without_a_path_nothing_is_removed_whatever_else_fails) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  cut_all_paths(start.world);
  run_kept("no_path", start);
}

// Keeps: D4
TEST(DetachSimTest, without_a_path_a_map_that_nobody_has_written_to_is_detached_at_once) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.dirty.clear();
  cut_all_paths(start.world);
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->flushed);
  EXPECT_FALSE(done->data_at_risk);
  EXPECT_LT(done->elapsed, 10s);
  ASSERT_FALSE(done->warnings.empty());
  EXPECT_THAT(done->warnings.front(), testing::HasSubstr("no path answers"));
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Keeps: D4
TEST(DetachSimTest, without_a_path_lost_writes_are_said_at_once) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.dirty.clear();
  start.world.lost = {kUnit};
  cut_all_paths(start.world);
  const std::string kept = start.world.picture();
  const Result<DetachReport> first = detach_once(start.world, start.id);
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code(), Errc::data_at_risk);
  EXPECT_THAT(first.error().message(), testing::HasSubstr("writes were lost"));
  EXPECT_EQ(start.world.picture(), kept);

  const Result<DetachReport> second = detach_once(start.world, start.id);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_THAT(second->warnings, testing::Contains(testing::HasSubstr("writes were lost")));
}

// A bare disk tells nobody how often it is open.
// Keeps: D4
TEST(DetachSimTest, without_a_path_a_bare_disk_is_kept) {
  Attached start = attached(sim_world(), sim_spec(1), {.multipath = Multipath::off});
  start.world.dirty.clear();
  cut_all_paths(start.world);
  run_kept("no_path_bare", start);
}

// Keeps: D4
TEST(DetachSimTest, a_flush_that_hangs_meets_the_deadline_and_nothing_is_removed) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.flush_hangs = true;
  run_kept("flush_hangs", start);
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::data_at_risk);
}

// Keeps: D4, D6
TEST(DetachSimTest, lost_writes_are_said_and_are_not_asked_for_again) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.lost = {kUnit};
  SimWorld world = start.world;
  const Result<DetachReport> first = detach_once(world, start.id);
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code(), Errc::data_at_risk);
  EXPECT_EQ(world.picture(), start.world.picture());
  EXPECT_THAT(first.error().message(), testing::Not(testing::HasSubstr("tries")));

  const Result<DetachReport> second = detach_once(world, start.id);
  ASSERT_TRUE(second);
  ASSERT_FALSE(second->warnings.empty());
  EXPECT_THAT(second->warnings.front(), testing::HasSubstr("writes were lost"));
  EXPECT_EQ(world.picture(), start.before.picture());
}

// Keeps: D6
TEST(DetachSimTest, a_path_that_comes_back_within_the_deadline_is_flushed_through) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  cut_all_paths(start.world);
  start.world.portals_back_ms = start.world.uptime_ms + 20'000;
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->flushed);
  EXPECT_TRUE(start.world.dirty.empty());
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Device-mapper sends nothing through a path that failed, however well its disk answers.
// Keeps: D4
TEST(DetachSimTest, a_path_that_answers_is_put_back_before_the_flush) {
  SimWorld world = sim_world();
  world.runs_multipathd = false;
  attach_in_good_weather(world, sim_spec(2), {});
  world.dirty = {kUnit};
  for (MapPathStatus& path : world.maps.begin()->second.paths)
    path.is_active = false;

  detach_in_good_weather(world, attachment_id(sim_spec(2)));

  EXPECT_TRUE(world.dirty.empty());
  EXPECT_TRUE(world.maps.empty());
}

// Scanned while the target did not show the unit, a disk has no size, and nobody scans it again. A
// multipathd that is started then removes the map.
// Keeps: D4
TEST(DetachSimTest, disks_that_lost_their_size_are_scanned_anew) {
  Attached start = attached(sim_world(), sim_spec(4), {});
  for (auto& [name, device] : start.world.devices)
    device.sectors = 0;
  start.world.maps.clear();

  detach_in_good_weather(start.world, start.id);

  EXPECT_TRUE(start.world.dirty.empty());
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Keeps: D6
TEST(DetachSimTest, tries_get_rarer_and_only_the_last_cause_is_said) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  cut_all_paths(start.world);
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::data_at_risk);
  // In 60 s a fixed scale of 200 ms would be 300 tries, and one of 4 s would be 15.
  unsigned tries = 0;
  const std::string& text = done.error().message();
  const std::size_t at = text.find(", after ");
  ASSERT_NE(at, text.npos) << text;
  ASSERT_EQ(std::sscanf(text.c_str() + at, ", after %u tries", &tries), 1);
  EXPECT_GT(tries, 12u);
  EXPECT_LT(tries, 45u);
}

// Keeps: D5
TEST(DetachSimTest, force_cleans_without_a_path_and_one_fault_changes_that_to_nothing_else) {
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
TEST(DetachSimTest, force_leaves_a_map_to_whoever_has_it_open_and_recover_ends_it) {
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

// Keeps: D7
TEST(DetachSimTest, who_uses_it_is_named_and_nothing_is_touched) {
  for (const bool is_map : {true, false}) {
    const AttachOptions options{.multipath = is_map ? Multipath::preferred : Multipath::off};
    Attached start = attached(sim_world(), sim_spec(1), options);
    const std::string node = is_map ? "dm-0" : start.world.devices.begin()->first;
    SimWorld open = start.world;
    open.open_nodes = {node};
    const Result<DetachReport> opened = detach_once(open, start.id);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Errc::busy);
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("qemu (pid 7)"));
    EXPECT_EQ(open.picture(), start.world.picture());

    SimWorld held = start.world;
    held.held_nodes = {node};
    const std::int64_t before_ms = held.uptime_ms;
    const Result<DetachReport> mounted = detach_once(held, start.id);
    ASSERT_FALSE(mounted);
    EXPECT_THAT(mounted.error().message(), testing::HasSubstr("mounted on /srv"));
    EXPECT_LT(held.uptime_ms - before_ms, 1000);  // At once: a mount does not pass.
    EXPECT_EQ(held.picture(), start.world.picture());
  }
}

// Keeps: D2, D7
TEST(DetachSimTest, a_disk_that_multipathd_takes_into_the_map_meanwhile_is_no_user) {
  const Attached start = attached(sim_world(), sim_spec(2), {});
  SimWorld world = start.world;
  const std::string name = world.devices.rbegin()->first;
  const DevT late = world.devices.rbegin()->second.dev;
  Map& map = world.maps.begin()->second;
  map.table = simple_table({world.devices.begin()->second.dev});
  std::erase_if(map.paths, [&](const MapPathStatus& path) { return path.dev == late; });
  world.wanted_nodes = {name};
  world.open_nodes = {name};
  const Result<DetachReport> done = detach_once(world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(world.picture(), start.before.picture());
}

// Keeps: D4
// multipathd may leave out of the map what was dead when it looked.
TEST(DetachSimTest, a_dead_disk_that_is_in_no_map_is_not_waited_for) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  SimWorld& world = start.world;
  Map& map = world.maps.begin()->second;
  const DevT dead = world.devices.rbegin()->second.dev;
  map.table = without_paths(map.table, {dead});
  std::erase_if(map.paths, [&](const MapPathStatus& path) { return path.dev == dead; });
  world.dead_portals = {"10.0.2.2"};
  const Result<DetachReport> done = detach_once(world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(world.dirty.empty());
  EXPECT_EQ(world.picture(), start.before.picture());
}

// Keeps: D4
TEST(DetachSimTest, a_map_that_is_there_after_a_crash_is_attached_and_flushed_anew) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  std::vector<Record>& log = start.world.logs[start.id];
  log.push_back({.type = RecordType::begin, .step = std::string(step::kDetach)});
  log.push_back({.type = RecordType::done, .step = std::string(step::kFlush)});
  // Somebody has written since.
  EXPECT_TRUE(recover_in_good_weather(start.world, start.id));
  EXPECT_EQ(start.world.maps.size(), 1u);
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(start.world.dirty.empty());
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Keeps: D2
TEST(DetachSimTest, what_comes_back_is_removed_again) {
  for (const bool is_map : {true, false}) {
    SimWorld world = sim_world();
    attach_in_good_weather(world, sim_spec(2, 2), {});  // Its sessions stay.
    const AttachOptions options{.multipath = is_map ? Multipath::preferred : Multipath::off};
    Attached start = attached(world, sim_spec(2), options);
    start.world.map_comebacks = is_map ? 3 : 0;
    start.world.device_comebacks = 2;
    const Result<DetachReport> done = detach_once(start.world, start.id);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(start.world.map_comebacks, 0u);
    EXPECT_EQ(start.world.device_comebacks, 0u);
    EXPECT_EQ(start.world.picture(), start.before.picture());
  }
}

// Keeps: D2
TEST(DetachSimTest, a_multipathd_that_does_not_let_go_is_waited_for_and_named) {
  Attached start = attached(sim_world(), sim_spec(1), {});
  start.world.known_paths = {start.world.devices.begin()->first};
  const std::int64_t before_ms = start.world.uptime_ms;
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(done->warnings, testing::Contains(testing::HasSubstr("multipathd has not let go")));
  EXPECT_GT(start.world.uptime_ms - before_ms, 10'000);
  EXPECT_LT(start.world.uptime_ms - before_ms, 40'000);  // Of the 60 s that it has.
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Keeps: D2
TEST(DetachSimTest, without_a_session_nothing_comes_back_and_no_time_is_lost) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  const std::int64_t before_ms = start.world.uptime_ms;
  ASSERT_TRUE(detach_once(start.world, start.id));
  // Each call takes one; a pause before another look would be a hundred.
  EXPECT_LT(start.world.uptime_ms - before_ms, 100);
}

// Keeps: D8
// It has not scanned yet: only its log says that it needs the session.
TEST(DetachSimTest, a_session_that_another_attach_has_just_taken_stays) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 1), {});
  attach_in_good_weather(world, sim_spec(2, 2), {});
  std::erase_if(world.devices, [](const auto& device) { return device.second.hctl.lun == 2; });
  world.maps.erase(map_uuid_of(wwid_of(sim_identity("neighbour"))));
  std::erase_if(world.logs[attachment_id(sim_spec(2, 2))], [](const Record& record) {
    return record.type != RecordType::begin && record.step != step::kSession;
  });

  detach_in_good_weather(world, attachment_id(sim_spec(2, 1)));

  EXPECT_EQ(world.devices.size(), 0u);
  EXPECT_EQ(world.sessions.size(), 2u);
}

// Keeps: D8
TEST(DetachSimTest, the_last_of_two_volumes_removes_the_node_record) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 1), {.node_record = true});
  attach_in_good_weather(world, sim_spec(2, 2), {.node_record = true});
  detach_in_good_weather(world, attachment_id(sim_spec(2, 1)));
  EXPECT_EQ(world.node_records.size(), 2u);
  detach_in_good_weather(world, attachment_id(sim_spec(2, 2)));
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// Keeps: D8
TEST(DetachSimTest, a_node_record_that_was_there_stays) {
  SimWorld before = sim_world();
  before.node_records.insert(std::string(kTarget) + ",10.0.1.2,default");
  Attached start = attached(before, sim_spec(2), {.node_record = true});
  EXPECT_EQ(start.world.node_records.size(), 2u);
  detach_in_good_weather(start.world, start.id);
  EXPECT_EQ(start.world.picture(), before.picture());
}

// Keeps: D5
TEST(DetachSimTest, what_a_forced_detach_gave_up_is_said_by_the_one_that_completes_it) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.dead_portals = {"10.0.1.2", "10.0.2.2"};
  SimProcess dying(start.world);
  Environment environment = dying.environment();
  environment.on_event = [](const Event& event) {
    if (event.name == "map.remove") throw SimCrash{};
  };
  EXPECT_THROW((void)detach(dying.ctx(), environment, start.id, {.force = true}), SimCrash);

  SimProcess process(start.world);
  const Result<DetachReport> done = detach(process.ctx(), process.environment(), start.id, {});

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->was_attached);
  EXPECT_TRUE(done->data_at_risk);
  EXPECT_FALSE(done->flushed);
}

// Agents try for days.
TEST(DetachSimTest, a_detach_that_is_refused_leaves_no_records) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  const std::size_t before = start.world.logs[start.id].size();
  start.world.held_nodes = {"dm-0"};
  EXPECT_FALSE(detach_once(start.world, start.id));
  EXPECT_EQ(start.world.logs[start.id].size(), before);
}

}  // namespace
}  // namespace hawser
