// Who may write to a volume: read-only for us, or for everybody.
#include "sim/foreign.h"

namespace hawser {
namespace {

VolumeSpec read_only(VolumeSpec spec) {
  spec.access_mode = AccessMode::read_only;
  return spec;
}

// Keeps: A14
TEST(AccessSimTest, read_only_is_what_the_map_or_the_disk_becomes) {
  SimWorld world = sim_world();
  ASSERT_TRUE(attach_once(world, read_only(sim_spec(2))));
  EXPECT_TRUE(world.maps.begin()->second.is_read_only);
  ASSERT_TRUE(detach_once(world, attachment_id(sim_spec(2))));

  ASSERT_TRUE(attach_once(world, read_only(sim_spec(2)), {.multipath = Multipath::off}));
  EXPECT_TRUE(only_device(world).read_only);
}

// The array has protected it since.
TEST(AccessSimTest, what_is_shown_is_what_the_device_is_and_not_what_was_asked_for) {
  for (const Multipath multipath : {Multipath::required, Multipath::off}) {
    SimWorld world = sim_world();
    attach_in_good_weather(world, sim_spec(1), {.multipath = multipath});
    for (auto& [uuid, map] : world.maps)
      map.is_read_only = true;
    for (auto& [name, device] : world.devices)
      device.read_only = true;
    SimProcess process(world);
    const auto shown = show(process.ctx(), process.environment(), attachment_id(sim_spec(1)));
    ASSERT_TRUE(shown) << shown.error().message();
    EXPECT_TRUE(shown->read_only);
    EXPECT_EQ(shown->warnings.size(), 1u);
    EXPECT_TRUE(attach_once(world, sim_spec(1), {.multipath = multipath}));  // As it was asked for.
  }
}

// Keeps: A14
TEST(AccessSimTest, what_somebody_else_has_open_is_not_made_read_only) {
  SimWorld with_disk = sim_world();
  add_foreign(with_disk, kTarget, "10.0.1.2", 1);
  SimWorld with_map = with_disk;
  map_foreign(with_map, kUnit, only_device(with_map).dev);
  with_map.open_nodes = {"dm-" + std::to_string(with_map.maps.begin()->second.minor)};
  with_disk.open_nodes = {only_device(with_disk).name};
  for (SimWorld& world : std::vector<SimWorld>{with_disk, with_map}) {
    const bool is_map = !world.maps.empty();
    const std::string before = world.picture();
    const Result<Attachment> made =
        attach_once(world, read_only(sim_spec(1)),
                    {.multipath = is_map ? Multipath::required : Multipath::off});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::busy) << made.error().message();
    EXPECT_EQ(world.picture(), before);
  }
}

// Keeps: A14
TEST(AccessSimTest, a_write_protected_unit_is_not_attached_for_writing) {
  SimWorld world = sim_world();
  world.write_protected = {kUnit};
  const Result<Attachment> refused = attach_once(world, sim_spec(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::permission_denied);
  EXPECT_EQ(refused.error().stage(), Stage::identify);
  EXPECT_EQ(world.picture(), sim_world().picture());
  EXPECT_TRUE(attach_once(world, read_only(sim_spec(2))));
}

// Somebody else's map of it, that is read-only.
// Keeps: A14
TEST(AccessSimTest, a_map_that_is_read_only_is_not_attached_for_writing) {
  SimWorld world = sim_world();
  add_foreign(world, kTarget, "10.0.1.2", 1);
  map_foreign(world, kUnit, only_device(world).dev);
  world.maps.begin()->second.is_read_only = true;
  const std::string before = world.picture();
  const Result<Attachment> refused = attach_once(world, sim_spec(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::permission_denied) << refused.error().message();
  EXPECT_EQ(refused.error().stage(), Stage::identify);
  EXPECT_EQ(world.picture(), before);
}

// While it is waited for that nobody has it open, it goes, and its number is another's.
// Keeps: A14, D10
TEST(AccessSimTest, what_takes_the_number_of_a_map_or_a_disk_is_not_made_read_only) {
  for (const Multipath multipath : {Multipath::required, Multipath::off}) {
    SimWorld world = sim_world();
    add_foreign(world, kTarget, "10.0.1.2", 1);
    if (multipath == Multipath::required) map_foreign(world, kUnit, only_device(world).dev);
    SimProcess process(world);
    Environment environment = process.environment();
    bool is_replaced = false;
    environment.on_event = [&](const Event& event) {
      if (event.name != "access.read_only") return;
      is_replaced = true;
      if (multipath == Multipath::off) {
        world.devices.begin()->second.hctl.lun = 7;
        return;
      }
      std::swap(world.maps.begin()->second.minor, world.next_minor);
      map_foreign(world, "another", {.major = 8, .minor = 200});
    };
    const Result<Attachment> made =
        attach(process.ctx(), environment, read_only(sim_spec(1)), {.multipath = multipath});
    EXPECT_TRUE(is_replaced);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::busy) << made.error().message();
    for (const auto& [uuid, map] : world.maps)
      EXPECT_FALSE(map.is_read_only) << uuid;
    EXPECT_FALSE(only_device(world).read_only);
  }
}

TEST(AccessSimTest, one_fault_with_a_read_only_map) {
  run_attach("read_only_map", sim_world(), read_only(sim_spec(2)), {}, {sim_world().picture()});
}

TEST(AccessSimTest, one_fault_with_a_read_only_map_that_was_there) {
  SimWorld world = sim_world();
  add_foreign(world, kTarget, "10.0.1.2", 1);
  map_foreign(world, kUnit, only_device(world).dev);
  SimWorld detached = world;  // All that belongs to the volume goes with it.
  detached.maps.clear();
  run_attach("read_only_theirs", world, read_only(sim_spec(2)), {},
             {world.picture(), without_devices(detached)});
}

TEST(AccessSimTest, one_fault_with_a_read_only_disk_that_was_there) {
  SimWorld world = sim_world();
  add_foreign(world, kTarget, "10.0.1.2", 1);
  run_attach("read_only_disk", world, read_only(sim_spec(1)), {.multipath = Multipath::off},
             {world.picture(), without_devices(world)});
}

}  // namespace
}  // namespace hawser
