// A disk that somebody uses is not taken from him: neither by a detach, over whose map the kernel
// would let it go, nor by whoever takes back what a dead process has brought.
#include "sim/foreign.h"

namespace hawser {
namespace {

// What is there after each death of `work` that leaves a disk behind.
void after_each_death(const SimWorld& start, const std::function<void(SimProcess&)>& work,
                      const std::function<void(SimWorld&)>& check) {
  int left = 0;
  Choices choices;
  while (choices.next_run()) {
    SimWorld world = start;
    Faults faults(choices, 1);
    try {
      SimProcess process(world, faults);
      work(process);
      continue;
    } catch (const SimCrash&) {
    }
    if (world.devices.empty()) continue;
    ++left;
    check(world);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(left, 5);
}

bool has_committed(const SimWorld& world, const std::string& id) {
  return world.logs.at(id).back().type == RecordType::commit;
}

void expect_busy(SimWorld& world) {
  const Result<RecoverReport> refused = recover_once(world);
  ASSERT_TRUE(refused);
  ASSERT_EQ(refused->failed.size(), 1u);
  EXPECT_EQ(refused->failed.front().error.code(), Errc::busy);
}

// A logical volume, say: what is stacked on a path does not have the map open.
// Keeps: D7
TEST(InUseSimTest, a_detach_is_refused_over_what_is_stacked_on_a_path) {
  for (const Multipath multipath : {Multipath::preferred, Multipath::off}) {
    SimWorld world = sim_world();
    const VolumeSpec spec = sim_spec(multipath == Multipath::off ? 1 : 2);
    attach_in_good_weather(world, spec, {.multipath = multipath});
    const ScsiDevice disk = world.devices.begin()->second;
    if (multipath == Multipath::off) map_foreign(world, kUnit, disk.dev);
    world.stacked_nodes = {disk.name};
    const std::string before = world.picture();

    const Result<DetachReport> refused = detach_once(world, attachment_id(spec));

    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::busy) << refused.error().message();
    EXPECT_EQ(world.picture(), before);
  }
}

// Keeps: A8
TEST(InUseSimTest, a_disk_that_something_is_stacked_on_becomes_no_path) {
  SimWorld world = sim_world();
  add_foreign(world, kTarget, "10.0.1.2", 1);
  world.stacked_nodes = {only_device(world).name};
  const std::string before = world.picture();
  SimProcess process(world);

  const Result<Attachment> refused = attach(process.ctx(), process.environment(), sim_spec(1), {});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::busy) << refused.error().message();
  EXPECT_EQ(world.picture(), before);
}

// A multipathd that lags takes it for the path that had its name before.
SimWorld with_a_strangers_disk_in_the_map() {
  SimWorld world = sim_world();
  world.targets[kTarget][5] = "stranger";
  attach_in_good_weather(world, sim_spec(2), {});
  add_foreign(world, kTarget, "10.0.3.2", 5);
  const auto theirs = std::find_if(world.devices.begin(), world.devices.end(),
                                   [](const auto& one) { return one.second.hctl.lun == 5; });
  HAWSER_ASSERT(theirs != world.devices.end());
  world.maps.begin()->second.paths.push_back({.dev = theirs->second.dev, .is_active = true});
  world.open_nodes = {theirs->second.name};
  return world;
}

bool has_theirs_only(const SimWorld& world) {
  return world.maps.empty() && world.devices.size() == 1 && only_device(world).hctl.lun == 5;
}

// Keeps: D10
TEST(InUseSimTest, a_strangers_disk_in_the_map_leaves_the_map_and_stays) {
  SimWorld world = with_a_strangers_disk_in_the_map();
  const Result<DetachReport> done = detach_once(world, attachment_id(sim_spec(2)));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(has_theirs_only(world));
}

// Keeps: D9, D10
TEST(InUseSimTest, a_strangers_disk_stays_whoever_dies_over_it) {
  const std::string id = attachment_id(sim_spec(2));
  for (const bool force : {false, true}) {
    after_each_death(
        with_a_strangers_disk_in_the_map(),
        [&](SimProcess& process) {
          (void)detach(process.ctx(), process.environment(), id, {.force = force});
        },
        [&](SimWorld& world) {
          EXPECT_TRUE(recover_once(world));
          EXPECT_TRUE(detach_once(world, id));
          EXPECT_TRUE(has_theirs_only(world));
        });
  }
}

// Keeps: D7, D9
TEST(InUseSimTest, a_recovery_takes_no_disk_from_who_uses_it) {
  const VolumeSpec spec = sim_spec(1);
  const auto begin = [&](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), spec, {.multipath = Multipath::off});
  };
  for (const bool is_mounted : {true, false}) {
    after_each_death(sim_world(), begin, [&](SimWorld& world) {
      std::set<std::string>& used = is_mounted ? world.held_nodes : world.open_nodes;
      used = {world.devices.begin()->second.name};
      const bool is_attached = has_committed(world, attachment_id(spec));
      if (!is_attached) expect_busy(world);
      ASSERT_EQ(world.devices.size(), 1u);
      used.clear();

      EXPECT_TRUE(recover_once(world));
      detach_in_good_weather(world, attachment_id(spec));
      EXPECT_EQ(world.picture(), sim_world().picture());
    });
  }
}

// Its map is gone already, and a disk of it can be mounted.
// Keeps: D7, D9
TEST(InUseSimTest, a_recovery_of_a_detach_takes_no_disk_from_who_uses_it) {
  const std::string id = attachment_id(sim_spec(2));
  SimWorld start = sim_world();
  attach_in_good_weather(start, sim_spec(2), {});
  int without_map = 0;
  const auto begin = [&](SimProcess& process) {
    (void)detach(process.ctx(), process.environment(), id, {});
  };
  for (const bool is_mounted : {true, false}) {
    after_each_death(start, begin, [&](SimWorld& world) {
      if (!world.maps.empty()) return;
      ++without_map;
      std::set<std::string>& used = is_mounted ? world.held_nodes : world.open_nodes;
      const std::string disk = world.devices.begin()->first;
      used = {disk};
      expect_busy(world);
      EXPECT_TRUE(world.devices.contains(disk));
      used.clear();

      EXPECT_FALSE(recover_in_good_weather(world, id));
      EXPECT_EQ(world.picture(), sim_world().picture());
    });
  }
  EXPECT_GT(without_map, 3);
}

// Somebody deleted the disk, and scanned what the array has put there since. The map that was made
// of it goes all the same.
// Keeps: D9, D10
TEST(InUseSimTest, a_recovery_leaves_what_is_another_unit_at_the_place_by_now) {
  for (const Multipath multipath : {Multipath::preferred, Multipath::off}) {
    const VolumeSpec spec = sim_spec(1);
    const auto begin = [&](SimProcess& process) {
      (void)attach(process.ctx(), process.environment(), spec, {.multipath = multipath});
    };
    int replaced = 0;
    after_each_death(sim_world(), begin, [&](SimWorld& world) {
      const auto& records = world.logs.at(attachment_id(spec));
      const auto is_known = [](const Record& record) {
        return record.type == RecordType::done && record.step == "device";
      };
      if (std::none_of(records.begin(), records.end(), is_known)) return;
      if (has_committed(world, attachment_id(spec))) return;
      ++replaced;
      world.devices.begin()->second.identity = sim_identity("stranger");

      EXPECT_TRUE(recover_once(world));

      EXPECT_EQ(only_device(world).identity, sim_identity("stranger"));
      EXPECT_TRUE(world.maps.empty());
      EXPECT_TRUE(world.logs.empty());
    });
    EXPECT_GT(replaced, 3);
  }
}

// The disk of a path that was refused for what it is, and that somebody has put to use, is in
// nobody's way.
// Keeps: D7
TEST(InUseSimTest, a_refused_disk_that_somebody_uses_is_left_to_him) {
  const VolumeSpec spec = spec_of_both();
  const auto begin = [&](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), spec, {.min_paths = 2});
  };
  int used = 0;
  after_each_death(two_targets("stranger"), begin, [&](SimWorld& world) {
    const auto theirs = std::find_if(
        world.devices.begin(), world.devices.end(),
        [](const auto& one) { return one.second.identity == sim_identity("stranger"); });
    const auto& records = world.logs.at(attachment_id(spec));
    const bool is_known = std::any_of(records.begin(), records.end(), [](const Record& record) {
      return record.step == "identity" && record.fields.at("wwid") == wwid_of(sim_identity(kUnit));
    });
    if (theirs == world.devices.end() || !is_known) return;
    ++used;
    world.stacked_nodes = {theirs->first};

    EXPECT_FALSE(recover_in_good_weather(world, attachment_id(spec)));

    EXPECT_EQ(only_device(world).identity, sim_identity("stranger"));
    EXPECT_TRUE(world.maps.empty());
  });
  EXPECT_GT(used, 0);
}

}  // namespace
}  // namespace hawser
