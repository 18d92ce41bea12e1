// Everything that can go wrong, once and twice, while a volume takes over a new size. Whatever
// happened, the map has its old length or its new one, is not suspended, and no path in it is too
// small for it.
#include "engine/join.h"
#include "engine/resize.h"
#include "sim/walk.h"

namespace hawser {
namespace {

constexpr std::uint64_t kOld = 2048;
constexpr std::uint64_t kNew = 4096;

SimWorld attached_then_grown(int portals, const AttachOptions& options = {}) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(portals), options);
  world.unit_sectors[kUnit] = kNew;
  return world;
}

Result<ResizeReport> resize_in_good_weather(SimWorld& world, int portals,
                                            const ResizeOptions& options = {}) {
  SimProcess process(world);
  return resize(process.ctx(), process.environment(), attachment_id(sim_spec(portals)), options);
}

Attachment join_in_good_weather(SimWorld& world, int portals) {
  SimProcess process(world);
  const Result<Attachment> joined =
      join(process.ctx(), process.environment(), attachment_id(sim_spec(portals)), {});
  EXPECT_TRUE(joined) << joined.error().message();
  return joined ? *joined : Attachment{};
}

const Map& only_map(const SimWorld& world) { return world.maps.begin()->second; }

void expect_whole(const SimWorld& world) {
  ASSERT_EQ(world.maps.size(), 1u);
  EXPECT_FALSE(only_map(world).is_suspended);
  EXPECT_TRUE(only_map(world).sectors == kOld || only_map(world).sectors == kNew);
  EXPECT_FALSE(only_map(world).paths.empty());
  for (const auto& [name, device] : world.devices) {
    if (!only_map(world).has_path(device.dev)) continue;
    EXPECT_GE(device.sectors, only_map(world).sectors) << name;
  }
}

void run(const char* name, const SimWorld& start, int portals, int budget) {
  SCOPED_TRACE(name);
  const std::string id = attachment_id(sim_spec(portals));
  int resized = 0;
  const int runs = walk(
      start, budget,
      [&](SimProcess& process, SimWorld& world) {
        const Result<ResizeReport> done = resize(process.ctx(), process.environment(), id, {});
        if (done) {
          EXPECT_EQ(only_map(world).sectors, kNew);
          EXPECT_EQ(done->size_bytes, kNew * 512);
        } else if (done.error().outcome() == Outcome::unchanged) {
          EXPECT_EQ(only_map(world).sectors, kOld) << done.error().message();
          EXPECT_EQ(only_map(world).paths.size(), only_map(start).paths.size())
              << done.error().message();
        }
        // In the same process, too, nothing may be left hanging.
        if (budget == 1) expect_whole(world);
      },
      [&](SimWorld& world, bool) {
        world.dead_portals.clear();
        EXPECT_TRUE(recover_in_good_weather(world, id));
        expect_whole(world);
        if (only_map(world).sectors == kNew) ++resized;
        const Result<ResizeReport> done = resize_in_good_weather(world, portals);
        EXPECT_TRUE(done) << done.error().message();
        EXPECT_EQ(only_map(world).sectors, kNew);
        EXPECT_FALSE(join_in_good_weather(world, portals).degraded);
        expect_whole(world);
        detach_in_good_weather(world, id);
        EXPECT_EQ(world.picture(), sim_world().picture());
      },
      budget == 1);
  std::printf("%-28s %7d runs, resized in %d\n", name, runs, resized);
  EXPECT_GT(runs, 50);
  EXPECT_GT(resized, 0);
  EXPECT_LT(resized, runs);
}

TEST(ResizeSimTest, one_fault_with_three_paths) { run("three", attached_then_grown(3), 3, 1); }

TEST(ResizeSimTest, two_faults_with_two_paths) { run("two_twice", attached_then_grown(2), 2, 2); }

TEST(ResizeSimTest, one_fault_with_a_path_that_is_down) {
  SimWorld world = attached_then_grown(3);
  world.dead_portals = {"10.0.2.2"};
  run("one_down", world, 3, 1);
}

TEST(ResizeSimTest, a_path_that_is_down_is_left_out_and_named_and_joined_later) {
  SimWorld world = attached_then_grown(3);
  world.dead_portals = {"10.0.2.2"};

  const Result<ResizeReport> done = resize_in_good_weather(world, 3);

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->old_size_bytes, kOld * 512);
  EXPECT_EQ(done->size_bytes, kNew * 512);
  EXPECT_EQ(only_map(world).paths.size(), 2u);
  EXPECT_FALSE(done->paths[0].error);
  EXPECT_TRUE(done->paths[1].error);
  ASSERT_EQ(done->warnings.size(), 1u);
  EXPECT_NE(done->warnings.front().find("10.0.2.2"), std::string::npos);
  expect_whole(world);

  world.dead_portals.clear();
  EXPECT_FALSE(join_in_good_weather(world, 3).degraded);
  EXPECT_EQ(only_map(world).paths.size(), 3u);
}

// A multipathd that comes to know of a disk only when that has the new size: it loads the map
// without it, until it is told of the disk again.
class LateMultipathd final : public SimHost {
 public:
  LateMultipathd(SimWorld& world, Faults& faults, std::stop_source& stop)
      : SimHost(world, faults, stop), world_(world) {}

  Status announce_size(const Ctx& ctx, const Map& map) override {
    Map& shown = world_.maps.at(map.uuid);
    shown.table = without_paths(shown.table, {disk_});
    std::erase_if(shown.paths, [&](const MapPathStatus& path) { return path.dev == disk_; });
    return SimHost::announce_size(ctx, map);
  }
  Result<PathVerdict> offer_path(const Ctx& ctx, const ScsiDevice& device) override {
    Map& shown = world_.maps.begin()->second;
    EXPECT_EQ(device.dev, disk_);
    EXPECT_EQ(device.sectors, shown.sectors);
    shown.table = with_path(shown.table, disk_);
    shown.paths.push_back({.dev = disk_, .is_active = true});
    return SimHost::offer_path(ctx, device);
  }

 private:
  SimWorld& world_;
  const DevT disk_ = world_.devices.rbegin()->second.dev;
};

// Keeps: R1
TEST(ResizeSimTest, a_path_that_multipathd_refused_for_its_size_is_offered_again) {
  SimWorld world = attached_then_grown(3);
  SimProcessOn<LateMultipathd> process(world);
  const Result<ResizeReport> done =
      resize(process.ctx(), process.environment(), attachment_id(sim_spec(3)), {});
  ASSERT_TRUE(done) << done.error().message();
  for (const PathReport& path : done->paths)
    EXPECT_EQ(path.state, "active");
  EXPECT_EQ(only_map(world).paths.size(), 3u);
  expect_whole(world);
}

TEST(ResizeSimTest, a_shrink_is_refused_unless_asked_for) {
  SimWorld world = attached_then_grown(2);
  world.unit_sectors[kUnit] = kOld / 2;

  const Result<ResizeReport> refused = resize_in_good_weather(world, 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::data_at_risk);
  EXPECT_EQ(only_map(world).sectors, kOld);

  const Result<ResizeReport> done = resize_in_good_weather(world, 2, {.allow_shrink = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(only_map(world).sectors, kOld / 2);
}

TEST(ResizeSimTest, a_size_that_is_the_same_changes_nothing) {
  SimWorld world = attached_then_grown(2);
  world.unit_sectors.clear();
  world.dead_portals = {"10.0.2.2"};

  const Result<ResizeReport> done = resize_in_good_weather(world, 2);

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->size_bytes, done->old_size_bytes);
  EXPECT_EQ(only_map(world).paths.size(), 2u);  // There are no mixed sizes to be kept out.
}

TEST(ResizeSimTest, a_path_that_is_down_and_too_small_is_left_out_though_the_size_is_the_same) {
  SimWorld world = attached_then_grown(2);
  world.unit_sectors.clear();
  world.dead_portals = {"10.0.2.2"};
  for (auto& [name, device] : world.devices) {
    if (world.sessions.at(device.sid).address == "10.0.2.2") device.sectors = kOld / 2;
  }

  const Result<ResizeReport> done = resize_in_good_weather(world, 2);

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(only_map(world).sectors, kOld);
  EXPECT_EQ(only_map(world).paths.size(), 1u);
}

TEST(ResizeSimTest, without_a_path_that_answers_nothing_is_changed) {
  SimWorld world = attached_then_grown(2);
  world.dead_portals = {"10.0.1.2", "10.0.2.2"};

  const Result<ResizeReport> done = resize_in_good_weather(world, 2);

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::unavailable);
  EXPECT_EQ(done.error().paths().size(), 2u);
  EXPECT_EQ(only_map(world).sectors, kOld);
  EXPECT_EQ(only_map(world).paths.size(), 2u);
}

// multipathd has not seen yet that they are back, or is not there.
// Keeps: R1
TEST(ResizeSimTest, what_is_queued_for_paths_that_are_back_is_not_lost) {
  SimWorld world = attached_then_grown(2);
  world.runs_multipathd = false;
  for (MapPathStatus& path : world.maps.begin()->second.paths)
    path.is_active = false;
  world.dirty = {kUnit};
  const Result<ResizeReport> done = resize_in_good_weather(world, 2);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(only_map(world).sectors, kNew);
  EXPECT_TRUE(world.lost.empty());
  EXPECT_TRUE(world.dirty.contains(kUnit));
}

// Keeps: R1
TEST(ResizeSimTest, no_map_is_left_without_a_path) {
  SimWorld world = attached_then_grown(2);
  Map& map = world.maps.begin()->second;
  map.table = without_paths(map.table, {map.paths.back().dev});
  const DevT in = map.paths.front().dev;
  map.paths.pop_back();
  const auto device = std::find_if(world.devices.begin(), world.devices.end(),
                                   [&](const auto& one) { return one.second.dev == in; });
  world.dead_portals = {world.sessions.at(device->second.sid).address};
  const Result<ResizeReport> done = resize_in_good_weather(world, 2);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::unavailable);
  EXPECT_EQ(done.error().outcome(), Outcome::unchanged);
  EXPECT_EQ(only_map(world).paths.size(), 1u);
  EXPECT_EQ(only_map(world).sectors, kOld);
}

TEST(ResizeSimTest, a_unit_that_is_another_one_now_is_not_taken_for_the_volume) {
  SimWorld world = attached_then_grown(2);
  world.targets[kTarget][1] = "stranger";
  world.unit_sectors["stranger"] = kNew;

  const Result<ResizeReport> done = resize_in_good_weather(world, 2);

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(only_map(world).sectors, kOld);
}

TEST(ResizeSimTest, a_path_that_leads_to_another_unit_is_taken_out_though_the_size_is_the_same) {
  constexpr const char* kOther = "iqn.2026-11.org.example:t2";
  SimWorld world = sim_world();
  world.targets[kOther] = {{1, kUnit}};
  VolumeSpec spec = sim_spec(2);
  spec.paths.back().target = kOther;
  attach_in_good_weather(world, spec, {});
  world.targets[kOther][1] = "stranger";
  SimProcess process(world);

  const Result<ResizeReport> done =
      resize(process.ctx(), process.environment(), attachment_id(spec), {});

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(only_map(world).paths.size(), 1u);
  ASSERT_TRUE(done->paths[1].error);
  EXPECT_EQ(done->paths[1].error->code(), Errc::identity_mismatch);
}

TEST(ResizeSimTest, a_bare_device_has_its_new_size) {
  SimWorld world = attached_then_grown(1, {.multipath = Multipath::off});

  const Result<ResizeReport> done = resize_in_good_weather(world, 1);

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->old_size_bytes, kOld * 512);
  EXPECT_EQ(done->size_bytes, kNew * 512);
}

}  // namespace
}  // namespace hawser
