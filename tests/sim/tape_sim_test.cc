// Units that are no disks, such as a tape, an array's controller, or nothing: named in a
// specification, or beside a volume.
#include <gtest/gtest.h>

#include "sim/walk.h"

namespace hawser {
namespace {

constexpr std::uint16_t kTapeLun = 3;

// A tape, and a volume on the sessions to its target, which stay when the attach of the tape fails.
SimWorld with_tape() {
  SimWorld world = sim_world();
  world.targets[kTarget][kTapeLun] = "tape";
  world.tape_units = {"tape"};
  attach_in_good_weather(world, sim_spec(2, 2), {});
  return world;
}

// An attach of that LUN is refused, with `code` if nothing else goes wrong, and the host is as it
// was whatever goes wrong.
void expect_refused(const SimWorld& start, Errc code) {
  SimWorld calm = start;
  const Result<Attachment> refused = attach_once(calm, sim_spec(2, kTapeLun));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), code) << refused.error().message();
  EXPECT_EQ(calm.picture(), start.picture());

  const int runs = walk(
      start, 1,
      [&](SimProcess& process, SimWorld& world) {
        const Result<Attachment> made =
            attach(process.ctx(), process.environment(), sim_spec(2, kTapeLun), {});
        ASSERT_FALSE(made);
        if (made.error().outcome() == Outcome::unchanged) {
          EXPECT_EQ(world.picture(), start.picture());
        }
      },
      [&](SimWorld& world, bool) {
        EXPECT_FALSE(recover_in_good_weather(world, attachment_id(sim_spec(2, kTapeLun))));
        EXPECT_EQ(world.picture(), start.picture());
      },
      true);
  EXPECT_GT(runs, 50);
}

// Keeps: A1
TEST(TapeSimTest, what_an_attach_has_scanned_and_is_no_disk_is_taken_back) {
  expect_refused(with_tape(), Errc::unsupported);
}

// Somebody's tape may be in use.
// Keeps: A1
TEST(TapeSimTest, what_was_there_before_and_is_no_disk_is_left_alone) {
  SimWorld start = with_tape();
  for (const auto& [sid, session] : start.sessions)
    start.odd_units[session.unit(kTapeLun)] = UnitKind::other;
  expect_refused(start, Errc::unsupported);
}

// A target that answers for LUNs that it does not map: whoever looked too early finds them vacant.
SimWorld with_vague_target() {
  SimWorld world = sim_world();
  world.vague_targets = {kTarget};
  attach_in_good_weather(world, sim_spec(2, 2), {});
  return world;
}

// Keeps: A1
TEST(TapeSimTest, a_lun_that_is_vacant_leaves_nothing) {
  expect_refused(with_vague_target(), Errc::not_found);
}

// The kernel does not look again where nothing was.
// Keeps: A4
TEST(TapeSimTest, a_lun_that_was_vacant_when_somebody_looked_is_looked_at_again) {
  SimWorld world = with_vague_target();
  for (const auto& [sid, session] : world.sessions)
    world.odd_units[session.unit(1)] = UnitKind::vacant;

  const Result<Attachment> made = attach_once(world, sim_spec(2), {.scan_tries = 1});

  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->paths.size(), 2u);
  EXPECT_TRUE(world.odd_units.empty());
}

// Keeps: A4
TEST(TapeSimTest, a_lun_that_is_mapped_between_two_scans_is_found) {
  SimWorld world = with_vague_target();
  world.targets[kTarget].erase(1);
  const auto map_after_a_look = [&](Faults&) {
    if (!world.odd_units.empty()) world.targets[kTarget][1] = kUnit;
  };
  std::optional<Result<Attachment>> made;
  in_turns(world, map_after_a_look, [&](SimProcess& process) {
    made = attach(process.ctx(), process.environment(), sim_spec(1), {.scan_tries = 3});
  });
  ASSERT_TRUE(*made) << made->error().message();
}

// An attach that one path was enough for, while the scan of the other was under way: it brings a
// tape when the volume is detached, or somebody has scanned that before.
// Keeps: D2, D10
TEST(TapeSimTest, a_scan_that_was_left_behind_is_taken_back_by_a_detach_but_not_a_tape_of_before) {
  SimWorld world = with_tape();
  attach_in_good_weather(world, sim_spec(1), {});
  std::vector<Record>& log = world.logs.at(attachment_id(sim_spec(1)));
  const std::uint32_t sid = world.sessions.begin()->first;
  log.push_back(
      {.type = RecordType::intent,
       .step = std::string(step::kDevice),
       .number = 90,
       .fields = {
           {"sid", std::to_string(sid)}, {"lun", std::to_string(kTapeLun)}, {"existed", "0"}}});
  SimWorld other = world;
  other.odd_units[other.sessions.at(sid).unit(kTapeLun)] = UnitKind::other;

  detach_in_good_weather(world, attachment_id(sim_spec(1)));
  detach_in_good_weather(other, attachment_id(sim_spec(1)));

  EXPECT_TRUE(world.odd_units.empty());
  EXPECT_EQ(other.odd_units.size(), 1u);
}

// Keeps: D8
TEST(TapeSimTest, a_session_that_has_a_unit_without_a_disk_besides_stays) {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(1), {});
  const std::uint32_t sid = world.sessions.begin()->first;
  world.odd_units[world.sessions[sid].unit(7)] = UnitKind::other;

  const Result<DetachReport> done = detach_once(world, attachment_id(sim_spec(1)));

  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(world.sessions.contains(sid));
  EXPECT_TRUE(world.devices.empty());
  ASSERT_EQ(done->warnings.size(), 1u);
  EXPECT_NE(done->warnings.front().find("unit "), std::string::npos) << done->warnings.front();
}

// A disk of ours that is still to be deleted, say, when its block device is gone.
TEST(TapeSimTest, a_unit_of_ours_without_a_disk_keeps_no_session) {
  const SimWorld before = sim_world();
  SimWorld world = before;
  attach_in_good_weather(world, sim_spec(1), {});
  world.odd_units[world.sessions.begin()->second.unit(1)] = UnitKind::other;

  detach_in_good_weather(world, attachment_id(sim_spec(1)));

  EXPECT_EQ(world.picture(), before.picture());
}

}  // namespace
}  // namespace hawser
