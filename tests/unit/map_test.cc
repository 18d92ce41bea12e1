#include "model/map.h"

#include <gtest/gtest.h>

namespace hawser {
namespace {

constexpr DevT kA{.major = 8, .minor = 0};
constexpr DevT kB{.major = 8, .minor = 16};
constexpr DevT kC{.major = 8, .minor = 32};

MapTable two_groups() {
  MapTable table = simple_table({kA, kB});
  table.groups.push_back(simple_table({kC}).groups.front());
  table.features = {"queue_if_no_path"};
  table.initial_group = 2;
  return table;
}

TEST(MapTest, the_kernel_spells_a_uuid_as_libdevmapper_writes_it) {
  EXPECT_EQ(kernel_uuid("mpath-36001405c0ffee"), "mpath-36001405c0ffee");
  EXPECT_EQ(kernel_uuid("mpath-SACME_DISK(A),1"), "mpath-SACME_DISK\\x28A\\x29\\x2c1");
}

TEST(MapTest, a_path_that_is_added_is_treated_as_those_that_are_there) {
  MapTable table = simple_table({kA});
  table.groups.front().paths.front().selector_args = {"7"};

  const MapTable grown = with_path(table, kB);

  ASSERT_EQ(grown.groups.size(), 1u);
  ASSERT_EQ(grown.groups.front().paths.size(), 2u);
  EXPECT_EQ(grown.groups.front().paths[1].dev, kB);
  EXPECT_EQ(grown.groups.front().paths[1].selector_args, std::vector<std::string>{"7"});
}

TEST(MapTest, a_path_is_taken_out_and_the_rest_stays_as_it_is) {
  const MapTable table = without_paths(two_groups(), {kA});

  ASSERT_EQ(table.groups.size(), 2u);
  ASSERT_EQ(table.groups.front().paths.size(), 1u);
  EXPECT_EQ(table.groups.front().paths.front().dev, kB);
  EXPECT_EQ(table.groups.back(), two_groups().groups.back());
  EXPECT_EQ(table.features, two_groups().features);
  EXPECT_EQ(table.initial_group, 2u);
}

TEST(MapTest, a_group_without_paths_goes_and_the_first_one_to_try_is_there) {
  const MapTable table = without_paths(two_groups(), {kC});

  EXPECT_EQ(table.groups.size(), 1u);
  EXPECT_EQ(table.initial_group, 1u);
}

TEST(MapTest, nothing_is_left_when_all_paths_are_taken_out) {
  EXPECT_TRUE(without_paths(two_groups(), {kA, kB, kC}).groups.empty());
}

}  // namespace
}  // namespace hawser
