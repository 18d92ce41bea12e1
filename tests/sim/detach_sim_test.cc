// Everything that can go wrong, once and twice, while a volume is detached. Afterwards it is still
// attached as a whole, or gone without a trace. What is flushed before is in flush_sim_test.cc.
#include <cstdio>

#include <gmock/gmock.h>

#include "engine/join.h"
#include "engine/map_paths.h"
#include "sim/attached.h"

namespace hawser {
namespace {

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
      },
      budget == 1);

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

// It is behind with what a detach that died has removed, and writes its WWID down once more.
// Keeps: D2, D9
TEST(DetachSimTest, a_recovery_waits_for_multipathd_to_let_go_of_what_the_dead_has_removed) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  attach_in_good_weather(world, sim_spec(2), {});
  const std::string id = attachment_id(sim_spec(2));
  const std::string name = world.devices.begin()->first;
  const auto die = [&](Faults& faults) {
    if (world.sessions.empty()) faults.kill();
  };
  in_turns(world, die, [&](SimProcess& process) {
    (void)detach(process.ctx(), process.environment(), id, {});
  });
  ASSERT_TRUE(world.logs.contains(id));
  world.known_paths = {name};
  const std::int64_t late_ms = world.uptime_ms + 2000;
  in_turns(
      world,
      [&](Faults&) {
        if (world.uptime_ms < late_ms || world.known_paths.empty()) return;
        world.wwids.insert(wwid_of(sim_identity(kUnit)));
        world.known_paths.clear();
      },
      [&](SimProcess& process) {
        const Result<RecoverReport> report = recover(process.ctx(), process.environment());
        ASSERT_TRUE(report) << report.error().message();
        EXPECT_EQ(report->completed, std::vector<std::string>{id});
      });
  EXPECT_TRUE(world.known_paths.empty());
  EXPECT_EQ(world.picture(), before.picture());
}

// The log fails when a recovery writes down which map may come of a disk that it removes, and then
// the recovery fails: whoever tries it again knows of that map all the same.
// Keeps: A1, D9
TEST(DetachSimTest, what_a_recovery_that_failed_has_found_is_known_to_the_next) {
  const SimWorld before = sim_world();
  SimWorld start = before;
  start.multipathd_is_quick = true;
  const auto die = [&](Faults& faults) {
    if (!start.devices.empty()) faults.kill();
  };
  in_turns(start, die, [&](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), sim_spec(1), {});
  });
  ASSERT_EQ(start.devices.size(), 1u);
  const DevT dev = start.devices.begin()->second.dev;
  const std::string uuid = map_uuid_of(wwid_of(sim_identity(kUnit)));
  start.removed_map = Map{.name = "late",
                          .uuid = uuid,
                          .sectors = 2048,
                          .target_type = "multipath",
                          .table = simple_table({dev}),
                          .paths = {{.dev = dev, .is_active = true}}};
  start.map_comebacks = 1;
  const std::string id = attachment_id(sim_spec(1));

  int late = 0;
  Choices choices;
  while (choices.next_run() && !HasFailure()) {
    SimWorld world = start;
    Faults faults(choices, 2);
    try {
      SimProcess process(world, faults);
      (void)recover(process.ctx(), process.environment());
    } catch (const SimCrash&) {
      continue;  // What it could not write has died with it.
    }
    late += world.devices.empty() && world.maps.contains(uuid) ? 1 : 0;
    EXPECT_FALSE(recover_in_good_weather(world, id));
    EXPECT_EQ(world.picture(), before.picture());
  }
  EXPECT_GT(late, 0);
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

// Keeps: D7
TEST(DetachSimTest, a_detach_that_is_refused_keeps_the_maps_of_partitions) {
  for (const std::string opened : {"dm-0", "dm-2"}) {
    Attached start = attached(sim_world(), sim_spec(2), {});
    SimWorld& world = start.world;
    for (const unsigned part : {1u, 2u}) {
      const std::string name = "part" + std::to_string(part);
      const std::string uuid = name + "-" + map_uuid_of(wwid_of(sim_identity(kUnit)));
      world.maps[uuid] = {.name = name, .uuid = uuid, .minor = part};
    }
    const std::string kept = world.picture();
    SimProcess process(world);
    Environment environment = process.environment();
    environment.on_event = [&](const Event& event) {
      if (event.name == "flush.start") world.open_nodes = {opened};
    };
    EXPECT_FALSE(detach(process.ctx(), environment, start.id, {}));
    EXPECT_EQ(world.picture(), kept) << opened;

    world.open_nodes.clear();
    ASSERT_TRUE(detach_once(world, start.id));
    EXPECT_EQ(world.picture(), start.before.picture());
  }
}

// Agents try for days.
TEST(DetachSimTest, a_detach_that_is_refused_leaves_no_records) {
  Attached start = attached(sim_world(), sim_spec(2), {});
  const std::size_t before = start.world.logs[start.id].size();
  start.world.held_nodes = {"dm-0"};
  EXPECT_FALSE(detach_once(start.world, start.id));
  EXPECT_EQ(start.world.logs[start.id].size(), before);
}

// Nobody knows what such a log says: its sessions stay.
// Keeps: D8, D10
TEST(DetachSimTest, a_log_that_others_can_write_to_stops_no_other_volume) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 2), {});
  world.unsafe_logs = {attachment_id(sim_spec(2, 2))};
  const std::string before = world.picture();

  const Result<Attachment> made = attach_once(world, sim_spec(2));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_THAT(made->warnings, testing::Contains(testing::HasSubstr("is not safe")));
  detach_in_good_weather(world, attachment_id(sim_spec(2)));
  EXPECT_EQ(world.picture(), before);
}

}  // namespace
}  // namespace hawser
