#include "wire/iscsid_message.h"

#include <cstring>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hawser {
namespace {

using F = IscsidField;
using ::testing::HasSubstr;

LoginRequest simple_login() {
  return {.target = "iqn.2004-10.test:disk",
          .address = "10.0.1.2",
          .port = 3261,
          .group = 7,
          .iface = "default",
          .chap = nullptr,
          .login_timeout = std::chrono::seconds(11),
          .recovery_timeout = std::chrono::seconds(6)};
}

Chap mutual() {
  return {.username = "user",
          .password = Secret("secret-out-1"),
          .username_in = "peer",
          .password_in = Secret("secret-in-12")};
}

const IscsidLayout& layout_of(std::string_view releases) {
  for (const IscsidLayout& layout : iscsid_layouts())
    if (layout.releases == releases) return layout;
  ADD_FAILURE() << "no layout for " << releases;
  return iscsid_layouts().front();
}
const IscsidLayout& common() { return layout_of("2.1.1 to 2.1.10"); }

std::uint32_t number_at(const std::string& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}
std::uint32_t number(const std::string& request, const IscsidLayout& layout, F field) {
  return number_at(request, layout.offset(field));
}
std::string text(const std::string& request, const IscsidLayout& layout, F field) {
  return request.c_str() + layout.offset(field);
}

template <class Number>
void put(std::string& bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

std::string reply_bytes(std::uint32_t command, int result) {
  std::string bytes(kIscsidReplyBytes, '\0');
  put(bytes, 0, command);
  put(bytes, 4, result);
  return bytes;
}

TEST(IscsidMessageTest, a_login_has_its_values_where_each_release_looks_for_them) {
  const Chap chap = mutual();
  LoginRequest login = simple_login();
  login.chap = &chap;
  for (const IscsidLayout& layout : iscsid_layouts()) {
    if (!layout.has(F::scan)) continue;
    SCOPED_TRACE(layout.releases);

    const Result<std::string> request = encode_login(layout, login);

    ASSERT_TRUE(request);
    ASSERT_EQ(request->size(), layout.request_bytes);
    EXPECT_EQ(number_at(*request, 0), 1U);
    EXPECT_EQ(number_at(*request, 4), 0U);  // No payload behind it.
    EXPECT_EQ(text(*request, layout, F::target_name), "iqn.2004-10.test:disk");
    EXPECT_EQ(text(*request, layout, F::address), "10.0.1.2");
    EXPECT_EQ(text(*request, layout, F::iface_name), "default");
    EXPECT_EQ(text(*request, layout, F::transport_name), "tcp");
    EXPECT_EQ(text(*request, layout, F::username), "user");
    EXPECT_EQ(text(*request, layout, F::password), "secret-out-1");
    EXPECT_EQ(number(*request, layout, F::password_length), 12U);
    EXPECT_EQ(text(*request, layout, F::username_in), "peer");
    EXPECT_EQ(text(*request, layout, F::password_in), "secret-in-12");
    EXPECT_EQ(number(*request, layout, F::password_in_length), 12U);
    EXPECT_EQ(number(*request, layout, F::port), 3261U);
    EXPECT_EQ(number(*request, layout, F::tpgt), 7U);
    EXPECT_EQ(number(*request, layout, F::login_timeout), 11U);
    EXPECT_EQ(number(*request, layout, F::replacement_timeout), 6U);
    EXPECT_EQ(number(*request, layout, F::login_retry_max), 1U);
    EXPECT_EQ(number(*request, layout, F::scan), 0U);
  }
}

TEST(IscsidMessageTest, what_an_iface_stands_for_is_where_each_release_looks_for_it) {
  struct Case {
    const char* releases;
    std::size_t netdev, hwaddress, initiator_name;
  };
  const Case cases[] = {
      {"2.0.875", 3416, 14496, 14786},         {"2.0.876 to 2.1.0", 3416, 14500, 14790},
      {"2.1.1 to 2.1.10", 3432, 14516, 14806}, {"2.1.11", 3440, 14524, 14814},
      {"2.1.12", 3456, 14540, 14830},          {"2.1.13", 3464, 14548, 14838},
      {"2.1.13 (musl)", 2688, 7612, 7902},
  };
  LoginRequest login = simple_login();
  login.iface = "nic1";
  login.binding = {.transport = "iser",
                   .netdev = "fifteen-bytes-x",
                   .hwaddress = "52:54:00:12:34:56",
                   .initiator_name = "iqn.2004-10.test:host"};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.releases);
    const IscsidLayout& layout = layout_of(c.releases);

    const Result<std::string> request = encode_login(layout, login);

    ASSERT_TRUE(request);
    EXPECT_EQ(text(*request, layout, F::iface_name), "nic1");
    EXPECT_EQ(text(*request, layout, F::transport_name), "iser");
    EXPECT_STREQ(request->c_str() + c.netdev, "fifteen-bytes-x");
    EXPECT_STREQ(request->c_str() + c.hwaddress, "52:54:00:12:34:56");
    EXPECT_STREQ(request->c_str() + c.initiator_name, "iqn.2004-10.test:host");
  }
}

// Zero in any of these would switch a protection off, or make the login fail.
TEST(IscsidMessageTest, no_value_that_matters_is_left_at_zero) {
  const IscsidLayout& layout = layout_of("2.1.13");
  const Result<std::string> request = encode_login(layout, simple_login());
  ASSERT_TRUE(request);

  for (const F field : {F::cmds_max,
                        F::queue_depth,
                        F::login_redirect_max,
                        F::nr_sessions,
                        F::abort_timeout,
                        F::host_reset_timeout,
                        F::lu_reset_timeout,
                        F::target_reset_timeout,
                        F::immediate_data,
                        F::first_burst_length,
                        F::max_burst_length,
                        F::default_time2wait,
                        F::max_connections,
                        F::max_outstanding_r2t,
                        F::fast_abort,
                        F::reopen_log_frequency,
                        F::logout_timeout,
                        F::auth_timeout,
                        F::noop_out_interval,
                        F::noop_out_timeout,
                        F::max_recv_segment_length})
    EXPECT_NE(number(*request, layout, field), 0U) << static_cast<std::size_t>(field);
}

TEST(IscsidMessageTest, without_credentials_no_authentication_is_asked_for) {
  const Result<std::string> request = encode_login(common(), simple_login());
  ASSERT_TRUE(request);

  EXPECT_EQ(number(*request, common(), F::auth_method), 0U);
  EXPECT_EQ(number(*request, common(), F::password_length), 0U);
  EXPECT_EQ(number(*request, common(), F::password_in_length), 0U);
}

TEST(IscsidMessageTest, chap_offers_the_strongest_algorithm_first_and_ends_the_list) {
  const Result<std::string> request = encode_login(common(), simple_login());
  ASSERT_TRUE(request);

  const std::size_t list = common().offset(F::chap_algorithms);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(number_at(*request, list + 4 * i), 8 - i);
  EXPECT_EQ(number_at(*request, list + 16), 0xffffffffU);
}

TEST(IscsidMessageTest, a_group_that_is_not_known_is_minus_one) {
  LoginRequest login = simple_login();
  login.group.reset();
  const Result<std::string> request = encode_login(common(), login);
  ASSERT_TRUE(request);

  EXPECT_EQ(number(*request, common(), F::tpgt), 0xffffffffU);
}

TEST(IscsidMessageTest, what_iscsid_would_not_check_is_refused) {
  struct Case {
    const char* name;
    std::function<void(LoginRequest&, Chap&)> spoil;
  };
  const Case cases[] = {
      {"host name", [](auto& l, auto&) { l.address = "storage.example"; }},
      {"brackets", [](auto& l, auto&) { l.address = "[fe80::1]"; }},
      {"no address", [](auto& l, auto&) { l.address.clear(); }},
      {"NUL in address", [](auto& l, auto&) { l.address = std::string("10.0.1.2\0x", 10); }},
      {"port 0", [](auto& l, auto&) { l.port = 0; }},
      {"no target", [](auto& l, auto&) { l.target.clear(); }},
      {"target of 224 bytes", [](auto& l, auto&) { l.target = std::string(224, 'x'); }},
      {"newline in target", [](auto& l, auto&) { l.target += "\nx"; }},
      {"no iface", [](auto& l, auto&) { l.iface.clear(); }},
      {"iface of 65 bytes", [](auto& l, auto&) { l.iface = std::string(65, 'x'); }},
      {"no transport", [](auto& l, auto&) { l.binding.transport.clear(); }},
      {"NIC of 16 bytes", [](auto& l, auto&) { l.binding.netdev = std::string(16, 'x'); }},
      {"MAC of 18 bytes", [](auto& l, auto&) { l.binding.hwaddress = std::string(18, 'x'); }},
      {"initiator of 224 bytes",
       [](auto& l, auto&) { l.binding.initiator_name = std::string(224, 'x'); }},
      {"login timeout 0", [](auto& l, auto&) { l.login_timeout = std::chrono::seconds(0); }},
      {"negative recovery", [](auto& l, auto&) { l.recovery_timeout = std::chrono::seconds(-1); }},
      {"no username", [](auto&, auto& c) { c.username.clear(); }},
      {"password of 256 bytes", [](auto&, auto& c) { c.password = Secret(std::string(256, 'p')); }},
      {"NUL in password", [](auto&, auto& c) { c.password = Secret(std::string_view("a\0b", 3)); }},
      {"incoming credentials only", [](auto&, auto& c) { c.password = Secret(); }},
      {"incoming username only", [](auto&, auto& c) { c.password_in = Secret(); }},
      {"incoming password only", [](auto&, auto& c) { c.username_in.clear(); }},
  };
  for (const Case& item : cases) {
    SCOPED_TRACE(item.name);
    Chap chap = mutual();
    LoginRequest login = simple_login();
    login.chap = &chap;
    item.spoil(login, chap);

    const Result<std::string> request = encode_login(common(), login);

    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().code(), Errc::invalid_argument);
    EXPECT_EQ(request.error().stage(), Stage::input);
    EXPECT_THAT(request.error().message(), ::testing::Not(HasSubstr("secret-")));
  }
}

TEST(IscsidMessageTest, incoming_credentials_alone_are_told_what_they_lack) {
  Chap chap = mutual();
  chap.password = Secret();
  LoginRequest login = simple_login();
  login.chap = &chap;

  const Result<std::string> request = encode_login(common(), login);

  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message(), HasSubstr("needs outgoing credentials"));
}

TEST(IscsidMessageTest, values_as_long_as_their_fields_are_taken) {
  Chap chap = mutual();
  chap.password = Secret(std::string(255, 'p'));
  LoginRequest login = simple_login();
  login.target = std::string(223, 'x');
  login.iface = std::string(64, 'i');
  login.address = "fe80:1111:2222:3333:4444:5555:6666:7777";
  login.chap = &chap;

  const Result<std::string> request = encode_login(common(), login);

  ASSERT_TRUE(request);
  EXPECT_EQ(text(*request, common(), F::target_name), login.target);
  EXPECT_EQ(text(*request, common(), F::iface_name), login.iface);
  EXPECT_EQ(text(*request, common(), F::address), login.address);
  EXPECT_EQ(text(*request, common(), F::password), std::string(255, 'p'));
}

TEST(IscsidMessageTest, a_daemon_that_would_scan_every_lun_is_refused) {
  const Result<std::string> request = encode_login(layout_of("2.0.874"), simple_login());

  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code(), Errc::unsupported);
}

TEST(IscsidMessageTest, session_requests_name_the_session_and_nothing_else) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    const std::string request =
        encode_session_request(IscsidCommand::session_logout, layout, 0x12345678);

    ASSERT_EQ(request.size(), layout.request_bytes);
    EXPECT_EQ(number_at(request, 0), 2U);
    EXPECT_EQ(number_at(request, 8), 0x12345678U);
    EXPECT_EQ(request.find_first_not_of('\0', 12), std::string::npos);
  }
}

TEST(IscsidMessageTest, the_layout_check_holds_only_a_session_nobody_has_and_the_transport) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    std::string request = encode_layout_check(layout);

    EXPECT_EQ(number_at(request, 0), 12U);
    EXPECT_EQ(number_at(request, 8), 0x7ffffff0U);
    EXPECT_EQ(text(request, layout, F::transport_name), "tcp");
    request.replace(layout.offset(F::transport_name), 3, 3, '\0');
    EXPECT_EQ(request.find_first_not_of('\0', 12), std::string::npos);
  }
}

TEST(IscsidMessageTest, a_probe_has_the_size_that_was_asked_for) {
  for (const std::size_t bytes : {std::size_t{4}, std::size_t{8}, std::size_t{65536}}) {
    const std::string request = encode_request(IscsidCommand::config_initiator_name, bytes);
    EXPECT_EQ(request.size(), bytes);
    EXPECT_EQ(number_at(request, 0), 8U);
  }
}

TEST(IscsidMessageTest, counters_are_read_from_a_reply_to_statistics) {
  std::string bytes = reply_bytes(7, 0);
  put(bytes, 64, std::uint64_t{0x100000001});
  put(bytes, 72, std::uint64_t{2});
  put(bytes, 84, std::uint32_t{3});
  put(bytes, 116, std::uint32_t{4});
  put(bytes, 148, std::uint32_t{5});
  put(bytes, 152, std::uint32_t{6});
  put(bytes, 156, std::uint32_t{0xffffffff});  // Number of custom counters: never believed.

  const Result<IscsidReply> reply = decode_reply(bytes, IscsidCommand::session_stats);

  ASSERT_TRUE(reply);
  ASSERT_TRUE(reply->counters);
  EXPECT_EQ(reply->counters->tx_bytes, 0x100000001U);
  EXPECT_EQ(reply->counters->rx_bytes, 2U);
  EXPECT_EQ(reply->counters->commands, 3U);
  EXPECT_EQ(reply->counters->responses, 4U);
  EXPECT_EQ(reply->counters->digest_errors, 5U);
  EXPECT_EQ(reply->counters->timeout_errors, 6U);
}

TEST(IscsidMessageTest, a_failed_reply_to_statistics_has_no_counters) {
  const Result<IscsidReply> reply = decode_reply(reply_bytes(7, 2), IscsidCommand::session_stats);

  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->result, 2);
  EXPECT_FALSE(reply->counters);
}

TEST(IscsidMessageTest, an_initiator_name_ends_at_its_nul_and_within_its_field) {
  std::string bytes = reply_bytes(8, 0);
  std::string("iqn.x\0junk", 10).copy(bytes.data() + 8, 10);
  const Result<IscsidReply> reply = decode_reply(bytes, IscsidCommand::config_initiator_name);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->initiator_name, "iqn.x");

  bytes.replace(8, 255, 255, 'x');
  const Result<IscsidReply> endless = decode_reply(bytes, IscsidCommand::config_initiator_name);
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code(), Errc::protocol);
}

TEST(IscsidMessageTest, a_refusal_is_a_reply_to_any_command) {
  const Result<IscsidReply> reply = decode_reply(reply_bytes(0, 13), IscsidCommand::session_login);

  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->result, 13);
}

TEST(IscsidMessageTest, a_reply_of_another_size_or_to_another_command_is_refused) {
  const std::string good = reply_bytes(1, 0);
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "x", reply_bytes(2, 0), reply_bytes(0, 0)}) {
    const Result<IscsidReply> reply = decode_reply(bad, IscsidCommand::session_login);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), Errc::protocol);
  }
}

TEST(IscsidMessageTest, results_say_whose_turn_it_is) {
  struct Case {
    int result;
    IscsidCommand command;
    Errc code;
    Stage stage;
  };
  constexpr auto kLogin = IscsidCommand::session_login;
  constexpr auto kLogout = IscsidCommand::session_logout;
  constexpr auto kStats = IscsidCommand::session_stats;
  for (const Case& item :
       {Case{2, kLogout, Errc::not_found, Stage::logout},
        Case{4, kLogin, Errc::unavailable, Stage::login},
        Case{5, kLogin, Errc::protocol, Stage::login},
        Case{8, kLogin, Errc::unavailable, Stage::login}, Case{9, kLogin, Errc::io, Stage::login},
        Case{9, kLogout, Errc::busy, Stage::logout},
        Case{11, kLogin, Errc::unavailable, Stage::login},
        Case{12, kLogin, Errc::unsupported, Stage::login},
        Case{13, kStats, Errc::permission_denied, Stage::none},
        Case{15, kLogin, Errc::already_exists, Stage::login},
        Case{19, kLogin, Errc::protocol, Stage::login},
        Case{24, kLogin, Errc::unauthenticated, Stage::login},
        Case{28, kLogout, Errc::busy, Stage::logout}, Case{32, kLogout, Errc::busy, Stage::logout},
        Case{-7, kLogin, Errc::io, Stage::login}, Case{4711, kStats, Errc::io, Stage::none}}) {
    const Error error = iscsid_error(item.result, item.command);
    EXPECT_EQ(error.code(), item.code) << item.result;
    EXPECT_EQ(error.stage(), item.stage) << item.result;
    EXPECT_EQ(error.iscsi_status(), item.result);
    EXPECT_EQ(error.outcome(), Outcome::unchanged);
    EXPECT_THAT(error.message(), HasSubstr("result " + std::to_string(item.result) + ":"));
  }
}

TEST(IscsidMessageTest, a_login_that_was_refused_says_which_side_refused) {
  const Chap both = mutual();
  const Chap one_way{.username = "user", .password = Secret("secret-out-1")};
  const auto text = [](int result, const Chap* chap) {
    return login_error(result, chap).message();
  };
  EXPECT_THAT(text(24, nullptr), HasSubstr("the target refused us: it asks for CHAP"));
  EXPECT_THAT(text(24, &one_way), HasSubstr("the target refused our CHAP credentials"));
  EXPECT_THAT(text(24, &both), HasSubstr("the target refused our CHAP credentials"));
  EXPECT_THAT(text(19, &both), HasSubstr("this host refused the target"));
  EXPECT_THAT(text(19, &one_way), ::testing::Not(HasSubstr("this host refused")));
  EXPECT_EQ(login_error(19, &both).code(), Errc::unauthenticated);
  EXPECT_EQ(login_error(19, nullptr).code(), Errc::protocol);
  EXPECT_EQ(login_error(24, &both).iscsi_status(), 24);
}

TEST(IscsidMessageTest, a_link_local_address_keeps_its_zone) {
  LoginRequest login = simple_login();
  login.address = "fe80::2%eth1";
  const Result<std::string> request = encode_login(common(), login);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(text(*request, common(), F::address), "fe80::2%eth1");
  for (const char* wrong : {"fe80::2%", "10.0.0.1%eth1", "eth1%fe80::2", "fe80::2%et h"}) {
    login.address = wrong;
    EXPECT_FALSE(encode_login(common(), login)) << wrong;
  }
}

}  // namespace
}  // namespace hawser
