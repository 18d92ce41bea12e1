#include <gtest/gtest.h>

#include "support/clock.h"
#include "tools/hawser/options.h"
#include "tools/hawser/spec_options.h"

namespace hawser::tool {
namespace {

using namespace std::chrono_literals;

Result<std::variant<Invocation, HelpText>> parse(std::vector<const char*> words) {
  return parse_command_line(words);
}

Invocation parsed(std::vector<const char*> words) {
  const auto result = parse(std::move(words));
  EXPECT_TRUE(result) << (result ? "" : result.error().message());
  return result ? std::get<Invocation>(*result) : Invocation{};
}

TEST(CliOptions, defaults_are_those_of_the_library_and_the_contract) {
  const Invocation invocation = parsed({"attach", "--spec", "-"});

  EXPECT_EQ(invocation.command, Command::attach);
  EXPECT_EQ(invocation.spec.file, "-");
  EXPECT_EQ(invocation.timeout, 60s);
  EXPECT_EQ(invocation.state_dir, "/var/lib/hawser");
  EXPECT_EQ(invocation.multipath, Multipath::preferred);
  EXPECT_EQ(invocation.login_timeout, AttachOptions{}.login_timeout);
  EXPECT_EQ(invocation.login_tries, AttachOptions{}.login_tries);
  EXPECT_EQ(invocation.scan_tries, AttachOptions{}.scan_tries);
  EXPECT_EQ(invocation.scan_interval, AttachOptions{}.scan_interval);
  EXPECT_FALSE(invocation.min_paths);
  EXPECT_FALSE(invocation.grace);
  EXPECT_FALSE(invocation.json);
  EXPECT_FALSE(invocation.log_level);
}

TEST(CliOptions, every_option_of_attach_reaches_the_invocation) {
  const Invocation invocation = parsed({"attach",
                                        "--target",
                                        "iqn.x",
                                        "--portal",
                                        "10.0.0.1",
                                        "--portal",
                                        "10.0.0.2",
                                        "--lun",
                                        "3",
                                        "--chap-file",
                                        "/c",
                                        "--multipath",
                                        "required",
                                        "--min-paths",
                                        "2",
                                        "--grace",
                                        "1.5",
                                        "--expect-wwid",
                                        "3600",
                                        "--login-timeout",
                                        "7",
                                        "--node-record",
                                        "--json",
                                        "--timeout",
                                        "0.25",
                                        "--state-dir",
                                        "/s",
                                        "--log-level",
                                        "debug",
                                        "--log-json",
                                        "--engine",
                                        "iscsid",
                                        "--login-tries",
                                        "4",
                                        "--scan-tries",
                                        "5",
                                        "--scan-interval",
                                        "0.75"});

  EXPECT_EQ(invocation.login_tries, 4U);
  EXPECT_EQ(invocation.scan_tries, 5U);
  EXPECT_EQ(invocation.scan_interval, 750ms);
  EXPECT_EQ(invocation.spec.target, "iqn.x");
  EXPECT_EQ(invocation.spec.portals, (std::vector<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(invocation.spec.lun, "3");
  EXPECT_EQ(invocation.spec.chap_file, "/c");
  EXPECT_EQ(invocation.multipath, Multipath::required);
  EXPECT_EQ(invocation.min_paths, 2U);
  EXPECT_EQ(invocation.grace, 1500ms);
  EXPECT_EQ(invocation.expected_wwid, "3600");
  EXPECT_EQ(invocation.login_timeout, 7s);
  EXPECT_TRUE(invocation.node_record);
  EXPECT_TRUE(invocation.json);
  EXPECT_EQ(invocation.timeout, 250ms);
  EXPECT_EQ(invocation.state_dir, "/s");
  EXPECT_EQ(invocation.log_level, Event::Level::debug);
  EXPECT_TRUE(invocation.log_json);
}

TEST(CliOptions, those_of_every_command_may_stand_before_it_and_behind) {
  EXPECT_TRUE(parsed({"--json", "--timeout", "1", "list"}).json);
  EXPECT_TRUE(parsed({"list", "--json"}).json);
}

TEST(CliOptions, detach_takes_an_id_or_a_specification) {
  const Invocation by_id = parsed({"detach", "0123", "--force", "--ignore-errors"});
  EXPECT_EQ(by_id.id, "0123");
  EXPECT_TRUE(by_id.force);
  EXPECT_TRUE(by_id.ignore_errors);

  EXPECT_EQ(parsed({"detach", "--target", "iqn.x", "--portal", "h", "--lun", "1"}).spec.lun, "1");
  // A portal takes one word: what follows is the id, and that is one too many.
  EXPECT_FALSE(parse({"detach", "--portal", "h", "0123"}));
}

// CLI11 takes a word in brackets for a list.
TEST(CliOptions, a_portal_keeps_its_brackets) {
  const std::vector<std::string> portals{"[fd00::1]"};
  EXPECT_EQ(parsed({"discover", "--portal", "[fd00::1]"}).spec.portals, portals);
  EXPECT_EQ(parsed({"attach", "--portal", "[fd00::1]"}).spec.portals, portals);
}

TEST(CliOptions, numbers_are_decimal_and_in_range) {
  EXPECT_EQ(parsed({"attach", "--min-paths", "010"}).min_paths, 10U);
  EXPECT_EQ(parsed({"attach", "--min-paths", "64"}).min_paths, 64U);
  EXPECT_FALSE(parse({"attach", "--min-paths", "65"}));
  EXPECT_EQ(parsed({"list", "--timeout", "0"}).timeout, 0s);
  EXPECT_EQ(parsed({"list", "--timeout", "31622400"}).timeout, 31622400s);
  EXPECT_FALSE(parse({"list", "--timeout", "31622401"}));
  EXPECT_FALSE(parse({"list", "--timeout", "1s"}));
}

TEST(CliOptions, json_is_seen_even_where_the_rest_is_wrong) {
  const std::vector<const char*> words = {"list", "--wrong", "--json"};
  EXPECT_FALSE(parse_command_line(words));
  EXPECT_TRUE(asks_for_json(words));
  EXPECT_FALSE(asks_for_json(std::vector<const char*>{"list"}));
}

TEST(CliChapFile, every_value_is_read_without_the_spaces_around_it) {
  const auto chap = parse_chap(
      "# both ways\r\n\n username =  u ser \r\npassword=p=w\nusername_in = t\n\tpassword_in = q");

  ASSERT_TRUE(chap) << chap.error().message();
  EXPECT_EQ(chap->username, "u ser");
  EXPECT_EQ(chap->password.reveal(), "p=w");
  EXPECT_EQ(chap->username_in, "t");
  EXPECT_EQ(chap->password_in.reveal(), "q");
}

TEST(CliChapFile, what_is_wrong_is_named_by_line_and_not_quoted) {
  const auto wrong = parse_chap("username = u\nhunter2\n");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message(), "line 2: is no 'key = value'");

  const auto incomplete = parse_chap("username = u\n");
  ASSERT_FALSE(incomplete);
  EXPECT_EQ(incomplete.error().message(), "password: missing");
}

class CliSpec : public ::testing::Test {
 protected:
  Result<VolumeSpec> read(const Invocation& invocation) {
    return read_spec_to_attach({.clock = clock_}, invocation);
  }
  FakeClock clock_{};
};

TEST_F(CliSpec, words_become_a_volume_with_a_path_for_each_portal) {
  const auto spec = read(parsed({"attach", "--target", "iqn.2004-10.org.example:v", "--portal",
                                 "10.0.0.1", "--portal", "[fe80::1]:3261,2", "--lun", "16383",
                                 "--min-paths", "2", "--grace", "3", "--expect-wwid", "3600"}));

  ASSERT_TRUE(spec) << spec.error().message();
  ASSERT_EQ(spec->paths.size(), 2U);
  EXPECT_EQ(to_string(spec->paths[1].portal), "[fe80::1]:3261,2");
  EXPECT_EQ(spec->paths[1].lun, 16383);
  EXPECT_EQ(spec->min_paths, 2U);
  EXPECT_EQ(spec->grace, 3s);
  EXPECT_EQ(spec->expected_wwid, "3600");
}

TEST_F(CliSpec, ifaces_and_discovery_are_part_of_it) {
  const std::vector<const char*> words{
      "attach", "--target", "iqn.2004-10.org.example:v", "--portal", "10.0.0.1", "--lun", "1"};
  EXPECT_EQ(read(parsed(words))->ifaces, std::vector<std::string>{"default"});
  EXPECT_EQ(read(parsed(words))->discovery, std::nullopt);

  auto more = words;
  for (const char* word : {"--iface", "nic1", "--iface", "nic2", "--discovery", "off"})
    more.push_back(word);
  const auto spec = read(parsed(more));
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->ifaces, (std::vector<std::string>{"nic1", "nic2"}));
  EXPECT_EQ(spec->discovery, false);
}

TEST_F(CliSpec, a_lun_has_a_limit) {
  const auto spec = read(parsed({"attach", "--target", "iqn.2004-10.org.example:v", "--portal",
                                 "10.0.0.1", "--lun", "16384"}));

  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code(), Errc::invalid_argument);
  EXPECT_EQ(spec.error().stage(), Stage::input);
}

}  // namespace
}  // namespace hawser::tool
