#include "wire/iscsid_message.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace hawser {
namespace {

using F = IscsidField;

const IscsidLayout& layout_of(std::string_view releases) {
  const auto layouts = iscsid_layouts();
  const auto found = std::find_if(layouts.begin(), layouts.end(),
                                  [&](const IscsidLayout& l) { return l.releases == releases; });
  HAWSER_ASSERT(found != layouts.end());
  return *found;
}

std::uint32_t number_at(const std::string& request, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, request.data() + offset, 4);
  return value;
}

TEST(IscsidLayoutTest, no_two_fields_overlap_and_all_lie_in_the_request) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    SCOPED_TRACE(layout.releases);
    std::vector<std::uint16_t> offsets;
    for (const std::uint16_t offset : layout.offsets) {
      if (offset != 0) offsets.push_back(offset);
      EXPECT_LT(offset + 16u, layout.request_bytes);
    }
    std::sort(offsets.begin(), offsets.end());
    for (std::size_t i = 1; i < offsets.size(); ++i)
      EXPECT_GE(offsets[i] - offsets[i - 1], 4);
    EXPECT_EQ(layout.offset(F::target_name), 32u);
  }
}

TEST(IscsidLayoutTest, layouts_of_one_size_are_told_apart_by_the_transports_name) {
  for (const IscsidLayout& a : iscsid_layouts()) {
    for (const IscsidLayout& b : iscsid_layouts()) {
      if (&a == &b || a.request_bytes != b.request_bytes) continue;
      EXPECT_NE(a.offset(F::transport_name), b.offset(F::transport_name));
    }
  }
}

// Offsets as a running Debian 12 iscsid was measured to read them.
TEST(EncodeLoginTest, everything_stands_where_iscsid_2_1_8_reads_it) {
  const Chap chap{.username = "user",
                  .password = Secret("secret"),
                  .username_in = "back",
                  .password_in = Secret("hidden")};
  const Result<std::string> request =
      encode_login(layout_of("2.1.1 to 2.1.10"), {.target = "iqn.x",
                                                  .address = "fd00::2",
                                                  .port = 3261,
                                                  .group = 3,
                                                  .chap = &chap,
                                                  .login_timeout = std::chrono::seconds(7),
                                                  .recovery_timeout = std::chrono::seconds(9)});

  ASSERT_TRUE(request) << request.error().message();
  ASSERT_EQ(request->size(), 16104u);
  EXPECT_EQ(number_at(*request, 0), 1u);
  EXPECT_STREQ(request->data() + 32, "iqn.x");
  EXPECT_EQ(number_at(*request, 288), 3u);  // Group.
  EXPECT_EQ(number_at(*request, 324), 1u);  // One try.
  EXPECT_EQ(number_at(*request, 332), 0u);  // Manual scan.
  EXPECT_STREQ(request->data() + 340, "user");
  EXPECT_STREQ(request->data() + 596, "secret");
  EXPECT_EQ(number_at(*request, 852), 6u);
  EXPECT_STREQ(request->data() + 856, "back");
  EXPECT_STREQ(request->data() + 1112, "hidden");
  EXPECT_EQ(number_at(*request, 1392), 9u);  // Replacement time-out.
  EXPECT_EQ(number_at(*request, 1452), 1u);  // R2T: zero would be refused by targets.
  EXPECT_STREQ(request->data() + 2252, "fd00::2");
  EXPECT_EQ(number_at(*request, 3280), 3261u);
  EXPECT_EQ(number_at(*request, 3284), 0u);  // Window size: the kernel's own tuning.
  EXPECT_EQ(number_at(*request, 3292), 7u);  // Login time-out.
  EXPECT_STREQ(request->data() + 3360, "default");
  EXPECT_STREQ(request->data() + 14534, "tcp");
}

TEST(EncodeLoginTest, no_timeout_is_left_at_zero) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    if (!layout.has(F::scan)) continue;
    SCOPED_TRACE(layout.releases);
    const Result<std::string> request =
        encode_login(layout, {.target = "iqn.x", .address = "10.0.0.1"});
    ASSERT_TRUE(request);
    for (const F field :
         {F::abort_timeout, F::lu_reset_timeout, F::target_reset_timeout, F::host_reset_timeout,
          F::login_timeout, F::logout_timeout, F::noop_out_interval, F::noop_out_timeout,
          F::replacement_timeout, F::cmds_max, F::queue_depth, F::max_outstanding_r2t})
      EXPECT_NE(number_at(*request, layout.offset(field)), 0u) << static_cast<int>(field);
  }
}

TEST(EncodeLoginTest, what_iscsid_would_choke_on_is_refused) {
  const IscsidLayout& layout = layout_of("2.1.13");
  const Chap only_incoming{.username_in = "i", .password_in = Secret("p")};
  const LoginRequest good{.target = "iqn.x", .address = "10.0.0.1"};
  const auto with = [&](auto change) {
    LoginRequest request = good;
    change(request);
    return encode_login(layout, request);
  };
  EXPECT_TRUE(encode_login(layout, good));
  EXPECT_FALSE(with([](LoginRequest& r) { r.address = "storage.example"; }));
  EXPECT_FALSE(with([](LoginRequest& r) { r.address = "10.0.0.1:3260"; }));
  EXPECT_FALSE(with([](LoginRequest& r) { r.target = std::string(255, 'x'); }));
  EXPECT_FALSE(with([](LoginRequest& r) { r.target = ""; }));
  EXPECT_FALSE(with([](LoginRequest& r) { r.iface = ""; }));
  EXPECT_FALSE(with([](LoginRequest& r) { r.iface = std::string(65, 'x'); }));
  EXPECT_FALSE(with([&](LoginRequest& r) { r.chap = &only_incoming; }));
}

TEST(DecodeReplyTest, anything_but_a_whole_reply_to_the_command_is_refused) {
  constexpr auto kCommand = IscsidCommand::config_initiator_name;
  std::string reply(kIscsidReplyBytes, '\0');
  reply[0] = 8;
  EXPECT_TRUE(decode_reply(reply, kCommand));
  EXPECT_FALSE(decode_reply(reply.substr(1), kCommand));
  EXPECT_FALSE(decode_reply(reply + 'x', kCommand));
  EXPECT_FALSE(decode_reply("", kCommand));
  std::fill(reply.begin() + 8, reply.end(), 'x');
  EXPECT_FALSE(decode_reply(reply, kCommand));  // A name without an end.
  reply[0] = 7;
  EXPECT_FALSE(decode_reply(reply, kCommand));
}

TEST(DecodeReplyTest, a_refusal_before_the_request_was_read_is_understood) {
  std::string reply(kIscsidReplyBytes, '\0');
  reply[4] = 13;
  const Result<IscsidReply> decoded = decode_reply(reply, IscsidCommand::session_login);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(iscsid_error(decoded->result, IscsidCommand::session_login).code(),
            Errc::permission_denied);
}

TEST(IscsidErrorTest, results_lead_to_what_the_caller_can_do) {
  const auto code = [](int result) {
    return iscsid_error(result, IscsidCommand::session_login).code();
  };
  EXPECT_EQ(code(8), Errc::unavailable);
  EXPECT_EQ(code(11), Errc::unavailable);
  EXPECT_EQ(code(15), Errc::already_exists);
  EXPECT_EQ(code(19), Errc::protocol);
  EXPECT_EQ(code(24), Errc::unauthenticated);
  EXPECT_EQ(code(999), Errc::io);
  EXPECT_EQ(iscsid_error(24, IscsidCommand::session_login).iscsi_status(), 24);
}

}  // namespace
}  // namespace hawser
