#include <unistd.h>

#include <gtest/gtest.h>

#include "iscsid/client.h"
#include "support/fake_iscsid.h"
#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;
using Manner = FakeIscsid::Manner;

const LoginRequest kLogin{.target = "iqn.x", .address = "10.0.1.2"};

class IscsidClientTest : public ::testing::Test {
 protected:
  // Generous: only a hang meets it.
  Ctx ctx(std::chrono::nanoseconds budget = 60s) const {
    return {.clock = clock_, .deadline = clock_.now() + budget};
  }
  Result<IscsidReply> reply_of(IscsidExchange& exchange) const {
    for (;;) {
      HAWSER_TRY(wait_readable(ctx(), exchange.fd()));
      HAWSER_TRY_ASSIGN(const std::optional<IscsidReply> reply, exchange.poll_reply());
      if (reply) return *reply;
    }
  }

  SystemClock clock_{};
  TempTree tree_{};
  std::string path_ = tree_.path("iscsid");
  IscsidClient client_{path_, ::geteuid()};
};

TEST_F(IscsidClientTest, the_layout_of_every_daemon_is_found) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    SCOPED_TRACE(layout.releases);
    const std::string path = tree_.path(std::to_string(&layout - iscsid_layouts().data()));
    const FakeIscsid daemon(path, layout);
    IscsidClient client(path, ::geteuid());

    const Result<const IscsidLayout*> found = client.layout(ctx());

    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ((*found)->releases, layout.releases);
  }
}

TEST_F(IscsidClientTest, every_daemon_answers_a_login_in_its_own_layout) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    SCOPED_TRACE(layout.releases);
    const std::string path = tree_.path(std::to_string(&layout - iscsid_layouts().data()));
    FakeIscsid daemon(path, layout);
    IscsidClient client(path, ::geteuid());

    Result<IscsidExchange> sent = client.send_login(ctx(), kLogin);
    if (!layout.has(IscsidField::scan)) {
      ASSERT_FALSE(sent);
      EXPECT_EQ(sent.error().code(), Errc::unsupported);
      continue;
    }
    ASSERT_TRUE(sent) << sent.error().message();
    const Result<IscsidReply> reply = reply_of(*sent);
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->result, 0);
    EXPECT_STREQ(daemon.last_login.data() + layout.offset(IscsidField::target_name), "iqn.x");
    EXPECT_STREQ(daemon.last_login.data() + layout.offset(IscsidField::address), "10.0.1.2");
  }
}

TEST_F(IscsidClientTest, an_unknown_daemon_is_refused_with_the_size_that_it_wants) {
  IscsidLayout unknown = iscsid_layouts().front();
  unknown.request_bytes = 16200;
  const FakeIscsid daemon(path_, unknown);

  const Result<const IscsidLayout*> found = client_.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unsupported);
  EXPECT_NE(found.error().message().find("16200"), std::string::npos) << found.error().message();
}

TEST_F(IscsidClientTest, a_daemon_of_a_known_size_with_other_offsets_is_refused) {
  IscsidLayout moved = iscsid_layouts().front();
  for (std::uint16_t& offset : moved.offsets)
    offset = static_cast<std::uint16_t>(offset + 24);
  const FakeIscsid daemon(path_, moved);

  const Result<const IscsidLayout*> found = client_.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unsupported);
}

TEST_F(IscsidClientTest, a_daemon_that_misbehaves_gives_an_error_and_no_hang) {
  struct Case {
    Manner manner;
    Errc code;
  };
  const Case cases[] = {
      {Manner::hangs_up, Errc::unsupported},
      {Manner::answers_half, Errc::protocol},
      {Manner::wrong_command, Errc::protocol},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(static_cast<int>(c.manner));
    const std::string path = tree_.path("m" + std::to_string(static_cast<int>(c.manner)));
    const FakeIscsid daemon(path, iscsid_layouts().front(), c.manner);
    IscsidClient client(path, ::geteuid());

    const Result<std::string> name = client.initiator_name(ctx());

    ASSERT_FALSE(name);
    EXPECT_EQ(name.error().code(), c.code) << name.error().message();
  }
}

TEST_F(IscsidClientTest, a_daemon_that_says_nothing_meets_the_deadline) {
  const FakeIscsid daemon(path_, iscsid_layouts().front(), Manner::says_nothing);

  const Result<const IscsidLayout*> found = client_.layout(ctx(50ms));

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::deadline_exceeded);
}

TEST_F(IscsidClientTest, a_login_that_is_never_answered_can_be_waited_for_beside_other_things) {
  const FakeIscsid daemon(path_, iscsid_layouts().front(), Manner::ignores_logins);

  Result<IscsidExchange> sent = client_.send_login(ctx(), kLogin);

  ASSERT_TRUE(sent) << sent.error().message();
  const Result<std::optional<IscsidReply>> reply = sent->poll_reply();
  ASSERT_TRUE(reply);
  EXPECT_FALSE(*reply);
}

TEST_F(IscsidClientTest, no_daemon_is_an_error_that_says_what_to_start) {
  const Result<const IscsidLayout*> found = client_.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unavailable);
  EXPECT_NE(found.error().message().find("start iscsid"), std::string::npos);
}

TEST_F(IscsidClientTest, a_daemon_of_another_user_is_told_nothing) {
  FakeIscsid daemon(path_, iscsid_layouts().front());
  IscsidClient wary(path_, ::geteuid() + 1);

  const Result<IscsidExchange> sent = wary.send_login(ctx(), kLogin);

  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), Errc::permission_denied);
  EXPECT_TRUE(daemon.last_login.empty());
}

TEST_F(IscsidClientTest, a_daemon_that_was_replaced_is_asked_anew) {
  auto old = std::make_unique<FakeIscsid>(path_, iscsid_layouts()[0]);
  ASSERT_TRUE(client_.initiator_name(ctx()));
  old.reset();
  ::unlink(path_.c_str());
  const FakeIscsid next(path_, iscsid_layouts()[2]);  // Longer: it hangs up on the old size.

  EXPECT_FALSE(client_.initiator_name(ctx()));
  const Result<std::string> name = client_.initiator_name(ctx());

  ASSERT_TRUE(name) << name.error().message();
  EXPECT_EQ(*name, "iqn.2026-11.org.example:fake");
}

TEST_F(IscsidClientTest, what_iscsid_says_of_a_logout_becomes_an_error) {
  FakeIscsid daemon(path_, iscsid_layouts().front());
  daemon.result = 9;

  const Status out = client_.logout(ctx(), 4);

  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Errc::busy);
  EXPECT_EQ(out.error().iscsi_status(), 9);
}

TEST_F(IscsidClientTest, counters_and_logins_in_flight_are_read) {
  const FakeIscsid daemon(path_, iscsid_layouts().front());

  const Result<SessionReport::Counters> counters = client_.counters(ctx(), 1);
  const Result<bool> in_flight = client_.login_in_flight(ctx());

  ASSERT_TRUE(counters);
  EXPECT_EQ(counters->tx_bytes, 4096u);
  ASSERT_TRUE(in_flight);
  EXPECT_FALSE(*in_flight);
}

}  // namespace
}  // namespace hawser
