// Everything that can go wrong, once and twice, while a volume is detached. Afterwards it is still
// attached as a whole, or gone without a trace; and data is never given up silently.
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

TEST(DetachSimTest, a_lun_that_shows_another_unit_now_is_left_alone) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {.multipath = Multipath::off});
  world.targets[kTarget][1] = "stranger";
  world.devices.begin()->second.identity = sim_identity("stranger");

  detach_in_good_weather(world, attachment_id(sim_spec(1)));

  EXPECT_EQ(world.devices.size(), 1u);
  EXPECT_EQ(world.sessions.size(), 1u);  // It has a device that is not ours.
}

}  // namespace
}  // namespace hawser
