#include "hawser/portal.h"

#include <gtest/gtest.h>

namespace hawser {
namespace {

TEST(PortalTest, accepts_every_documented_form) {
  struct Case {
    std::string_view text;
    Portal expected;
  };
  const Case cases[] = {
      {"10.0.0.1", {"10.0.0.1", 3260, {}}},
      {"10.0.0.1:860", {"10.0.0.1", 860, {}}},
      {"10.0.0.1:860,0", {"10.0.0.1", 860, 0}},
      {"storage.example:65535,65535", {"storage.example", 65535, 65535}},
      {"[fe80::1%eth0]:3260,2", {"fe80::1%eth0", 3260, 2}},
      {"[::1]", {"::1", 3260, {}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const Result<Portal> parsed = parse_portal(c.text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, c.expected);
    EXPECT_EQ(*parse_portal(to_string(*parsed)), c.expected);
  }
}

TEST(PortalTest, rejects_malformed_text_and_names_it) {
  const char* const cases[] = {"",        ":3260",      "host:",  "host:0",          "host:65536",
                               "host:-1", "host:3260,", "[::1",   "[::1]3260",       "::1",
                               "[]:1",    "ho st",      "host/x", "host:3260,65536", "a:1,2,3"};
  for (const char* text : cases) {
    SCOPED_TRACE(text);
    const Result<Portal> parsed = parse_portal(text);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code(), Errc::invalid_argument);
    EXPECT_NE(parsed.error().message().find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace hawser
