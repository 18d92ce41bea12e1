#include <gtest/gtest.h>

#include "hawser/volume.h"

namespace hawser {
namespace {

constexpr const char* kCinder = R"({"driver_volume_type": "iscsi", "data": {
  "target_discovered": false, "encrypted": false, "qos_specs": null, "discard": true,
  "target_portal": "10.0.1.2:3260", "target_iqn": "iqn.2010-10.org.openstack:v", "target_lun": 1,
  "target_portals": ["10.0.1.2:3260", "[fd00::2]:3260"],
  "target_iqns": ["iqn.2010-10.org.openstack:v", "iqn.2010-10.org.openstack:w"],
  "target_luns": [1, "2"], "volume_id": "5f2c", "auth_method": "CHAP", "auth_username": "user",
  "auth_password": "secret-1", "access_mode": "ro", "enforce_multipath": true, "min_paths": 2,
  "grace_s": 1.5, "addressing_mode": "SAM3-flat"}})";

TEST(SpecJsonTest, reads_what_cinder_hands_out) {
  const Result<VolumeSpec> spec = parse_volume_spec(kCinder);

  ASSERT_TRUE(spec) << spec.error().message();
  ASSERT_EQ(spec->paths.size(), 2u);
  EXPECT_EQ(spec->paths[1].portal.host, "fd00::2");
  EXPECT_EQ(spec->paths[1].target, "iqn.2010-10.org.openstack:w");
  EXPECT_EQ(spec->paths[1].lun, 2);
  EXPECT_EQ(spec->chap->username, "user");
  EXPECT_EQ(spec->chap->password.reveal(), "secret-1");
  EXPECT_EQ(spec->access_mode, AccessMode::read_only);
  EXPECT_EQ(spec->addressing, LunAddressing::flat);
  EXPECT_TRUE(spec->enforce_multipath);
  EXPECT_EQ(spec->min_paths, 2u);
  EXPECT_EQ(spec->grace, std::chrono::milliseconds(1500));
  EXPECT_EQ(spec->volume_id, "5f2c");
}

TEST(SpecJsonTest, the_words_for_addressing_are_openstacks) {
  const std::string rest = R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)";
  const std::pair<const char*, LunAddressing> words[] = {
      {"", LunAddressing::automatic},
      {"SAM", LunAddressing::transparent},
      {"transparent", LunAddressing::transparent},
      {"SAM2", LunAddressing::automatic},
      {"SAM3-flat", LunAddressing::flat},
  };
  for (const auto& [word, addressing] : words) {
    const auto spec = parse_volume_spec(rest + R"(, "addressing_mode": ")" + word + "\"}");
    ASSERT_TRUE(spec) << word;
    EXPECT_EQ(spec->addressing, addressing) << word;
  }
  EXPECT_EQ(parse_volume_spec(rest + "}")->addressing, LunAddressing::automatic);
}

TEST(SpecJsonTest, what_is_ignored_is_noted_and_never_with_a_value) {
  const Result<VolumeSpec> spec = parse_volume_spec(
      R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0, "odd": "secret-2"})");

  ASSERT_TRUE(spec);
  ASSERT_EQ(spec->notes.size(), 1u);
  EXPECT_EQ(spec->notes[0], "key 'odd' is ignored");
}

TEST(SpecJsonTest, a_portal_named_twice_is_one) {
  const Result<VolumeSpec> spec = parse_volume_spec(
      R"({"target_portals": ["h", "h"], "target_iqn": "iqn.x", "target_lun": 0})");

  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->paths.size(), 1u);
  EXPECT_EQ(spec->notes.size(), 1u);
}

TEST(SpecJsonTest, a_list_is_complete_unless_it_says_otherwise) {
  const std::string rest = R"("target_iqn": "iqn.x", "target_lun": 0)";
  EXPECT_EQ(parse_volume_spec(R"({"target_portal": "h", )" + rest + "}")->discovery, std::nullopt);
  EXPECT_EQ(parse_volume_spec(R"({"target_portals": ["h"], )" + rest + "}")->discovery, false);
  EXPECT_EQ(
      parse_volume_spec(R"({"target_portals": ["h"], "discovery": true, )" + rest + "}")->discovery,
      true);
  EXPECT_EQ(
      parse_volume_spec(R"({"target_portal": "h", "discovery": false, )" + rest + "}")->discovery,
      false);
}

TEST(SpecJsonTest, ifaces_are_one_or_a_list) {
  using Names = std::vector<std::string>;
  const std::string rest = R"("target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)";
  EXPECT_EQ(parse_volume_spec("{" + rest + "}")->ifaces, Names{"default"});
  EXPECT_EQ(parse_volume_spec(R"({"iface": "", )" + rest + "}")->ifaces, Names{"default"});
  EXPECT_EQ(parse_volume_spec(R"({"iface": "nic1", )" + rest + "}")->ifaces, Names{"nic1"});
  EXPECT_EQ(parse_volume_spec(R"({"iface": ["nic1", "nic2"], )" + rest + "}")->ifaces,
            (Names{"nic1", "nic2"}));
}

TEST(SpecJsonTest, every_refusal_names_the_key) {
  struct Case {
    std::string json;
    const char* key;
  };
  const std::string base = R"("target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)";
  const Case cases[] = {
      {"", "specification"},
      {"{", "specification"},
      {"[]", "specification"},
      {"nonsense", "specification"},
      {"{" + base + "} x", "specification"},
      {"{" + base + R"(, "target_lun": 1})", "target_lun"},
      {std::string(100, '[') + std::string(100, ']'), "specification"},
      {std::string(kSpecBytesMax + 1, ' '), "specification"},
      {R"({"target_iqn": "iqn.x", "target_lun": 0})", "target_portal"},
      {R"({"target_portal": "h", "target_lun": 0})", "target_iqn"},
      {R"({"target_portal": "h", "target_iqn": "iqn.x"})", "target_lun"},
      {R"({"target_portal": 3, "target_iqn": "iqn.x", "target_lun": 0})", "target_portal"},
      {R"({"target_portal": "fd00::1:3260", "target_iqn": "iqn.x", "target_lun": 0})",
       "target_portal"},
      {R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 16384})", "target_lun"},
      {R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": -1})", "target_lun"},
      {R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 1.5})", "target_lun"},
      {R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": "one"})", "target_lun"},
      {R"({"target_portals": ["h", "i"], "target_iqns": ["iqn.x"], "target_luns": [0, 0]})",
       "target_iqns"},
      {R"({"target_portals": ["h", "i"], "target_iqn": "iqn.x", "target_luns": [0]})",
       "target_luns"},
      {R"({"target_portals": "h", "target_iqn": "iqn.x", "target_lun": 0})", "target_portals"},
      {R"({"target_portals": [], "target_iqn": "iqn.x", "target_lun": 0})", "target_portals"},
      {"{" + base + R"(, "auth_method": "SRP"})", "auth_method"},
      {"{" + base + R"(, "auth_method": "CHAP"})", "auth_username"},
      {"{" + base + R"(, "auth_username": "u"})", "auth_password"},
      {"{" + base + R"(, "auth_password": 5})", "auth_password"},
      {"{" + base + R"(, "access_mode": "rwx"})", "access_mode"},
      {"{" + base + R"(, "addressing_mode": "sam"})", "addressing_mode"},
      {"{" + base + R"(, "addressing_mode": "odd"})", "addressing_mode"},
      {"{" + base + R"(, "enforce_multipath": "yes"})", "enforce_multipath"},
      {"{" + base + R"(, "min_paths": 65})", "min_paths"},
      {"{" + base + R"(, "grace_s": -1})", "grace_s"},
      {"{" + base + R"(, "iface": "a/b"})", "iface"},
      {"{" + base + R"(, "iface": ["a", 3]})", "iface"},
      {"{" + base + R"(, "iface": {"a": 3}})", "iface"},
      {"{" + base + R"(, "iface": []})", "iface"},
      {"{" + base + R"(, "discovery": "yes"})", "discovery"},
      {R"({"target_portals": ["h", "h"], "target_iqn": "iqn.x", "target_luns": [0, 1]})",
       "target_luns"},
      {R"({"driver_volume_type": "rbd", "data": {}})", "driver_volume_type"},
      {R"({"driver_volume_type": "iscsi"})", "data"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.json.substr(0, 120));
    const Result<VolumeSpec> spec = parse_volume_spec(c.json);
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code(), Errc::invalid_argument);
    EXPECT_EQ(spec.error().stage(), Stage::input);
    EXPECT_NE(spec.error().message().find(c.key), std::string::npos) << spec.error().message();
  }
}

TEST(SpecJsonTest, no_error_carries_a_secret) {
  const Result<VolumeSpec> spec = parse_volume_spec(
      R"({"target_portal": "h", "target_iqn": "bad", "target_lun": 0, "auth_username": "u",
          "auth_password": "secret-3", "auth_password_in": "secret-4"})");

  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().message().find("secret-"), std::string::npos);
}

}  // namespace
}  // namespace hawser
