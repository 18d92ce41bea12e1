#include "wire/dm_table.h"

#include <gtest/gtest.h>

namespace hawser {
namespace {

TEST(DmTableTest, what_the_kernel_takes_is_written_and_read_back) {
  const char* const tables[] = {
      "0 0 0 0",
      "0 0 1 1 service-time 0 2 1 8:0 1 8:16 1",
      "1 queue_if_no_path 1 alua 2 1 service-time 0 1 2 8:0 1 1 round-robin 0 1 1 8:16 1000",
      "4 queue_if_no_path pg_init_retries 50 retain_attached_hw_handler 0 1 1 queue-length 0 1 1 "
      "8:0 "
      "128",
  };
  for (const char* text : tables) {
    SCOPED_TRACE(text);
    const Result<MapTable> table = decode_table(text);
    ASSERT_TRUE(table) << table.error().message();
    EXPECT_EQ(encode_table(*table), text);
  }
}

TEST(DmTableTest, a_new_path_takes_the_manner_of_those_that_are_there) {
  const Result<MapTable> table =
      decode_table("1 queue_if_no_path 0 1 1 service-time 0 1 2 8:0 1 1");
  EXPECT_EQ(encode_table(with_path(*table, {.major = 8, .minor = 16})),
            "1 queue_if_no_path 0 1 1 service-time 0 2 2 8:0 1 1 8:16 1 1");
  // A map that lost all its paths.
  const Result<MapTable> empty = decode_table("1 queue_if_no_path 0 0 0");
  EXPECT_EQ(encode_table(with_path(*empty, {.major = 8, .minor = 16})),
            "1 queue_if_no_path 0 1 1 service-time 0 1 1 8:16 1");
}

TEST(DmTableTest, a_table_of_ours_goes_through_the_handler_that_the_kernel_put_on_the_paths) {
  EXPECT_EQ(encode_table(simple_table({{.major = 8, .minor = 0}, {.major = 8, .minor = 16}})),
            "1 retain_attached_hw_handler 0 1 1 service-time 0 2 1 8:0 1 8:16 1");
}

TEST(DmTableTest, broken_tables_are_refused) {
  for (const char* text :
       {"", "0", "0 0", "0 0 1", "x 0 0 0", "-1 0 0 0", "9999999 0 0 0",
        "0 0 1 1 service-time 0 2 1 8:0 1", "0 0 1 1 service-time 0 1 1 8 1",
        "0 0 1 1 service-time 0 1 1 8:x 1", "0 0 0 0 trailing", "2 queue_if_no_path"})
    EXPECT_FALSE(decode_table(text)) << text;
}

TEST(DmStatusTest, tells_paths_that_work_from_those_that_failed) {
  const auto paths =
      decode_status("2 0 0 0 1 1 A 0 4 2 8:0 A 0 0 1 8:32 F 3 0 1 8:16 A 0 0 1 8:48 A 1 0 1 ");
  ASSERT_TRUE(paths) << paths.error().message();
  ASSERT_EQ(paths->size(), 4u);
  EXPECT_EQ((*paths)[1], (MapPathStatus{.dev = {8, 32}, .is_active = false, .fail_count = 3}));
  EXPECT_TRUE((*paths)[3].is_active);
}

TEST(DmStatusTest, words_that_are_not_known_are_counted_over) {
  EXPECT_EQ(decode_status("4 0 0 new words 0 2 1 E 1 x 1 0 8:0 A 0 D 0 1 1 8:16 A 0 1")->size(),
            2u);
  EXPECT_TRUE(decode_status("2 0 0 0 0 0")->empty());
}

TEST(DmStatusTest, broken_status_is_refused) {
  for (const char* text : {"", "2 0 0 0 1 1 A 0 1 0", "2 0 0 0 1 1 X 0 1 0 8:0 A 0",
                           "2 0 0 0 1 1 A 0 1 0 8:0 B 0", "2 0 0 0 1 1 A 0 1 0 8:0 A x"})
    EXPECT_FALSE(decode_status(text)) << text;
}

}  // namespace
}  // namespace hawser
