#include "hawser/volume.h"

#include <functional>

#include <gtest/gtest.h>

#include "model/lun.h"
#include "model/path_count.h"

namespace hawser {
namespace {

VolumeSpec good() {
  VolumeSpec spec;
  spec.paths = {{.portal = {.host = "10.0.1.2"}, .target = "iqn.2026-11.org.example:t", .lun = 1},
                {.portal = {.host = "10.0.2.2"}, .target = "iqn.2026-11.org.example:t", .lun = 1}};
  return spec;
}

// Keeps: H5
TEST(VolumeTest, each_rule_is_checked_and_names_its_field) {
  struct Case {
    const char* field;
    std::function<void(VolumeSpec&)> spoil;
  };
  const Case cases[] = {
      {"target_portal", [](VolumeSpec& s) { s.paths.clear(); }},
      {"target_iqn", [](VolumeSpec& s) { s.paths[0].target = ""; }},
      {"target_iqn", [](VolumeSpec& s) { s.paths[0].target = "disk1"; }},
      {"target_iqn", [](VolumeSpec& s) { s.paths[0].target = "iqn.a/../b"; }},
      {"target_iqn", [](VolumeSpec& s) { s.paths[0].target = "iqn." + std::string(220, 'x'); }},
      {"target_iqn", [](VolumeSpec& s) { s.paths[0].target = "iqn.d\xc3\xa9p\xc3\xb4t"; }},
      {"target_lun", [](VolumeSpec& s) { s.paths[0].lun = 16384; }},
      {"target_luns",
       [](VolumeSpec& s) {
         s.paths.push_back(s.paths[0]);
         s.paths.back().lun = 2;
       }},
      {"target_portals", [](VolumeSpec& s) { s.paths.resize(65, s.paths[0]); }},
      {"volume_id", [](VolumeSpec& s) { s.volume_id = std::string(256, 'v'); }},
      {"expected_wwid", [](VolumeSpec& s) { s.expected_wwid = std::string(256, '3'); }},
      {"auth_password", [](VolumeSpec& s) { s.chap = Chap{.username = "u"}; }},
      {"auth_username", [](VolumeSpec& s) { s.chap = Chap{.password = Secret("p")}; }},
      {"auth_password_in",
       [](VolumeSpec& s) {
         s.chap = Chap{.username = "u", .password = Secret("p"), .username_in = "i"};
       }},
      {"auth_username", [](VolumeSpec& s) { s.chap = Chap{.password_in = Secret("p")}; }},
      {"auth_password",
       [](VolumeSpec& s) {
         s.chap = Chap{.username = "u", .password = Secret(std::string(256, 'p'))};
       }},
      {"auth_username",
       [](VolumeSpec& s) {
         s.chap = Chap{.username = std::string("u\0x", 3), .password = Secret("p")};
       }},
      {"auth_password_in",
       [](VolumeSpec& s) {
         s.chap = Chap{.username = "u",
                       .password = Secret("p"),
                       .username_in = "i",
                       .password_in = Secret(std::string_view("p\0x", 3))};
       }},
      {"iface",
       [](VolumeSpec& s) {
         s.ifaces = {"default", "../x"};
       }},
      {"iface", [](VolumeSpec& s) { s.ifaces.clear(); }},
      {"iface", [](VolumeSpec& s) { s.ifaces.resize(17, "default"); }},
      {"min_paths", [](VolumeSpec& s) { s.min_paths = 3; }},
      {"min_paths", [](VolumeSpec& s) { s.min_paths = 0; }},
      {"grace_s", [](VolumeSpec& s) { s.grace = std::chrono::seconds(-1); }},
  };
  ASSERT_TRUE(validate(good()));
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    VolumeSpec spec = good();
    c.spoil(spec);
    const Status status = validate(spec);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), Errc::invalid_argument);
    EXPECT_EQ(status.error().stage(), Stage::input);
    EXPECT_TRUE(status.error().message().starts_with(c.field)) << status.error().message();
  }
}

// Keeps: H5
TEST(VolumeTest, limits_themselves_are_allowed) {
  VolumeSpec spec = good();
  spec.paths[0].lun = 16383;
  spec.paths[0].target = "iqn." + std::string(219, 'x');
  spec.min_paths = 2;
  EXPECT_TRUE(validate(spec));
}

TEST(VolumeTest, a_path_that_is_named_twice_counts_once) {
  VolumeSpec spec = good();
  spec.paths.push_back(spec.paths[0]);
  spec.paths.back().portal.group = 1;
  EXPECT_TRUE(validate(spec));
  EXPECT_EQ(attachment_id(spec), attachment_id(good()));
  EXPECT_EQ(paths_at_most(spec), 2u);
}

TEST(VolumeTest, min_paths_may_count_what_is_not_known_yet) {
  VolumeSpec spec = good();
  spec.min_paths = 3;
  EXPECT_FALSE(validate(spec));

  spec.ifaces = {"a", "b", "a"};
  spec.min_paths = 4;
  EXPECT_TRUE(validate(spec));
  spec.min_paths = 5;
  EXPECT_FALSE(validate(spec));

  VolumeSpec asking = good();
  asking.min_paths = 3;
  asking.discovery = true;
  EXPECT_TRUE(validate(asking));

  VolumeSpec named = good();
  named.paths[1].portal.host = "array.example";
  named.min_paths = 3;
  EXPECT_TRUE(validate(named));
}

TEST(VolumeTest, one_portal_alone_is_asked_for_more) {
  VolumeSpec spec = good();
  EXPECT_FALSE(wants_discovery(spec));
  spec.paths.pop_back();
  EXPECT_TRUE(wants_discovery(spec));
  spec.discovery = false;
  EXPECT_FALSE(wants_discovery(spec));
}

TEST(VolumeTest, the_id_is_that_of_targets_and_luns_whatever_the_portals) {
  VolumeSpec one_portal = good();
  one_portal.paths.pop_back();
  EXPECT_EQ(attachment_id(good()), attachment_id(one_portal));
  // It stands in logs on disk: it must never change.
  EXPECT_EQ(attachment_id(good()), "bca701102d831be9");

  VolumeSpec other_lun = good();
  other_lun.paths[0].lun = other_lun.paths[1].lun = 2;
  EXPECT_NE(attachment_id(good()), attachment_id(other_lun));
}

TEST(LunTest, beyond_255_and_on_request_the_kernel_sees_flat_addressing) {
  EXPECT_EQ(kernel_lun(0, LunAddressing::automatic), 0u);
  EXPECT_EQ(kernel_lun(255, LunAddressing::automatic), 255u);
  EXPECT_EQ(kernel_lun(256, LunAddressing::automatic), 0x4100u);
  EXPECT_EQ(kernel_lun(16383, LunAddressing::automatic), 0x7fffu);
  EXPECT_EQ(kernel_lun(1, LunAddressing::flat), 0x4001u);
  EXPECT_EQ(kernel_lun(300, LunAddressing::transparent), 300u);
}

}  // namespace
}  // namespace hawser
