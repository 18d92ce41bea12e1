// Attachments that lead to the same unit, and are at work at the same time.
#include <gtest/gtest.h>

#include "sim/dice.h"
#include "sim/foreign.h"
#include "sim/process.h"
#include "sim/turns.h"
#include "sim/walk.h"

namespace hawser {
namespace {

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
    Random random(static_cast<std::uint64_t>(seed));
    Dice order(random, 2U << random.below(5));
    Faults faults(order, 0);
    Turns turns(world, order, 1'000'000);
    SimProcess first(world, faults, &turns);
    SimProcess second(world, faults, &turns);
    bool is_wide = false;
    bool is_narrow = false;
    turns.start([&] { is_wide = attach(first.ctx(), first.environment(), wide, {}).has_value(); });
    turns.start(
        [&] { is_narrow = attach(second.ctx(), second.environment(), narrow, {}).has_value(); }, 1);
    turns.run();

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

}  // namespace
}  // namespace hawser
