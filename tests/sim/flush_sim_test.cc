// What a detach does before it removes anything: whoever has the volume open is waited for, and
// data is never given up silently.
#include <cstdio>

#include <gmock/gmock.h>

#include "engine/map_paths.h"
#include "sim/attached.h"
#include "sim/foreign.h"

namespace hawser {
namespace {

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
      },
      true);
  std::printf("%-28s %7d runs\n", name, runs);
  EXPECT_GT(runs, 30);
}

// Keeps: D4
TEST(FlushSimTest, without_a_path_nothing_is_removed_whatever_else_fails) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  cut_all_paths(start.world);
  run_kept("no_path", start);
}

// Keeps: D4
TEST(FlushSimTest, without_a_path_a_map_that_nobody_has_written_to_is_detached_at_once) {
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
TEST(FlushSimTest, without_a_path_lost_writes_are_said_at_once) {
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
TEST(FlushSimTest, without_a_path_a_bare_disk_is_kept) {
  Attached start = attached(sim_world(), sim_spec(1), {.multipath = Multipath::off});
  start.world.dirty.clear();
  cut_all_paths(start.world);
  run_kept("no_path_bare", start);
}

// Keeps: D4
TEST(FlushSimTest, a_flush_that_hangs_meets_the_deadline_and_nothing_is_removed) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.flush_hangs = true;
  run_kept("flush_hangs", start);
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::data_at_risk);
}

// It may have heard of lost writes, of which the kernel tells once.
// Keeps: D4
TEST(FlushSimTest, a_flush_that_was_left_behind_is_told_of_by_the_next_detach) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  start.world.flush_hangs = true;
  ASSERT_FALSE(detach_once(start.world, start.id));
  start.world.flush_hangs = false;
  const Result<DetachReport> done = detach_once(start.world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(done->warnings, testing::Contains(testing::HasSubstr("may have heard")));
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Keeps: D4, D6
TEST(FlushSimTest, lost_writes_are_said_and_are_not_asked_for_again) {
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
TEST(FlushSimTest, a_path_that_comes_back_within_the_deadline_is_flushed_through) {
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
TEST(FlushSimTest, a_path_that_answers_is_put_back_before_the_flush) {
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
// Keeps: D1, D4
TEST(FlushSimTest, disks_that_lost_their_size_are_scanned_anew) {
  Attached start = attached(sim_world(), sim_spec(4), {});
  for (auto& [name, device] : start.world.devices)
    device.sectors = 0;
  start.world.maps.clear();

  detach_in_good_weather(start.world, start.id);

  EXPECT_TRUE(start.world.dirty.empty());
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

// Writes down how long it is paused.
class PausedHost final : public SimHost {
 public:
  using SimHost::SimHost;
  Status pause(const Ctx& ctx, std::chrono::milliseconds time) override {
    pauses.push_back(time);
    return SimHost::pause(ctx, time);
  }

  std::vector<std::chrono::milliseconds> pauses{};
};

// Of a detach that is refused at its deadline.
std::vector<std::chrono::milliseconds> pauses_between_tries(SimWorld& world,
                                                            const std::string& id) {
  SimProcessOn<PausedHost> process(world);
  EXPECT_FALSE(detach(process.ctx(), process.environment(), id, {}));
  return process.host.pauses;
}

// Keeps: D6
TEST(FlushSimTest, pauses_between_tries_grow_and_differ_from_host_to_host) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  cut_all_paths(start.world);
  SimWorld other = start.world;
  other.pass(7ms);
  const auto pauses = pauses_between_tries(start.world, start.id);
  ASSERT_GT(pauses.size(), 8u);
  EXPECT_LT(pauses.front(), 400ms);
  EXPECT_LT(pauses[1], 800ms);
  EXPECT_LT(pauses[2], 1600ms);
  EXPECT_GE(pauses.back(), 2s);
  EXPECT_LE(pauses.back(), 6s);
  EXPECT_NE(pauses_between_tries(other, start.id), pauses);
}

// Keeps: D6
TEST(FlushSimTest, tries_get_rarer_and_only_the_last_cause_is_said) {
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

// Keeps: D4
// multipathd may leave out of the map what was dead when it looked.
TEST(FlushSimTest, a_dead_disk_that_is_in_no_map_is_not_waited_for) {
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

// Somebody else's session has brought it.
// Keeps: D4
TEST(FlushSimTest, a_dead_disk_beside_the_one_that_was_handed_out_is_not_waited_for) {
  Attached start = attached(sim_world(), sim_spec(1), {.multipath = Multipath::off});
  SimWorld& world = start.world;
  add_foreign(world, kTarget, "10.0.2.2", 1);
  world.dead_portals = {"10.0.2.2"};
  const Result<DetachReport> done = detach_once(world, start.id);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->flushed);
  EXPECT_TRUE(world.dirty.empty());
}

// Keeps: D4
TEST(FlushSimTest, a_map_that_is_there_after_a_crash_is_attached_and_flushed_anew) {
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

// A unit that says nothing of itself is known by its place.
// Keeps: D4
TEST(FlushSimTest, a_bare_disk_without_identity_that_is_there_after_a_crash_is_attached) {
  Attached start = attached(sim_world(), sim_spec(1), {.multipath = Multipath::off});
  for (auto& [name, device] : start.world.devices)
    device.identity = {};
  std::vector<Record>& log = start.world.logs[start.id];
  for (Record& record : log) {
    for (const char* field : {"wwid", "serial", "designators"}) {
      if (record.fields.contains(field)) record.fields[field].clear();
    }
  }
  log.push_back({.type = RecordType::begin, .step = std::string(step::kDetach)});
  log.push_back({.type = RecordType::done, .step = std::string(step::kFlush)});
  EXPECT_TRUE(recover_in_good_weather(start.world, start.id));
  EXPECT_EQ(start.world.devices.size(), 1u);
}

// --- whoever has it open
// ---------------------------------------------------------------------------------------

// Keeps: D7
TEST(FlushSimTest, who_uses_it_is_named_and_nothing_is_touched) {
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
TEST(FlushSimTest, a_disk_that_multipathd_takes_into_the_map_meanwhile_is_no_user) {
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

// Its page cache is not that of the map; and what multipathd wrote down goes with it. Whoever has
// it open is waited for.
// Keeps: D1, D7, R4
TEST(FlushSimTest, a_bare_disk_that_multipathd_made_a_map_of_is_flushed_itself) {
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

  world.closes_ms = {{disk.name, world.uptime_ms + 5000}};  // A udev worker, say.
  detach_in_good_weather(world, attachment_id(sim_spec(1)));

  EXPECT_EQ(world.picture(), sim_world().picture());
  EXPECT_EQ(world.flushed_nodes, (std::set<std::string>{"dm-0", disk.name}));
}

// iscsid was started again, and its sessions cannot be read until it has their connections.
// Keeps: D4
TEST(FlushSimTest, a_session_that_iscsid_is_taking_over_is_not_taken_for_gone) {
  const Attached start = attached(sim_world(), sim_spec(1), {.multipath = Multipath::off});
  int unfinished = 0;
  for (int ms = 1; ms < 100; ++ms) {
    SimWorld world = start.world;
    world.orphans = {1};
    world.orphans_end_ms = world.uptime_ms + ms;
    if (!detach_once(world, start.id)) {
      ++unfinished;
      world.pass(100ms);
      detach_in_good_weather(world, start.id);
    }
    EXPECT_TRUE(world.dirty.empty()) << "taken over after " << ms << " ms";
    EXPECT_EQ(world.picture(), start.before.picture());
  }
  EXPECT_GT(unfinished, 0);
}

// Keeps: D7
TEST(FlushSimTest, a_bare_disk_that_is_opened_while_it_is_flushed_stays) {
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
// Keeps: D4, D7
TEST(FlushSimTest, what_is_written_after_the_flush_is_flushed_again) {
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

// The attach did not wait for its second path.
SimWorld with_a_scan_under_way(std::int64_t takes_ms) {
  SimWorld world = sim_world();
  world.slow_scans = {{"10.0.2.2", takes_ms}};
  in_turns(world, {}, [](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), sim_spec(2), {.grace = 1s});
  });
  EXPECT_FALSE(world.scans_in_flight.empty());
  return world;
}

// Keeps: D4
TEST(FlushSimTest, what_is_written_while_a_scan_is_waited_for_is_flushed) {
  SimWorld world = with_a_scan_under_way(30'000);
  world.opened_after_flush = {"dm-0"};
  world.closes_ms = {{"dm-0", world.uptime_ms + 5000}};

  detach_in_good_weather(world, attachment_id(sim_spec(2)));

  EXPECT_TRUE(world.dirty.empty());
}

// Nothing was done, and a recovery has nothing to do.
TEST(FlushSimTest, a_scan_that_goes_on_stops_a_detach_and_leaves_nothing) {
  SimWorld world = with_a_scan_under_way(300'000);
  in_turns(world, {}, [](SimProcess& process) {
    const Result<DetachReport> done =
        detach(process.ctx(), process.environment(), attachment_id(sim_spec(2)), {});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::deadline_exceeded) << done.error().message();
    EXPECT_EQ(done.error().outcome(), Outcome::unchanged);
  });
  EXPECT_EQ(world.maps.size(), 1u);
  EXPECT_EQ(world.devices.size(), 1u);
}

// Keeps: D7
TEST(FlushSimTest, a_host_that_is_slow_to_say_who_has_it_open_detaches_all_the_same) {
  for (const Multipath multipath : {Multipath::required, Multipath::off}) {
    const SimWorld before = sim_world();
    SimWorld world = before;
    attach_in_good_weather(world, sim_spec(1), {.multipath = multipath});
    world.use_look_ms = 200;

    detach_in_good_weather(world, attachment_id(sim_spec(1)));

    EXPECT_EQ(world.picture(), before.picture());
  }
}

}  // namespace
}  // namespace hawser
