// Attaches of a volume that is attached already, or was and is gone from the kernel.
#include "sim/foreign.h"

namespace hawser {
namespace {

TEST(AttachAgainSimTest, what_is_attached_is_not_handed_out_otherwise_than_it_is_asked_for) {
  VolumeSpec writable = sim_spec(2);
  VolumeSpec read_only = sim_spec(2);
  read_only.access_mode = AccessMode::read_only;
  const struct {
    VolumeSpec spec{};
    Multipath multipath = Multipath::preferred;
  } kinds[] = {{writable, Multipath::required},
               {writable, Multipath::off},
               {read_only, Multipath::required},
               {read_only, Multipath::off}};
  for (const auto& first : kinds) {
    SimWorld world = sim_world();
    attach_in_good_weather(world, first.spec, {.multipath = first.multipath});
    for (const auto& second : kinds) {
      const std::string before = world.picture();
      SimProcess process(world);
      const Result<Attachment> again = attach(process.ctx(), process.environment(), second.spec,
                                              {.multipath = second.multipath});
      const bool is_same =
          first.spec.access_mode == second.spec.access_mode && first.multipath == second.multipath;
      EXPECT_EQ(again.has_value(), is_same);
      if (!again) {
        EXPECT_EQ(again.error().code(), Errc::busy) << again.error().message();
      }
      EXPECT_EQ(world.picture(), before);
    }
  }
}

// Keeps: A1
TEST(AttachAgainSimTest, a_volume_whose_session_iscsid_is_taking_over_is_attached_already) {
  SimWorld world = sim_world();
  const AttachOptions options{.multipath = Multipath::off};
  attach_in_good_weather(world, sim_spec(1), options);
  const std::string kept = world.picture();
  world.orphans = {1};
  world.orphans_end_ms = world.uptime_ms + 100'000;
  world.dirty = {kUnit};

  const Result<Attachment> again = attach_once(world, sim_spec(1), options);

  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->already_attached);
  EXPECT_EQ(world.picture(), kept);
}

// Its session was logged out by hand and in again, and somebody uses the disk that came with that.
// Keeps: D7
TEST(AttachAgainSimTest, what_is_left_of_an_attachment_that_is_gone_is_not_taken_from_who_uses_it) {
  for (const bool is_mounted : {true, false}) {
    SimWorld world = sim_world();
    const AttachOptions options{.multipath = Multipath::off};
    attach_in_good_weather(world, sim_spec(1), options);
    world.sessions.clear();
    world.devices.clear();
    add_foreign(world, kTarget, "10.0.1.2", 1);
    std::set<std::string>& used = is_mounted ? world.held_nodes : world.open_nodes;
    used.insert(only_device(world).name);

    const Result<Attachment> refused = attach_once(world, sim_spec(1), options);

    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::busy) << refused.error().message();
    EXPECT_EQ(refused.error().outcome(), Outcome::unchanged);
    EXPECT_EQ(world.devices.size(), 1u);
  }
}

// On a host with many processes it takes long to see that.
TEST(AttachAgainSimTest, what_is_left_of_an_attachment_that_is_gone_is_in_nobodys_way) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(4), {});
  world.maps.clear();
  world.use_look_ms = 1000;
  attach_in_good_weather(world, sim_spec(4), {});
  EXPECT_EQ(world.devices.size(), 4u);
}

}  // namespace
}  // namespace hawser
