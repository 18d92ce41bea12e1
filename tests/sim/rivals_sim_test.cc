// Attachments that lead to the same unit, and are at work at the same time.
#include <functional>

#include <gtest/gtest.h>

#include "engine/join.h"
#include "sim/dice.h"
#include "sim/foreign.h"
#include "sim/process.h"
#include "sim/turns.h"
#include "sim/walk.h"

namespace hawser {
namespace {

// Each in a process of its own; who goes on when is drawn.
void two_at_once(SimWorld& world, int seed, const std::function<void(SimProcess&)>& one,
                 const std::function<void(SimProcess&)>& other) {
  Random random(static_cast<std::uint64_t>(seed));
  Dice order(random, 2U << random.below(5));
  Faults faults(order, 0);
  Turns turns(world, order, 1'000'000);
  SimProcess first(world, faults, &turns);
  SimProcess second(world, faults, &turns);
  turns.start([&] { one(first); });
  turns.start([&] { other(second); }, 1);
  turns.run();
}

bool can_attach(SimProcess& process, const VolumeSpec& spec) {
  return attach(process.ctx(), process.environment(), spec, {}).has_value();
}

// One of them at least is refused, and what it takes back is its own.
// Keeps: A1, D10
TEST(RivalsSimTest, of_two_at_once_whoever_is_refused_takes_nothing_from_the_other) {
  const SimWorld start = two_targets(kUnit);
  const VolumeSpec wide = spec_of_both();
  VolumeSpec narrow = spec_of(kOther);
  narrow.paths.front().portal = wide.paths.back().portal;
  int attached = 0;
  constexpr int kRuns = 2000;
  for (int seed = 0; seed < kRuns && !HasFailure(); ++seed) {
    SimWorld world = start;
    bool is_wide = false;
    bool is_narrow = false;
    two_at_once(
        world, seed, [&](SimProcess& process) { is_wide = can_attach(process, wide); },
        [&](SimProcess& process) { is_narrow = can_attach(process, narrow); });

    EXPECT_FALSE(is_wide && is_narrow) << "seed " << seed;
    attached += is_wide || is_narrow ? 1 : 0;
    EXPECT_EQ(world.devices.size(), is_wide ? 2U : is_narrow ? 1U : 0U) << "seed " << seed;
    EXPECT_EQ(world.maps.size(), is_wide || is_narrow ? 1U : 0U) << "seed " << seed;
    for (const VolumeSpec& spec : {wide, narrow})
      detach_in_good_weather(world, attachment_id(spec));
    EXPECT_EQ(world.picture(), start.picture()) << "seed " << seed;
  }
  std::printf("%-28s %7d runs, attached in %d\n", "two at once", kRuns, attached);
  EXPECT_GT(attached, kRuns / 2);
}

// One path to each of two targets, by the second of which `narrow` leads to the same unit.
struct Orphaned {
  SimWorld start = two_targets(kUnit);
  SimWorld world = start;
  VolumeSpec narrow = spec_of(kOther);
};

// A wide attach has died with the disk of `narrow` scanned, and did not know yet which unit it is.
Orphaned orphaned() {
  Orphaned made;
  VolumeSpec wide = made.narrow;
  wide.paths.push_back({.portal = {.host = "10.0.2.2"}, .target = kTarget, .lun = 1});
  SimProcess dying(made.world);
  Environment environment = dying.environment();
  environment.on_event = [](const Event& event) {
    if (event.name == "device.found") throw SimCrash{};
  };
  EXPECT_THROW((void)attach(dying.ctx(), environment, wide, {}), SimCrash);
  EXPECT_EQ(made.world.devices.size(), 1u);
  return made;
}

// What the dead one has scanned is there for the other to find.
// Keeps: D10
TEST(RivalsSimTest, who_recovers_a_dead_attach_takes_nothing_from_one_at_work) {
  const Orphaned orphan = orphaned();
  const std::string id = attachment_id(orphan.narrow);
  constexpr int kRuns = 2000;
  for (int seed = 0; seed < kRuns && !HasFailure(); ++seed) {
    SimWorld world = orphan.world;
    bool is_attached = false;
    two_at_once(
        world, seed, [&](SimProcess& process) { is_attached = can_attach(process, orphan.narrow); },
        [](SimProcess& process) { (void)recover(process.ctx(), process.environment()); });

    EXPECT_TRUE(is_attached) << "seed " << seed;
    EXPECT_EQ(world.devices.size(), 1u) << "seed " << seed;
    EXPECT_EQ(world.maps.size(), 1u) << "seed " << seed;
    EXPECT_TRUE(recover_in_good_weather(world, id));
    detach_in_good_weather(world, id);
    EXPECT_EQ(world.picture(), orphan.start.picture()) << "seed " << seed;
  }
}

// It is refused, and stays.
// Keeps: D10
TEST(RivalsSimTest, who_recovers_a_dead_attach_takes_nothing_from_a_detach_that_waits) {
  const Orphaned orphan = orphaned();
  SimWorld world = orphan.world;
  attach_in_good_weather(world, orphan.narrow, {.multipath = Multipath::off});
  world.open_nodes = {only_device(world).name};
  GoodWeather weather;
  Faults faults(weather, 0);
  Turns turns(world, weather, 0);
  SimProcess first(world, faults, &turns);
  SimProcess second(world, faults, &turns);
  const std::string id = attachment_id(orphan.narrow);
  bool is_waiting = false;
  Environment environment = first.environment();
  environment.on_event = [&](const Event& event) { is_waiting |= event.name == "detach.unused"; };
  turns.start([&] { EXPECT_FALSE(detach(first.ctx(), environment, id, {})); });
  turns.start([&] {
    turns.wait(TimePoint::max(), [&] { return is_waiting; });
    (void)recover(second.ctx(), second.environment());
  });
  turns.run();

  EXPECT_TRUE(is_waiting);
  ASSERT_EQ(world.devices.size(), 1u);
  world.open_nodes.clear();
  detach_in_good_weather(world, id);
  EXPECT_EQ(world.picture(), orphan.start.picture());
}

// What is behind the late portal of `wide` is another volume, which `narrow` is for.
struct Refused {
  SimWorld start = two_targets("stranger");
  SimWorld world = start;
  VolumeSpec wide = spec_of_both();
  VolumeSpec narrow = spec_of(kOther);
};

Refused refused() {
  Refused made;
  made.narrow.paths.front().portal = made.wide.paths.back().portal;
  made.world.dead_portals = {"10.0.2.2"};
  attach_in_good_weather(made.world, made.wide, {});
  made.world.dead_portals.clear();
  return made;
}

// `work` is to take nothing from who attaches `narrow`: its disk is there for him to find as long
// as a join looks at it.
void run_beside_an_attach(const Refused& refused, const SimWorld& start,
                          const std::function<void(SimProcess&)>& work) {
  constexpr int kRuns = 2000;
  for (int seed = 0; seed < kRuns && !::testing::Test::HasFailure(); ++seed) {
    SimWorld world = start;
    bool is_attached = false;
    two_at_once(world, seed, work,
                [&](SimProcess& process) { is_attached = can_attach(process, refused.narrow); });

    EXPECT_TRUE(is_attached) << "seed " << seed;
    EXPECT_EQ(world.devices.size(), 2u) << "seed " << seed;
    EXPECT_EQ(world.maps.size(), 2u) << "seed " << seed;
    EXPECT_TRUE(recover_in_good_weather(world, attachment_id(refused.wide)));
    for (const VolumeSpec& spec : {refused.wide, refused.narrow})
      detach_in_good_weather(world, attachment_id(spec));
    EXPECT_EQ(world.picture(), refused.start.picture()) << "seed " << seed;
  }
}

Result<Attachment> join_wide(SimProcess& process, const Environment& environment,
                             const Refused& refused) {
  return join(process.ctx(), environment, attachment_id(refused.wide), {});
}

// Keeps: D10
TEST(RivalsSimTest, a_join_takes_nothing_from_who_attaches_what_it_refuses) {
  const Refused start = refused();
  run_beside_an_attach(start, start.world, [&](SimProcess& process) {
    (void)join_wide(process, process.environment(), start);
  });
}

// Keeps: D10
TEST(RivalsSimTest, who_recovers_a_dead_join_takes_nothing_from_who_attaches_what_it_refuses) {
  const Refused start = refused();
  SimWorld world = start.world;
  SimProcess dying(world);
  Environment environment = dying.environment();
  environment.on_event = [](const Event& event) {
    if (event.name == "device.found") throw SimCrash{};
  };
  EXPECT_THROW((void)join_wide(dying, environment, start), SimCrash);
  ASSERT_EQ(world.devices.size(), 2u);
  run_beside_an_attach(start, world, [](SimProcess& process) {
    (void)recover(process.ctx(), process.environment());
  });
}

}  // namespace
}  // namespace hawser
