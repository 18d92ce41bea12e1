#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tools/hawser/exit_status.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/progress.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr const char* kTarget = "iqn.2004-10.org.example:volume";
constexpr const char* kWwid = "3600a0b80000f0e7d00000a5e4b2c5d7f";

PathReport active_path() {
  return {.portal = {.host = "10.0.1.2", .port = 3260, .group = 1},
          .target = kTarget,
          .lun = 0,
          .state = "active",
          .sid = 4,
          .hctl = "3:0:0:0",
          .device = "sdb",
          .login_time = 38123us,
          .iface = "default"};
}

Error login_error() {
  return Error(Errc::unavailable, "login: no route")
      .with(Stage::login)
      .with_iscsi_status(8)
      .with_path("10.0.2.2:3260,1", kTarget, 0);
}

PathReport failed_path() {
  return {.portal = {.host = "10.0.2.2", .port = 3260, .group = 1},
          .target = kTarget,
          .state = "failed",
          .error = login_error()};
}

Attachment attachment() {
  return {.id = "0123456789abcdef",
          .path = "/dev/dm-3",
          .stable_path = std::string("/dev/disk/by-id/dm-uuid-mpath-") + kWwid,
          .wwid = kWwid,
          .size_bytes = 1073741824,
          .multipath = true,
          .status = "attached",
          .paths = {active_path()},
          .elapsed = 402ms};
}

TEST(CliJson, an_attachment_reads_as_the_contract_says) {
  EXPECT_EQ(
      to_json(attachment()),
      R"({"id":"0123456789abcdef","type":"block","path":"/dev/dm-3",)"
      R"("stable_path":"/dev/disk/by-id/dm-uuid-mpath-3600a0b80000f0e7d00000a5e4b2c5d7f",)"
      R"("multipath_id":"3600a0b80000f0e7d00000a5e4b2c5d7f",)"
      R"("scsi_wwn":"3600a0b80000f0e7d00000a5e4b2c5d7f","size":1073741824,"read_only":false,)"
      R"("multipath":true,"degraded":false,)"
      R"("paths":[{"portal":"10.0.1.2:3260,1","target":"iqn.2004-10.org.example:volume","lun":0,)"
      R"("state":"active","sid":4,"hctl":"3:0:0:0","device":"sdb","login_ms":38.1,"error":null,)"
      R"("iface":"default"}],)"
      R"("warnings":[],"elapsed_ms":402.0,"engine":"iscsid","status":"attached",)"
      R"("volume_id":null,"already_attached":false})");
}

TEST(CliJson, multipath_id_is_there_only_when_a_map_is_used) {
  Attachment bare = attachment();
  bare.multipath = false;

  const Json json = Json::parse(to_json(bare));

  EXPECT_FALSE(json.contains("multipath_id"));
  EXPECT_EQ(json.at("scsi_wwn"), kWwid);
}

TEST(CliJson, a_path_that_did_not_come_has_an_error_object) {
  Attachment degraded = attachment();
  degraded.paths.push_back(failed_path());

  const Json path = Json::parse(to_json(degraded)).at("paths").at(1);

  EXPECT_EQ(path.at("state"), "failed");
  EXPECT_EQ(path.at("error").at("code"), "unavailable");
  EXPECT_EQ(path.at("error").at("iscsi_status"), 8);
  for (const char* key : {"sid", "hctl", "device", "login_ms"})
    EXPECT_TRUE(path.at(key).is_null()) << key;
}

TEST(CliJson, notes_on_the_specification_come_with_the_attachment) {
  const Json json = Json::parse(to_json(attachment(), {"qos_specs: ignored"}));

  EXPECT_EQ(json.at("notes"), Json({"qos_specs: ignored"}));
}

TEST(CliJson, an_error_carries_every_key_of_the_contract) {
  const Error error = Error::from_errno(ECONNREFUSED, "login")
                          .with(Stage::login)
                          .with(Outcome::unknown)
                          .with_path("10.0.1.2:3260,1", kTarget, 7)
                          .with_paths({login_error()});

  EXPECT_EQ(
      to_json(error),
      R"({"error":{"code":"unavailable","stage":"login","message":"login: Connection refused",)"
      R"("portal":"10.0.1.2:3260,1","target":"iqn.2004-10.org.example:volume","lun":7,)"
      R"("errno":111,"iscsi_status":null,"retryable":true,"data_at_risk":false,)"
      R"("paths":[{"code":"unavailable","stage":"login","message":"login: no route",)"
      R"("portal":"10.0.2.2:3260,1","target":"iqn.2004-10.org.example:volume","lun":0,)"
      R"("errno":null,"iscsi_status":8,"retryable":true,"data_at_risk":false,"paths":[],)"
      R"("outcome":"unchanged"}],"outcome":"unknown"}})");
}

TEST(CliJson, bytes_that_are_not_utf_8_do_not_break_the_document) {
  const Json json = Json::parse(to_json(Error(Errc::io, "read \xff\n\x1b")));

  EXPECT_EQ(json.at("error").at("message"), "read \xef\xbf\xbd\n\x1b");
}

TEST(CliJson, a_document_is_ascii_whatever_a_target_calls_itself) {
  const std::string text = to_json(Error(Errc::io, "a\xc2\x9b\x7f\xe2\x80\xae"));

  EXPECT_THAT(text, HasSubstr("a\\u009b\\u007f\\u202e"));
}

TEST(CliJson, a_detach_reads_as_the_contract_says) {
  EXPECT_EQ(to_json(DetachReport{.id = "a", .warnings = {"w"}, .elapsed = 1250us}),
            R"({"id":"a","detached":true,"flushed":true,"leftovers":[],"warnings":["w"],)"
            R"("elapsed_ms":1.3,"was_attached":true,"data_at_risk":false})");
}

TEST(CliJson, an_ignored_error_of_a_detach_is_a_warning_and_does_not_claim_success) {
  const Json json = Json::parse(to_json_ignored("a", Error(Errc::data_at_risk, "flush: no path")));

  EXPECT_EQ(json.at("detached"), false);
  EXPECT_EQ(json.at("flushed"), false);
  EXPECT_EQ(json.at("warnings"), Json({"flush: no path"}));
  EXPECT_EQ(json.at("leftovers"), Json::array());
  EXPECT_EQ(json.at("data_at_risk"), true);
  EXPECT_EQ(json.at("error").at("code"), "data_at_risk");
}

TEST(CliJson, an_ignored_error_that_left_something_says_so) {
  const Error left = Error(Errc::io, "logout").with(Outcome::unknown);

  EXPECT_EQ(Json::parse(to_json_ignored("a", left)).at("leftovers").size(), 1U);
}

TEST(CliJson, a_recovery_reads_as_the_contract_says) {
  RecoverReport report{.undone = {"a"}, .completed = {"b"}, .kept = {"d"}};
  EXPECT_EQ(to_json(report), R"({"undone":["a"],"completed":["b"],"kept":["d"],"failed":[]})");

  report.failed.push_back({.id = "c", .error = Error(Errc::busy, "in use")});
  const Json failed = Json::parse(to_json(report)).at("failed").at(0);

  EXPECT_EQ(failed.at("id"), "c");
  EXPECT_EQ(failed.at("error").at("code"), "busy");
}

TEST(CliJson, lists_are_arrays_also_when_they_are_empty) {
  EXPECT_EQ(to_json(std::vector<Attachment>{}), "[]");
  EXPECT_EQ(to_json(std::vector<DiscoveredTarget>{}), "[]");
  EXPECT_EQ(to_json(std::vector<SessionReport>{}), "[]");
  EXPECT_EQ(to_json(std::vector<std::string>{}), "[]");
  EXPECT_EQ(Json::parse(to_json(std::vector<Attachment>{attachment()})).size(), 1U);
}

TEST(CliJson, discovery_and_sessions_carry_what_was_found) {
  EXPECT_EQ(to_json(std::vector<DiscoveredTarget>{
                {.target = kTarget, .portals = {{.host = "fe80::1", .group = 2}}}}),
            R"([{"target":"iqn.2004-10.org.example:volume","portals":["[fe80::1]:3260,2"]}])");

  const SessionReport session{.sid = 3,
                              .target = kTarget,
                              .portal = {.host = "10.0.1.2"},
                              .iface = "default",
                              .state = "LOGGED_IN",
                              .devices = {"sdb"},
                              .counters = SessionReport::Counters{.tx_bytes = 1, .rx_bytes = 2}};
  EXPECT_EQ(to_json(std::vector<SessionReport>{session}),
            R"([{"sid":3,"target":"iqn.2004-10.org.example:volume","portal":"10.0.1.2:3260",)"
            R"("iface":"default","state":"LOGGED_IN","devices":["sdb"],"counters":{"tx_bytes":1,)"
            R"("rx_bytes":2,"commands":0,"responses":0,"digest_errors":0,"timeout_errors":0}}])");
}

TEST(CliExitStatus, follows_the_contract) {
  const auto status = [](Errc code, Stage stage = Stage::login,
                         Outcome outcome = Outcome::unchanged) {
    return exit_status(Error(code, "x").with(stage).with(outcome));
  };

  EXPECT_EQ(status(Errc::invalid_argument, Stage::input), 64);
  EXPECT_EQ(status(Errc::invalid_argument, Stage::map), 1);
  EXPECT_EQ(status(Errc::permission_denied), 77);
  EXPECT_EQ(status(Errc::permission_denied, Stage::identify), 1);
  EXPECT_EQ(status(Errc::data_at_risk), 3);
  EXPECT_EQ(status(Errc::deadline_exceeded), 4);
  EXPECT_EQ(status(Errc::cancelled), 4);
  EXPECT_EQ(status(Errc::cancelled, Stage::login, Outcome::unknown), 2);
  EXPECT_EQ(status(Errc::unavailable), 1);
  EXPECT_EQ(status(Errc::unavailable, Stage::login, Outcome::unknown), 2);
  EXPECT_EQ(status(Errc::not_found), 1);
}

TEST(CliText, what_a_target_calls_itself_cannot_steer_the_terminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\rd\x7f"), "a?[2Jb?c?d?");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "2J"),
            "a?2J");
  EXPECT_EQ(printable("a\x9b"
                      "2J\xff\xc2"),
            "a?2J??");
  EXPECT_EQ(printable("\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa7\xe2\x82\xac\xf0\x9f\x8c\x8a"),
            "???\xe2\x82\xac\xf0\x9f\x8c\x8a");
  EXPECT_EQ(printable("gr\xc3\xb6\xc3\x9f"
                      "e"),
            "gr\xc3\xb6\xc3\x9f"
            "e");

  const std::string text =
      to_text(std::vector<DiscoveredTarget>{{.target = "iqn.x\n\x1b]0;", .portals = {{"h"}}}});
  EXPECT_EQ(text, "h:3260 iqn.x??]0;\n");
}

TEST(CliText, an_error_says_what_failed_where_and_what_to_do) {
  const std::string text = to_text(
      Error(Errc::unavailable, "no path").with(Outcome::unknown).with_paths({login_error()}));

  EXPECT_THAT(text, HasSubstr("no path (unavailable, stage none)"));
  EXPECT_THAT(text, HasSubstr("10.0.2.2:3260,1: login: no route"));
  EXPECT_THAT(text, HasSubstr("hawser recover"));
}

TEST(CliText, a_loss_of_data_cannot_be_overlooked) {
  EXPECT_THAT(to_text(DetachReport{.id = "a", .flushed = false, .data_at_risk = true}),
              HasSubstr("DATA MAY BE LOST"));
}

TEST(CliText, an_attachment_names_its_device_paths_and_warnings) {
  Attachment degraded = attachment();
  degraded.degraded = true;
  degraded.paths.push_back(failed_path());
  degraded.warnings = {"was attached already"};

  const std::string text = to_text(degraded);

  EXPECT_THAT(text, HasSubstr("/dev/dm-3: attached, 1.0 GiB, 1/2 paths, degraded"));
  EXPECT_THAT(text, HasSubstr("login: no route"));
  EXPECT_THAT(text, HasSubstr("warning: was attached already"));
}

TEST(CliProgress, shows_one_line_at_a_time_and_takes_it_back) {
  std::ostringstream out;
  EventPrinter printer(out, EventPrinter::Style::progress, Event::Level::info, 20);

  printer.print({.name = "login.sent", .text = "logging in", .portal = "10.0.1.2:3260"});
  EXPECT_EQ(out.str(), "10.0.1.2:3260: logg");
  printer.print({.level = Event::Level::debug, .name = "x", .text = "detail"});
  printer.print({.name = "udev.wait", .text = "waiting for udev"});
  printer.clear();

  EXPECT_EQ(out.str(), "10.0.1.2:3260: logg\r\x1b[Kwaiting for udev\r\x1b[K");
}

TEST(CliProgress, a_log_has_a_line_for_each_event_of_its_level) {
  std::ostringstream out;
  EventPrinter printer(out, EventPrinter::Style::json, Event::Level::warning, 0);

  printer.print({.level = Event::Level::info, .name = "login.sent", .text = "x"});
  printer.print({.level = Event::Level::error, .name = "path.failed", .text = "y"});

  EXPECT_EQ(out.str(), R"({"level":"error","event":"path.failed","text":"y","portal":null})"
                       "\n");
}

TEST(CliProgress, silence_prints_nothing) {
  std::ostringstream out;
  {
    EventPrinter printer(out, EventPrinter::Style::silent, Event::Level::debug, 80);
    printer.print({.level = Event::Level::error, .name = "x", .text = "y"});
  }
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace hawser::tool
