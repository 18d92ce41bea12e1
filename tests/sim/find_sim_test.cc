// Which attachment a specification means, and whether a log of its id is its own.
#include "engine/find.h"
#include "engine/join.h"
#include "sim/foreign.h"

namespace hawser {
namespace {

Result<std::string> find_once(SimWorld& world, const VolumeSpec& spec) {
  SimProcess process(world);
  return find_attachment(process.ctx(), process.environment(), spec);
}

// An array that names the targets of the ports that are up.
// Keeps: D10
TEST(FindSimTest, a_volume_that_is_named_by_fewer_targets_now_is_told_from_one_that_is_not_there) {
  SimWorld world = two_targets(kUnit);
  const VolumeSpec wide = spec_of_both();
  const VolumeSpec narrow = spec_of(kOther);
  attach_in_good_weather(world, wide, {});
  attach_in_good_weather(world, spec_of(kTarget, 2), {});

  const Result<std::string> found = find_once(world, narrow);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::busy);
  EXPECT_NE(found.error().message().find(attachment_id(wide)), std::string::npos);
  const std::vector<VolumeSpec> others{wide, spec_of(kTarget, 2), spec_of(kTarget, 3)};
  for (const VolumeSpec& spec : others) {
    const Result<std::string> own = find_once(world, spec);
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(*own, attachment_id(spec));
  }

  detach_in_good_weather(world, attachment_id(wide));
  EXPECT_TRUE(find_once(world, narrow));
}

TEST(FindSimTest, nothing_of_an_earlier_boot_is_in_the_way) {
  SimWorld world = two_targets(kUnit);
  attach_in_good_weather(world, spec_of_both(), {});
  world.reboot();
  EXPECT_TRUE(find_once(world, spec_of(kOther)));
}

// An id is a hash, and whoever chooses the name of a target can look for one with the same.
// Keeps: D10
TEST(FindSimTest, a_log_of_another_volume_is_not_taken_for_it) {
  SimWorld world = two_targets("another");
  attach_in_good_weather(world, spec_of(kTarget), {});
  world.logs[attachment_id(spec_of(kOther))] = world.logs[attachment_id(spec_of(kTarget))];
  const std::string before = world.picture();

  const Result<Attachment> attached = attach_once(world, spec_of(kOther));
  const Result<std::string> found = find_once(world, spec_of(kOther));

  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code(), Errc::identity_mismatch) << attached.error().message();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::identity_mismatch);
  EXPECT_EQ(world.picture(), before);
}

}  // namespace
}  // namespace hawser
