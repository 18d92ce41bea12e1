// Everything that can go wrong, once and twice, while missing paths are brought back. Whatever
// happened, the volume stays attached with the paths that it had; a path is in the map or has left
// nothing; and the next join, and the next detach, have an easy time.
#include "engine/join.h"
#include "engine/map_paths.h"
#include "sim/foreign.h"

namespace hawser {
namespace {

struct Degraded {
  SimWorld before;  // As it was before the attach, with every portal alive.
  SimWorld world;
  VolumeSpec spec;
  std::size_t paths = 0;  // In the map now.
};

// Attached while the first portal was dead; it is alive again.
Degraded with_a_late_portal(SimWorld before, VolumeSpec spec) {
  Degraded start{.before = before, .world = std::move(before), .spec = std::move(spec)};
  start.world.dead_portals = {"10.0.1.2"};
  attach_in_good_weather(start.world, start.spec, {});
  start.world.dead_portals.clear();
  start.paths = start.spec.paths.size() - 1;
  return start;
}

Degraded with_a_late_portal(int portals) {
  return with_a_late_portal(sim_world(), sim_spec(portals));
}

// A path in the map has failed, and nobody else is there to bring it back.
Degraded with_a_failed_path() {
  SimWorld world = sim_world();
  world.runs_multipathd = false;
  Degraded start{.before = world, .world = world, .spec = sim_spec(2), .paths = 2};
  attach_in_good_weather(start.world, start.spec, {});
  start.world.maps.begin()->second.paths.front().is_active = false;
  return start;
}

// What is behind the late portal is another volume by now.
Degraded with_a_stranger_behind_the_late_portal() {
  SimWorld world = sim_world();
  world.targets[kOther] = {{1, "stranger"}};
  VolumeSpec spec = sim_spec(2);
  spec.paths.front().target = kOther;
  return with_a_late_portal(world, spec);
}

std::string id_of(const Degraded& start) { return attachment_id(start.spec); }

Result<Attachment> join_now(SimProcess& process, const Degraded& start) {
  return join(process.ctx(), process.environment(), id_of(start), {});
}

Result<Attachment> attach_again(SimProcess& process, const Degraded& start) {
  return attach(process.ctx(), process.environment(), start.spec, {});
}

using Work = Result<Attachment> (*)(SimProcess&, const Degraded&);

Attachment join_in_good_weather(SimWorld& world, const Degraded& start) {
  SimProcess process(world);
  const Result<Attachment> joined = join_now(process, start);
  EXPECT_TRUE(joined) << joined.error().message();
  return joined ? *joined : Attachment{};
}

std::size_t active_paths(const SimWorld& world) {
  std::size_t active = 0;
  for (const auto& [uuid, map] : world.maps) {
    for (const MapPathStatus& path : map.paths)
      active += path.is_active ? 1 : 0;
  }
  return active;
}

// A device of the volume is in its map, and a stranger is not there at all.
void expect_no_half_joined_path(const SimWorld& world) {
  const std::string uuid = "mpath-" + wwid_of(sim_identity(kUnit));
  ASSERT_TRUE(world.maps.contains(uuid));
  for (const auto& [name, device] : world.devices) {
    if (device.hctl.lun != 1) continue;
    EXPECT_TRUE(world.maps.at(uuid).has_path(device.dev)) << name;
    EXPECT_EQ(device.identity, sim_identity(kUnit)) << name;
  }
  for (const auto& [sid, session] : world.sessions) {
    const bool has_device = std::any_of(world.devices.begin(), world.devices.end(),
                                        [sid = sid](const auto& d) { return d.second.sid == sid; });
    EXPECT_TRUE(has_device) << "session " << sid;
  }
}

void run(const char* name, const Degraded& start, Work work, int budget, std::size_t at_last) {
  SCOPED_TRACE(name);
  int complete = 0;
  const int runs = walk(
      start.world, budget,
      [&](SimProcess& process, SimWorld& world) {
        (void)work(process, start);
        EXPECT_EQ(world.maps.size(), start.world.maps.size());
      },
      [&](SimWorld& world, bool) {
        EXPECT_TRUE(recover_in_good_weather(world, id_of(start)));
        expect_no_half_joined_path(world);
        if (active_paths(world) == at_last) ++complete;
        const Attachment joined = join_in_good_weather(world, start);
        EXPECT_EQ(active_paths(world), at_last);
        EXPECT_EQ(joined.degraded, at_last < start.spec.paths.size());
        expect_no_half_joined_path(world);
        detach_in_good_weather(world, id_of(start));
        EXPECT_EQ(world.picture(), start.before.picture());
      },
      budget == 1);
  std::printf("%-28s %7d runs, complete in %d\n", name, runs, complete);
  EXPECT_GT(runs, 30);
  EXPECT_GT(complete, 0);
  if (at_last > start.paths) {
    EXPECT_LT(complete, runs);
  }
}

TEST(JoinSimTest, one_fault_with_a_late_portal) {
  run("late", with_a_late_portal(3), join_now, 1, 3);
}

TEST(JoinSimTest, one_fault_while_an_attach_completes_what_is_attached) {
  run("attach_again", with_a_late_portal(3), attach_again, 1, 3);
}

TEST(JoinSimTest, one_fault_with_a_path_that_failed) {
  run("failed_path", with_a_failed_path(), join_now, 1, 2);
}

TEST(JoinSimTest, one_fault_with_a_stranger_behind_the_portal) {
  run("stranger", with_a_stranger_behind_the_late_portal(), join_now, 1, 1);
}

TEST(JoinSimTest, one_fault_beside_a_volume_on_the_same_sessions) {
  Degraded start = with_a_late_portal(2);
  attach_in_good_weather(start.world, sim_spec(2, 2), {});
  start.before = start.world;
  detach_in_good_weather(start.before, id_of(start));
  start.paths += 2;  // The neighbour has a map as well, with both of its paths.
  run("neighbour", start, join_now, 1, 4);
}

TEST(JoinSimTest, two_faults_with_a_late_portal) {
  run("late_twice", with_a_late_portal(2), join_now, 2, 2);
}

TEST(JoinSimTest, a_portal_that_the_attach_did_not_know_of_is_joined_by_the_next) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {});
  attach_in_good_weather(world, sim_spec(2), {});
  EXPECT_EQ(active_paths(world), 2u);

  detach_in_good_weather(world, attachment_id(sim_spec(2)));
  EXPECT_EQ(world.picture(), sim_world().picture());
}

TEST(JoinSimTest, a_path_in_the_map_that_shows_another_unit_is_taken_out_of_it) {
  Degraded start = with_a_failed_path();
  const DevT dev = start.world.devices.begin()->second.dev;
  start.world.maps.begin()->second.paths.front().dev = dev;
  start.world.targets[kTarget][1] = "stranger";

  const Attachment joined = join_in_good_weather(start.world, start);

  EXPECT_FALSE(start.world.maps.begin()->second.has_path(dev));
  ASSERT_TRUE(joined.paths.front().error);
  EXPECT_EQ(joined.paths.front().error->code(), Errc::identity_mismatch);
}

// Both had failed when the unit grew, and nobody has resized the map yet.
TEST(JoinSimTest, a_path_in_the_map_whose_unit_has_grown_stays_in_it) {
  Degraded start = with_a_failed_path();
  Map& map = start.world.maps.begin()->second;
  for (MapPathStatus& path : map.paths)
    path.is_active = false;
  start.world.unit_sectors[kUnit] = 2 * map.sectors;

  const Attachment joined = join_in_good_weather(start.world, start);

  EXPECT_FALSE(joined.degraded);
  EXPECT_EQ(map.sectors, 2048u);
  EXPECT_EQ(active_paths(start.world), 2u);
}

TEST(JoinSimTest, without_any_other_a_path_whose_unit_has_grown_is_joined) {
  Degraded start = with_a_failed_path();
  Map& map = start.world.maps.begin()->second;
  map.table.groups.clear();
  map.paths.clear();
  start.world.devices.clear();
  start.world.unit_sectors[kUnit] = 2 * map.sectors;

  join_in_good_weather(start.world, start);

  EXPECT_EQ(map.sectors, 2048u);
  EXPECT_GT(active_paths(start.world), 0u);
}

TEST(JoinSimTest, a_path_whose_disk_was_deleted_makes_room_for_the_new_one) {
  Degraded start = with_a_late_portal(2);
  SimWorld& world = start.world;
  Map& map = world.maps.begin()->second;
  const DevT gone{.major = 8, .minor = 999};
  map.table = with_path(map.table, gone);
  map.paths.push_back({.dev = gone});

  join_in_good_weather(world, start);

  EXPECT_FALSE(map.has_path(gone));
  EXPECT_EQ(active_paths(world), 2u);
}

// The caller looks at the map again and builds on what is there then.
TEST(JoinSimTest, a_table_that_is_refused_is_no_failure_if_another_was_loaded_meanwhile) {
  SimWorld world = with_a_late_portal(2).world;
  Mishap mishap;
  Faults faults(mishap, 2);
  SimProcess process(world, faults);
  const Map map = world.maps.begin()->second;

  mishap.next = Faults::fail_before;
  EXPECT_FALSE(reload_map(process.ctx(), process.host, map, {}));

  world.maps.begin()->second.table = with_path(map.table, {.major = 8, .minor = 999});
  mishap.next = Faults::fail_before;
  EXPECT_TRUE(reload_map(process.ctx(), process.host, map, {}));
}

TEST(JoinSimTest, a_running_multipathd_is_left_to_reinstate_a_path) {
  Degraded start = with_a_failed_path();
  start.world.runs_multipathd = true;

  join_in_good_weather(start.world, start);

  EXPECT_EQ(active_paths(start.world), 1u);
}

// What a dead join may leave: the disk of a unit.
void after_each_death_with_a_disk(const Degraded& start, const char* unit,
                                  const std::function<void(SimWorld&, const ScsiDevice&)>& check) {
  int brought = 0;
  Choices choices;
  while (choices.next_run()) {
    SimWorld world = start.world;
    Faults faults(choices, 1);
    try {
      SimProcess dying(world, faults);
      (void)join_now(dying, start);
      continue;
    } catch (const SimCrash&) {
    }
    const auto disk =
        std::find_if(world.devices.begin(), world.devices.end(), [&](const auto& one) {
          return one.second.identity == sim_identity(unit) &&
                 !start.world.devices.contains(one.first) &&
                 !world.maps.begin()->second.has_path(one.second.dev);
        });
    if (disk == world.devices.end()) continue;
    ++brought;
    check(world, ScsiDevice(disk->second));
  }
  EXPECT_GT(brought, 3);
}

// It may be somebody's by now, and multipathd may have put it into our map all the same: it leaves
// the map, and stays.
// Keeps: D10
TEST(JoinSimTest, a_disk_that_another_has_attached_leaves_the_map_and_stays) {
  const Degraded start = with_a_stranger_behind_the_late_portal();
  VolumeSpec next = start.spec;
  next.paths.resize(1);  // The stranger's.
  after_each_death_with_a_disk(start, "stranger", [&](SimWorld& world, const ScsiDevice& disk) {
    attach_in_good_weather(world, next, {.multipath = Multipath::off});
    const std::string uuid = "mpath-" + wwid_of(sim_identity(kUnit));
    Map& map = world.maps.at(uuid);
    map.table = with_path(map.table, disk.dev);
    map.paths.push_back({.dev = disk.dev, .is_active = true});

    EXPECT_TRUE(recover_in_good_weather(world, id_of(start)));

    EXPECT_TRUE(world.devices.contains(disk.name));
    EXPECT_FALSE(world.maps.at(uuid).has_path(disk.dev));
    detach_in_good_weather(world, attachment_id(next));
    detach_in_good_weather(world, id_of(start));
    EXPECT_EQ(world.picture(), start.before.picture());
  });
}

// Mounted, open, or under a map that multipathd has made of it and that is mounted: whoever uses it
// keeps it, and the volume is in nobody's way.
// Keeps: D7
TEST(JoinSimTest, a_strangers_disk_that_somebody_uses_is_left_to_him) {
  const Degraded start = with_a_stranger_behind_the_late_portal();
  for (const char* use : {"mount", "open", "map"}) {
    after_each_death_with_a_disk(start, "stranger", [&](SimWorld& world, const ScsiDevice& disk) {
      const bool is_under_map = use == std::string_view("map");
      if (use == std::string_view("mount")) world.held_nodes = {disk.name};
      if (use == std::string_view("open")) world.open_nodes = {disk.name};
      if (is_under_map) {
        map_foreign(world, "stranger", disk.dev);
        world.open_nodes = {"dm-" + std::to_string(world.next_minor - 1)};
      }

      EXPECT_TRUE(recover_in_good_weather(world, id_of(start)));
      detach_in_good_weather(world, id_of(start));

      EXPECT_TRUE(world.devices.contains(disk.name)) << use;
      EXPECT_EQ(world.maps.size(), is_under_map ? 1u : 0u) << use;
    });
  }
}

// Nor is the volume's own, and then it is refused until he lets go.
// Keeps: D7, D9
TEST(JoinSimTest, a_disk_that_somebody_uses_is_not_taken_back) {
  const Degraded start = with_a_late_portal(2);
  for (const bool is_mounted : {true, false}) {
    after_each_death_with_a_disk(start, kUnit, [&](SimWorld& world, const ScsiDevice& disk) {
      std::set<std::string>& used = is_mounted ? world.held_nodes : world.open_nodes;
      used = {disk.name};

      const Result<RecoverReport> refused = recover_once(world);

      ASSERT_TRUE(refused);
      ASSERT_EQ(refused->failed.size(), 1u);
      EXPECT_EQ(refused->failed.front().error.code(), Errc::busy);
      EXPECT_TRUE(world.devices.contains(disk.name));
      used.clear();
      EXPECT_TRUE(recover_in_good_weather(world, id_of(start)));
      expect_no_half_joined_path(world);
      detach_in_good_weather(world, id_of(start));
      EXPECT_EQ(world.picture(), start.before.picture());
    });
  }
}

// multipathd takes it into the map while udev's probes of it are waited for.
TEST(JoinSimTest, a_disk_that_multipathd_takes_into_the_map_meanwhile_stays) {
  const Degraded start = with_a_late_portal(2);
  after_each_death_with_a_disk(start, kUnit, [&](SimWorld& world, const ScsiDevice& disk) {
    world.wanted_nodes = {disk.name};
    EXPECT_TRUE(recover_in_good_weather(world, id_of(start)));
    EXPECT_TRUE(world.devices.contains(disk.name));
    expect_no_half_joined_path(world);
  });
}

TEST(JoinSimTest, what_is_not_attached_cannot_be_joined) {
  Degraded start = with_a_late_portal(2);
  SimWorld world = start.before;
  SimProcess process(world);

  const Result<Attachment> joined = join_now(process, start);

  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().code(), Errc::not_found);
  EXPECT_EQ(world.picture(), start.before.picture());
}

// An attach by other targets, that hangs.
SimWorld with_somebody_at_work(SimWorld world) {
  world.locks.insert(std::string("unit ") + kTarget + " 1");
  return world;
}

TEST(JoinSimTest, an_attach_waits_for_nobody_to_complete_what_is_attached) {
  Degraded start = with_a_late_portal(2);
  start.world = with_somebody_at_work(start.world);
  in_turns(start.world, {}, [&](SimProcess& process) {
    const Result<Attachment> made = attach_again(process, start);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_TRUE(made->degraded);
    EXPECT_FALSE(made->warnings.empty());
    EXPECT_LT(made->elapsed, 10s);
    const Result<Attachment> joined = join_now(process, start);
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code(), Errc::busy);
  });
}

TEST(JoinSimTest, a_dead_join_at_whose_unit_somebody_is_at_work_stops_no_detach) {
  Degraded start = with_a_late_portal(2);
  SimProcess dying(start.world);
  Environment environment = dying.environment();
  environment.on_event = [](const Event& event) {
    if (event.name == "device.found") throw SimCrash{};
  };
  EXPECT_THROW((void)join(dying.ctx(), environment, id_of(start), {}), SimCrash);
  start.world = with_somebody_at_work(start.world);
  in_turns(start.world, {}, [&](SimProcess& process) {
    const auto done = detach(process.ctx(), process.environment(), id_of(start), {});
    ASSERT_TRUE(done) << done.error().message();
  });
  EXPECT_EQ(start.world.picture(), start.before.picture());
}

TEST(JoinSimTest, what_is_wrong_with_its_options_is_named) {
  Degraded start = with_a_late_portal(2);
  SimProcess process(start.world);
  const std::string before = start.world.picture();
  const JoinOptions half{.chap = Chap{.username = "u"}};
  const JoinOptions hasty{.login_timeout = std::chrono::seconds(0)};
  const std::pair<JoinOptions, const char*> wrong[] = {{half, "auth_password"},
                                                       {hasty, "login_timeout"}};
  for (const auto& [options, name] : wrong) {
    const auto joined = join(process.ctx(), process.environment(), id_of(start), options);
    ASSERT_FALSE(joined) << name;
    EXPECT_EQ(joined.error().code(), Errc::invalid_argument);
    EXPECT_NE(joined.error().message().find(name), std::string::npos) << joined.error().message();
  }
  EXPECT_EQ(start.world.picture(), before);
}

// multipathd brings back a path whose disk the kernel takes for empty, as often as it fails.
TEST(JoinSimTest, a_disk_without_a_size_is_looked_at_again) {
  Degraded start{.before = sim_world(), .world = sim_world(), .spec = sim_spec(2), .paths = 2};
  attach_in_good_weather(start.world, start.spec, {});
  for (auto& [name, device] : start.world.devices)
    device.sectors = 0;
  const Attachment joined = join_in_good_weather(start.world, start);
  for (const PathReport& path : joined.paths)
    EXPECT_EQ(path.state, "active");
  for (const auto& [name, device] : start.world.devices)
    EXPECT_EQ(device.sectors, start.world.sectors_of(kUnit));
}

// The kernel shows a unit that does not answer without a size.
// Keeps: R2
TEST(JoinSimTest, a_disk_without_a_size_that_does_not_answer_is_only_lost) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2), {});
  world.maps.begin()->second.paths.front().is_active = false;
  world.devices.begin()->second.sectors = 0;
  world.targets[kTarget].erase(1);
  SimProcess process(world);
  (void)join(process.ctx(), process.environment(), attachment_id(sim_spec(2)), {});
  EXPECT_EQ(world.devices.size(), 2u);
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 2u);
}

// A purge in vain would cost the map a path if the time were up in the middle.
TEST(JoinSimTest, a_disk_that_answers_again_when_it_has_been_looked_at_is_not_deleted) {
  SimWorld world = sim_world();
  world.runs_multipathd = false;
  attach_in_good_weather(world, sim_spec(2), {});
  for (MapPathStatus& path : world.maps.begin()->second.paths) {
    const auto device = std::find_if(world.devices.begin(), world.devices.end(),
                                     [&](const auto& one) { return one.second.dev == path.dev; });
    path.is_active = world.sessions.at(device->second.sid).address != "10.0.2.2";
  }
  world.dead_portals = {"10.0.2.2"};
  SimProcess process(world);
  Environment environment = process.environment();
  bool has_purged = false;
  environment.on_event = [&](const Event& event) {
    if (event.name == "device.found") world.dead_portals.clear();
    has_purged = has_purged || event.name == "device.purge";
  };

  const Result<Attachment> joined =
      join(process.ctx(), environment, attachment_id(sim_spec(2)), {});

  ASSERT_TRUE(joined) << joined.error().message();
  EXPECT_TRUE(world.dead_portals.empty());
  EXPECT_FALSE(has_purged);
  EXPECT_FALSE(joined->degraded);
}

// It is the right one whatever it answers, and when.
// Keeps: R2
TEST(JoinSimTest, two_faults_with_a_path_that_failed_delete_no_disk) {
  const Degraded start = with_a_failed_path();
  const int runs = walk(
      start.world, 2,
      [&](SimProcess& process, SimWorld&) {
        Environment environment = process.environment();
        environment.on_event = [](const Event& event) { EXPECT_NE(event.name, "device.purge"); };
        (void)join(process.ctx(), environment, id_of(start), {});
      },
      [&](SimWorld& world, bool) {
        detach_in_good_weather(world, id_of(start));
        EXPECT_EQ(world.picture(), start.before.picture());
      });
  EXPECT_GT(runs, 500);
}

}  // namespace
}  // namespace hawser
