#include "host/login_wait.h"

#include <unistd.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "support/fake_iscsid.h"

namespace hawser {
namespace {

using Answer = FakeIscsid::Answer;
using Behaviour = FakeIscsid::Behaviour;
using Found = Result<std::optional<Session>>;

const Session kSession{.sid = 7, .target = "iqn.2004-10.test:disk", .address = "10.0.1.2"};

class LoginWaitTest : public ::testing::Test {
 protected:
  // The whole of a login to a daemon that behaves so, while sysfs shows what `find` says.
  Result<Session> log_in(const Behaviour& behaviour, const std::function<Found()>& find) {
    const FakeIscsid daemon(behaviour);
    IscsidClient client(daemon.name(), ::getuid());
    Result<IscsidExchange> sent = client.send_login(
        ctx(), {.target = kSession.target, .address = kSession.address, .chap = nullptr});
    HAWSER_ASSERT(sent);
    return wait_for_login(ctx(), client, *std::move(sent), nullptr, nullptr, find);
  }
  Ctx ctx() const {
    return {.clock = clock_,
            .deadline = clock_.now() + std::chrono::minutes(1),
            .stop = stop_.get_token()};
  }
  static Behaviour usual(Answer to_logins) {
    const auto can_scan_by_hand =
        std::find_if(iscsid_layouts().begin(), iscsid_layouts().end(),
                     [](const IscsidLayout& layout) { return layout.has(IscsidField::scan); });
    return {.layout = &*can_scan_by_hand, .login_answer = to_logins};
  }

  const SystemClock clock_{};
  std::stop_source stop_{};
};

TEST_F(LoginWaitTest, the_session_of_an_answered_login_is_ours) {
  const Result<Session> session =
      log_in(usual(Answer::whole), [] { return Found(std::optional(kSession)); });
  ASSERT_TRUE(session) << session.error().message();
  EXPECT_EQ(*session, kSession);
}

TEST_F(LoginWaitTest, what_iscsid_refuses_has_changed_nothing) {
  Behaviour refusing = usual(Answer::whole);
  refusing.login_result = 24;
  const Result<Session> session = log_in(refusing, [] { return Found(std::nullopt); });
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().iscsi_status(), 24);
  EXPECT_EQ(session.error().outcome(), Outcome::unchanged);
}

TEST_F(LoginWaitTest, a_daemon_that_hangs_up_may_have_logged_in) {
  const Result<Session> session =
      log_in(usual(Answer::hang_up), [] { return Found(std::nullopt); });
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().outcome(), Outcome::unknown);
}

// The session is there already when the caller gives up: whoever takes that for a failed login
// leaves it behind.
TEST_F(LoginWaitTest, one_that_is_cancelled_while_iscsid_is_asked_about_it_may_have_logged_in) {
  const Result<Session> session = log_in(usual(Answer::silence), [&] {
    stop_.request_stop();
    return Found(std::optional(kSession));
  });
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), Errc::cancelled);
  EXPECT_EQ(session.error().outcome(), Outcome::unknown);
}

TEST_F(LoginWaitTest, one_whose_session_cannot_be_looked_for_may_have_logged_in) {
  const Result<Session> session =
      log_in(usual(Answer::silence), [] { return Found(Error(Errc::io, "read sysfs")); });
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), Errc::io);
  EXPECT_EQ(session.error().outcome(), Outcome::unknown);
}

}  // namespace
}  // namespace hawser
