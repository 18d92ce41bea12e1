// Units that are not what they seem: leftovers at a reused LUN number, two units that show one
// WWID, units that change places behind our back.
#include "sim/foreign.h"

namespace hawser {
namespace {

// The LUN of the volume was another's before, and its device is still there.
SimWorld with_leftover() {
  SimWorld world = sim_world();
  world.targets[kTarget][1] = "earlier";
  add_foreign(world, kTarget, "10.0.1.2", 1);
  world.targets[kTarget][1] = kUnit;
  return world;
}

// --- at attach
// --------------------------------------------------------------------------------------

// Keeps: A8
TEST(IdentitySimTest, a_leftover_at_a_reused_lun_number_is_scanned_anew) {
  SimWorld world = with_leftover();
  const Result<Attachment> made = attach_once(world, sim_spec(1));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->wwid, wwid_of(sim_identity(kUnit)));
  EXPECT_FALSE(made->warnings.empty());
  EXPECT_EQ(only_device(world).identity, sim_identity(kUnit));
}

// He has made a map of it, or merely has it open, which claims nothing.
// Keeps: A8
TEST(IdentitySimTest, a_leftover_that_somebody_uses_is_left_alone) {
  SimWorld mapped = with_leftover();
  map_foreign(mapped, "earlier", only_device(mapped).dev);
  SimWorld opened = with_leftover();
  opened.open_nodes = {only_device(opened).name};
  for (SimWorld& world : std::vector<SimWorld>{mapped, opened}) {
    const std::string before = world.picture();
    const Result<Attachment> made = attach_once(world, sim_spec(1));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::busy) << made.error().message();
    EXPECT_EQ(world.picture(), before);
  }
}

// Keeps: A8
TEST(IdentitySimTest, a_leftover_that_another_attachment_has_is_left_alone) {
  SimWorld world = two_targets(kUnit);
  ASSERT_TRUE(attach_once(world, spec_of_both(), {.multipath = Multipath::off}));
  const std::string before = world.picture();
  world.targets[kTarget][1] = "later";
  for (int tries = 0; tries < 2; ++tries) {  // By the second the kernel knows what it is.
    const Result<Attachment> made = attach_once(world, sim_spec(1));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::busy) << made.error().message();
    EXPECT_EQ(world.picture(), before);
  }
}

// Keeps: A8
TEST(IdentitySimTest, a_leftover_without_a_lun_behind_it_is_not_handed_out) {
  SimWorld world = with_leftover();
  world.targets[kTarget].erase(1);
  const Result<Attachment> made = attach_once(world, sim_spec(1));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::not_found) << made.error().message();
}

// Keeps: A8
TEST(IdentitySimTest, what_is_attached_already_is_refused_when_its_lun_is_anothers_now) {
  SimWorld world = sim_world();
  ASSERT_TRUE(attach_once(world, sim_spec(2)));
  world.targets[kTarget][1] = "later";
  const Result<Attachment> again = attach_once(world, sim_spec(2));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Errc::identity_mismatch);
}

// The kernel knows by the second time, since it was asked to look the first time.
// Keeps: A6
TEST(IdentitySimTest, a_bare_disk_that_is_anothers_now_is_refused_each_time) {
  SimWorld world = sim_world();
  const AttachOptions bare{.multipath = Multipath::off};
  ASSERT_TRUE(attach_once(world, sim_spec(1), bare));
  world.targets[kTarget][1] = "later";
  for (int time = 1; time <= 3; ++time) {
    const Result<Attachment> again = attach_once(world, sim_spec(1), bare);
    ASSERT_FALSE(again) << "time " << time;
    EXPECT_EQ(again.error().code(), Errc::identity_mismatch);
  }
}

// Keeps: A6
TEST(IdentitySimTest, a_path_that_shows_another_unit_is_refused_and_the_others_are_used) {
  for (const char* unit : {"stranger", "copy=our-unit"}) {
    SimWorld world = two_targets(unit);
    const Result<Attachment> made = attach_once(world, spec_of_both());
    ASSERT_TRUE(made) << made.error().message();
    ASSERT_TRUE(made->paths[1].error.has_value());
    EXPECT_EQ(made->paths[1].error->code(), Errc::identity_mismatch);
    EXPECT_EQ(world.sessions.size(), 1u) << "the session of the refused path stayed";
    EXPECT_EQ(only_device(world).identity, sim_identity(kUnit));
  }
}

// Keeps: A6
TEST(IdentitySimTest, one_unit_behind_two_targets_is_one_volume) {
  SimWorld world = two_targets(kUnit);
  ASSERT_TRUE(attach_once(world, spec_of_both()));
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 2u);
}

// Keeps: A6
TEST(IdentitySimTest, a_unit_that_is_not_the_expected_one_leaves_nothing) {
  SimWorld world = sim_world();
  VolumeSpec spec = sim_spec(2);
  spec.expected_wwid = wwid_of(sim_identity("neighbour"));
  const Result<Attachment> made = attach_once(world, spec);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// Keeps: A6
TEST(IdentitySimTest, a_volume_that_was_another_unit_before_the_reboot_is_refused_unless_expected) {
  SimWorld world = sim_world();
  ASSERT_TRUE(attach_once(world, sim_spec(2)));
  SimWorld booted = sim_world();
  booted.wwids = world.wwids;
  booted.logs = world.logs;
  for (auto& [id, records] : booted.logs) {
    for (Record& record : records) {
      if (record.type == RecordType::begin) record.fields["boot"] = "boot-0";
    }
  }
  booted.targets[kTarget][1] = "later";
  const Result<Attachment> refused = attach_once(booted, sim_spec(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::identity_mismatch) << refused.error().message();
  EXPECT_TRUE(booted.devices.empty());

  // Nor is it after a try.
  EXPECT_FALSE(attach_once(booted, sim_spec(2)));

  VolumeSpec spec = sim_spec(2);
  spec.expected_wwid = wwid_of(sim_identity("later"));
  EXPECT_TRUE(attach_once(booted, spec));
  EXPECT_TRUE(booted.logs.contains(attachment_id(spec)));
}

// Keeps: A6, D10
TEST(IdentitySimTest, a_second_volume_with_the_wwid_of_one_that_is_attached_is_refused) {
  // Even if nothing at all tells them apart.
  for (const std::string unit : {"copy=our-unit", kUnit}) {
    for (const Multipath multipath : {Multipath::preferred, Multipath::off}) {
      SimWorld world = two_targets(unit);
      ASSERT_TRUE(attach_once(world, spec_of(kTarget), {.multipath = multipath}));
      const std::string before = world.picture();
      const Result<Attachment> second =
          attach_once(world, spec_of(kOther), {.multipath = multipath});
      ASSERT_FALSE(second);
      EXPECT_EQ(second.error().code(), Errc::identity_mismatch);
      EXPECT_EQ(world.picture(), before);
    }
  }
}

// Keeps: A6
TEST(IdentitySimTest, a_map_of_that_wwid_over_a_disk_of_another_target_is_not_joined) {
  SimWorld world = two_targets(kUnit);
  add_foreign(world, kOther, "10.0.3.2", 1);
  map_foreign(world, kUnit, only_device(world).dev);
  const std::string before = world.picture();
  const Result<Attachment> made = attach_once(world, spec_of(kTarget));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::identity_mismatch) << made.error().message();
  EXPECT_EQ(world.picture(), before);
}

// Keeps: A6
TEST(IdentitySimTest, a_map_over_other_portals_of_the_volume_is_joined) {
  SimWorld world = sim_world();
  add_foreign(world, kTarget, "10.0.9.2", 1);
  map_foreign(world, kUnit, only_device(world).dev);
  ASSERT_TRUE(attach_once(world, spec_of(kTarget)));
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 2u);
}

// multipathd makes a map first, and gives it a table then.
// Keeps: A5
TEST(IdentitySimTest, a_map_without_a_table_gets_one_of_the_size_of_the_disk) {
  SimWorld world = sim_world();
  map_foreign(world, kUnit, {});
  Map& map = world.maps.begin()->second;
  map = {.name = map.name, .uuid = map.uuid};
  const Result<Attachment> made = attach_once(world, sim_spec(2));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(map.sectors, world.sectors_of(kUnit));
  EXPECT_EQ(map.paths.size(), 2u);
}

// Its user would lack the rest of the volume, or get errors there.
// Keeps: A6
TEST(IdentitySimTest, a_map_without_paths_of_another_size_is_not_handed_out) {
  SimWorld world = sim_world();
  map_foreign(world, kUnit, {});
  Map& map = world.maps.begin()->second;
  map.sectors = 1024;
  map.table = {};
  map.paths.clear();
  const Result<Attachment> made = attach_once(world, sim_spec(1));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::identity_mismatch) << made.error().message();
  EXPECT_EQ(world.picture(), sim_world().picture());  // Nobody had it open.
}

// Keeps: A9
TEST(IdentitySimTest, no_other_lun_of_the_target_appears) {
  SimWorld world = two_targets("stranger");
  add_foreign(world, kOther, "10.0.1.2", 1);
  ASSERT_TRUE(attach_once(world, sim_spec(4)));
  EXPECT_EQ(world.devices.size(), 5u);
  for (const auto& [name, device] : world.devices)
    EXPECT_EQ(device.hctl.lun, 1u);
}

// --- at detach
// --------------------------------------------------------------------------------------

// Keeps: D10
TEST(IdentitySimTest, detach_leaves_a_map_of_the_same_wwid_alone_that_has_none_of_its_disks) {
  SimWorld world = sim_world();
  world.targets[kOther] = {{1, kUnit}};
  ASSERT_TRUE(attach_once(world, spec_of(kTarget), {.multipath = Multipath::off}));
  const Session theirs = add_foreign(world, kOther, "10.0.3.2", 1);
  map_foreign(world, kUnit, world.devices.at("sd-" + std::to_string(theirs.sid) + "-1").dev);

  ASSERT_TRUE(detach_once(world, attachment_id(spec_of(kTarget))));
  EXPECT_EQ(world.maps.size(), 1u);
  EXPECT_EQ(only_device(world).sid, theirs.sid);
}

// Somebody has logged in by hand to another target that shows the same, and multipathd makes him a
// map as soon as ours is gone.
// Keeps: D10
TEST(IdentitySimTest, a_map_of_the_same_wwid_that_is_made_meanwhile_is_left_alone) {
  SimWorld world = two_targets("=our-unit");
  ASSERT_TRUE(attach_once(world, spec_of(kTarget)));
  const Session theirs = add_foreign(world, kOther, "10.0.2.2", 1);
  const auto disk = std::find_if(world.devices.begin(), world.devices.end(),
                                 [&](const auto& one) { return one.second.sid == theirs.sid; });
  ASSERT_NE(disk, world.devices.end());
  const DevT dev = disk->second.dev;
  bool is_made = false;
  const auto make_map = [&](Faults&) {
    if (world.maps.empty() && !std::exchange(is_made, true)) map_foreign(world, kUnit, dev);
  };
  std::optional<Result<DetachReport>> done;
  in_turns(world, make_map, [&](SimProcess& process) {
    done = detach(process.ctx(), process.environment(), attachment_id(spec_of(kTarget)), {});
  });
  ASSERT_TRUE(*done) << done->error().message();
  ASSERT_TRUE(is_made);
  ASSERT_EQ(world.maps.size(), 1u);
  EXPECT_EQ(world.maps.begin()->second.target_type, "multipath");
  EXPECT_EQ(only_device(world).sid, theirs.sid);
}

// Keeps: D10
TEST(IdentitySimTest, detach_refuses_a_map_into_which_somebody_merged_another_unit) {
  SimWorld world = two_targets(kUnit);
  ASSERT_TRUE(attach_once(world, spec_of(kTarget)));
  const Session theirs = add_foreign(world, kOther, "10.0.3.2", 1);
  Map& map = world.maps.begin()->second;
  map.paths.push_back({.dev = world.devices.at("sd-" + std::to_string(theirs.sid) + "-1").dev});
  const std::string before = world.picture();
  for (const bool force : {false, true}) {
    const Result<DetachReport> done =
        detach_once(world, attachment_id(spec_of(kTarget)), {.force = force});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::identity_mismatch);
    EXPECT_EQ(world.picture(), before);
  }
}

// Keeps: D10
TEST(IdentitySimTest, nothing_is_written_through_a_path_whose_lun_is_anothers_now) {
  SimWorld world = two_targets(kUnit);
  ASSERT_TRUE(attach_once(world, spec_of_both()));
  world.targets[kOther][1] = "later";
  const Result<DetachReport> done = detach_once(world, attachment_id(spec_of_both()));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(done->warnings.empty());
  EXPECT_EQ(world.picture(), two_targets(kUnit).picture());
}

// The path that comes back while a flush waits for one leads to another unit: it is taken out, and
// the flush waits on.
// Keeps: D10
TEST(IdentitySimTest, a_path_that_is_back_as_another_unit_is_none_to_flush_through) {
  SimWorld world = two_targets(kUnit);
  world.runs_multipathd = false;
  ASSERT_TRUE(attach_once(world, spec_of_both()));
  world.dirty = {kUnit};
  world.dead_portals = {"10.0.1.2", "10.0.2.2"};
  world.targets[kOther][1] = "later";
  const std::int64_t back_ms = world.uptime_ms + 10'000;
  const auto come_back = [&](Faults&) {
    if (world.uptime_ms >= back_ms) world.dead_portals.erase("10.0.2.2");
  };
  Result<DetachReport> done = Error(Errc::internal, "not run");

  in_turns(world, come_back, [&](SimProcess& process) {
    done = detach(process.ctx(), process.environment(), attachment_id(spec_of_both()), {});
  });

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::data_at_risk);
  EXPECT_EQ(world.dirty, std::set<std::string>{kUnit});
  ASSERT_EQ(world.maps.size(), 1u);
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 1u);
}

// Whoever uses it goes on writing.
// Keeps: D10
TEST(IdentitySimTest, a_path_whose_lun_is_anothers_now_leaves_a_map_that_is_in_use) {
  for (const bool is_mounted : {false, true}) {
    SimWorld world = two_targets(kUnit);
    ASSERT_TRUE(attach_once(world, spec_of_both()));
    world.targets[kOther][1] = "later";
    (is_mounted ? world.held_nodes : world.open_nodes) = {"dm-0"};
    const Result<DetachReport> done = detach_once(world, attachment_id(spec_of_both()));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::busy) << done.error().message();
    EXPECT_EQ(world.maps.begin()->second.paths.size(), 1U);
  }
}

// A hawser of before let him have it.
// Keeps: D10
TEST(IdentitySimTest, a_disk_that_another_attachment_has_by_now_leaves_the_map_and_stays) {
  const std::string id = attachment_id(spec_of_both());
  VolumeSpec narrow = spec_of(kOther);
  narrow.paths.front().portal = spec_of_both().paths.back().portal;
  for (const bool is_every_lun : {false, true}) {
    SimWorld world = two_targets(kUnit);
    attach_in_good_weather(world, spec_of_both(), {});
    world.targets[kOther][1] = "later";
    if (is_every_lun) world.targets[kTarget][1] = "later";
    const std::vector<Record> log = std::exchange(world.logs[id], {});
    world.logs.erase(id);
    EXPECT_FALSE(attach_once(world, narrow, {.multipath = Multipath::off}));
    attach_in_good_weather(world, narrow, {.multipath = Multipath::off});
    world.logs[id] = log;

    const Result<DetachReport> done = detach_once(world, id, {.force = is_every_lun});

    ASSERT_TRUE(done) << done.error().message();
    EXPECT_TRUE(done->leftovers.empty());
    EXPECT_TRUE(world.maps.empty());
    ASSERT_EQ(world.devices.size(), 1u);
    EXPECT_EQ(only_device(world).identity, sim_identity("later"));
    detach_in_good_weather(world, attachment_id(narrow));
    EXPECT_TRUE(world.devices.empty());
  }
}

// Keeps: D10
TEST(IdentitySimTest, when_every_lun_is_anothers_now_detach_stops_and_force_writes_nothing) {
  SimWorld world = sim_world();
  ASSERT_TRUE(attach_once(world, sim_spec(2)));
  world.dirty = {kUnit};
  world.targets[kTarget][1] = "later";
  const std::string before = world.picture();
  const Result<DetachReport> refused = detach_once(world, attachment_id(sim_spec(2)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::data_at_risk);
  EXPECT_EQ(world.picture(), before);

  const Result<DetachReport> forced =
      detach_once(world, attachment_id(sim_spec(2)), {.force = true});
  ASSERT_TRUE(forced) << forced.error().message();
  EXPECT_FALSE(forced->flushed);
  EXPECT_FALSE(world.dirty.empty());
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// --- every fault
// ------------------------------------------------------------------------------------

// The disk is refused, so its WWID is that of no volume of ours; multipathd has made a map of it,
// and makes it again when it has been removed.
// Keeps: A1
TEST(IdentitySimTest, a_map_over_a_disk_that_was_refused_is_removed_after_a_crash) {
  VolumeSpec spec = sim_spec(1);
  spec.expected_wwid = wwid_of(sim_identity("other"));
  SimWorld world = sim_world();
  world.map_comebacks = 1;
  const auto kill_when_disk_is_gone = [&](Faults& faults) {
    if (world.devices.empty() && !world.maps.empty()) faults.kill();
  };
  in_turns(world, kill_when_disk_is_gone, [&](SimProcess& process) {
    Environment environment = process.environment();
    environment.on_event = [&](const Event& event) {
      if (event.name == "attach.undo") map_foreign(world, kUnit, only_device(world).dev);
    };
    (void)attach(process.ctx(), environment, spec, {});
  });
  ASSERT_EQ(world.maps.size(), 1U);

  EXPECT_FALSE(recover_in_good_weather(world, attachment_id(spec)));

  EXPECT_EQ(world.picture(), sim_world().picture());
}

// Which of two units is the volume nobody knows as long as the first has no map.
// Keeps: A6
TEST(IdentitySimTest, a_map_that_was_made_but_said_to_have_failed_stands_in_nobodys_way) {
  SimWorld world = two_targets("stranger");
  const SimWorld before = world;
  Mishap mishap;
  Faults faults(mishap, 1);
  SimProcess process(world, faults);
  Environment environment = process.environment();
  environment.on_event = [&](const Event& event) {
    if (event.name == "map.create" && world.devices.size() == 1) mishap.next = Faults::fail_after;
  };

  const Result<Attachment> made = attach(process.ctx(), environment, spec_of_both(), {});

  ASSERT_TRUE(made) << made.error().message();
  ASSERT_EQ(world.maps.size(), 1U);
  EXPECT_EQ(world.maps.begin()->first, map_uuid_of(wwid_of(sim_identity("stranger"))));
  detach_in_good_weather(world, made->id);
  EXPECT_EQ(world.picture(), before.picture());
}

// Its scan ended when the attach was over, so nobody has looked at it.
TEST(IdentitySimTest, a_late_path_that_shows_another_unit_goes_at_detach) {
  SimWorld world = two_targets("stranger");
  const std::string before = world.picture();
  world.slow_scans = {{"10.0.2.2", 12'000}};
  in_turns(world, {}, [](SimProcess& process) {
    ASSERT_TRUE(attach(process.ctx(), process.environment(), spec_of_both(), {.grace = 3s}));
  });
  ASSERT_EQ(world.scans_in_flight.size(), 1U);

  in_turns(world, {}, [](SimProcess& process) {
    EXPECT_TRUE(detach(process.ctx(), process.environment(), attachment_id(spec_of_both()), {}));
  });

  EXPECT_EQ(world.picture(), before);
}

// Nobody ran recover in between.
TEST(IdentitySimTest, an_attach_after_one_that_crashed_is_in_the_log) {
  const VolumeSpec spec = sim_spec(2);
  const std::string id = attachment_id(spec);
  const int runs = walk(
      sim_world(), 1,
      [&](SimProcess& process, SimWorld&) {
        (void)attach(process.ctx(), process.environment(), spec, {});
        (void)attach(process.ctx(), process.environment(), spec, {});
      },
      [&](SimWorld& world, bool) {
        ASSERT_TRUE(attach_once(world, spec));
        EXPECT_TRUE(world.logs.contains(id));
        EXPECT_TRUE(recover_in_good_weather(world, id));
        detach_in_good_weather(world, id);
        EXPECT_EQ(world.picture(), sim_world().picture());
      });
  EXPECT_GT(runs, 50);
}

TEST(IdentitySimTest, one_fault_beside_a_leftover) {
  const SimWorld world = with_leftover();
  run_attach("leftover", world, sim_spec(2), {}, {world.picture(), without_devices(world)});
}

TEST(IdentitySimTest, one_fault_with_a_path_that_shows_another_unit) {
  const SimWorld world = two_targets("stranger");
  VolumeSpec spec = spec_of_both();
  spec.expected_wwid = wwid_of(sim_identity(kUnit));
  run_attach("refused", world, spec, {}, {world.picture()});
}

// Whoever recovers takes back what the dead one has brought, but not from under him who uses it
// now.
// Keeps: D10
TEST(IdentitySimTest, a_recovery_after_another_has_attached_the_unit_takes_nothing_from_him) {
  const SimWorld start = two_targets(kUnit);
  const VolumeSpec spec = spec_of(kTarget);
  const std::string id = attachment_id(spec);
  int attached = 0;
  Choices choices;
  while (choices.next_run()) {
    SimWorld world = start;
    Faults faults(choices, 1);
    try {
      SimProcess dying(world, faults);
      (void)attach(dying.ctx(), dying.environment(), spec_of_both(), {});
      continue;
    } catch (const SimCrash&) {
    }
    if (!attach_once(world, spec)) continue;  // The dead one has told which unit it was at.
    ++attached;
    const auto devices = world.devices.size();
    SimProcess process(world);
    (void)recover(process.ctx(), process.environment());
    const Result<Attachment> now = show(process.ctx(), process.environment(), id);
    ASSERT_TRUE(now) << now.error().message();
    EXPECT_EQ(now->status, "attached");
    EXPECT_FALSE(now->degraded) << devices << " devices, now " << world.devices.size();
    detach_in_good_weather(world, id);
    (void)recover(process.ctx(), process.environment());
    EXPECT_EQ(world.picture(), start.picture());
  }
  EXPECT_GT(attached, 10);
}

// Its disk, if it could not be deleted, is found there by whoever attaches that unit; that it is
// his now only his log says.
// Keeps: D10
TEST(IdentitySimTest, one_fault_with_a_path_to_a_unit_that_is_attached_next) {
  const SimWorld world = two_targets("stranger");
  VolumeSpec spec = spec_of_both();
  spec.expected_wwid = wwid_of(sim_identity(kUnit));
  VolumeSpec next = spec_of(kOther);
  next.paths.front().portal = spec.paths.back().portal;
  int attached = 0;
  const int runs = walk(
      world, 1,
      [&](SimProcess& process, SimWorld&) {
        (void)attach(process.ctx(), process.environment(), spec, {});
        (void)attach(process.ctx(), process.environment(), next, {.multipath = Multipath::off});
      },
      [&](SimWorld& after, bool) {
        const bool is_attached = recover_in_good_weather(after, attachment_id(next));
        detach_in_good_weather(after, attachment_id(spec));
        if (is_attached) {
          ++attached;
          EXPECT_EQ(only_device(after).identity, sim_identity("stranger"));
          detach_in_good_weather(after, attachment_id(next));
        }
        EXPECT_EQ(after.picture(), world.picture());
      });
  std::printf("%-28s %7d runs, attached in %d\n", "refused, then attached", runs, attached);
  EXPECT_GT(runs, 50);
  EXPECT_GT(attached, 0);
}

TEST(IdentitySimTest, one_fault_while_a_path_is_expelled) {
  SimWorld world = two_targets(kUnit);
  attach_in_good_weather(world, spec_of_both(), {});
  world.dirty = {kUnit};
  world.targets[kOther][1] = "later";
  const std::string id = attachment_id(spec_of_both());
  const int runs = walk(
      world, 1,
      [&](SimProcess& process, SimWorld&) {
        (void)detach(process.ctx(), process.environment(), id, {});
      },
      [&](SimWorld& after, bool) {
        if (recover_in_good_weather(after, id)) detach_in_good_weather(after, id);
        EXPECT_TRUE(after.dirty.empty());
        EXPECT_EQ(after.picture(), two_targets(kUnit).picture());
      });
  std::printf("%-28s %7d runs\n", "expelled", runs);
  EXPECT_GT(runs, 50);
}

}  // namespace
}  // namespace hawser
