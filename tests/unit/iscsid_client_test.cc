#include <unistd.h>

#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "iscsid/client.h"
#include "support/fake_iscsid.h"

namespace hawser {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Answer = FakeIscsid::Answer;
using Behaviour = FakeIscsid::Behaviour;

const IscsidLayout& layout_of(std::string_view releases) {
  for (const IscsidLayout& layout : iscsid_layouts())
    if (layout.releases == releases) return layout;
  ADD_FAILURE() << "no layout for " << releases;
  return iscsid_layouts().front();
}

LoginRequest simple_login() {
  return {.target = "iqn.2004-10.test:disk", .address = "10.0.1.2", .chap = nullptr};
}

class IscsidClientTest : public ::testing::Test {
 protected:
  Ctx ctx() const { return {.clock = clock_, .deadline = clock_.now() + std::chrono::minutes(1)}; }
  // For what never comes.
  Ctx soon() const {
    return {.clock = clock_, .deadline = clock_.now() + std::chrono::milliseconds(30)};
  }
  static Behaviour usual() { return {.layout = &layout_of("2.1.1 to 2.1.10")}; }

  const SystemClock clock_{};
};

TEST_F(IscsidClientTest, every_release_is_recognized) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    SCOPED_TRACE(layout.releases);
    const FakeIscsid daemon({.layout = &layout});
    IscsidClient client(daemon.name(), ::getuid());

    const Result<const IscsidLayout*> found = client.layout(ctx());

    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(*found, &layout);
    // Nothing that could change anything was asked on the way.
    EXPECT_THAT(daemon.requests(IscsidCommand::session_login), SizeIs(0));
    EXPECT_THAT(daemon.requests(IscsidCommand::session_logout), SizeIs(0));
  }
}

TEST_F(IscsidClientTest, a_login_reaches_each_release_that_can_scan_by_hand) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    if (!layout.has(IscsidField::scan)) continue;
    SCOPED_TRACE(layout.releases);
    const FakeIscsid daemon({.layout = &layout});
    IscsidClient client(daemon.name(), ::getuid());

    Result<IscsidExchange> login = client.send_login(ctx(), simple_login());
    ASSERT_TRUE(login) << login.error().message();
    const Result<IscsidReply> reply = login->read_reply(ctx());

    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->result, 0);
    const std::vector<std::string> taken = daemon.requests(IscsidCommand::session_login);
    ASSERT_THAT(taken, SizeIs(1));
    EXPECT_STREQ(taken[0].c_str() + layout.offset(IscsidField::address), "10.0.1.2");
  }
}

TEST_F(IscsidClientTest, a_release_that_scans_every_lun_gets_no_login) {
  const FakeIscsid daemon({.layout = &layout_of("2.0.874")});
  IscsidClient client(daemon.name(), ::getuid());

  const Result<IscsidExchange> login = client.send_login(ctx(), simple_login());

  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().code(), Errc::unsupported);
  EXPECT_THAT(daemon.requests(IscsidCommand::session_login), SizeIs(0));
}

TEST_F(IscsidClientTest, a_size_that_is_not_known_is_named_and_nothing_is_sent) {
  for (const std::size_t bytes : {16140U, 16120U, 12000U, 20000U}) {
    const FakeIscsid daemon({.request_bytes = bytes, .layout = &layout_of("2.1.13")});
    IscsidClient client(daemon.name(), ::getuid());

    const Result<IscsidExchange> login = client.send_login(ctx(), simple_login());

    ASSERT_FALSE(login);
    EXPECT_EQ(login.error().code(), Errc::unsupported);
    EXPECT_EQ(login.error().stage(), Stage::preflight);
    EXPECT_THAT(login.error().message(), HasSubstr(std::to_string(bytes) + " bytes"));
    EXPECT_THAT(daemon.requests(IscsidCommand::session_login), SizeIs(0));
  }
}

TEST_F(IscsidClientTest, a_known_size_with_other_offsets_is_refused) {
  // As large as 2.1.1, but with its transport where 2.1.13 has it.
  const FakeIscsid daemon({.request_bytes = 16104, .layout = &layout_of("2.1.13")});
  IscsidClient client(daemon.name(), ::getuid());

  const Result<const IscsidLayout*> found = client.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unsupported);
}

TEST_F(IscsidClientTest, a_daemon_to_which_every_size_is_right_is_not_believed) {
  Behaviour greedy = usual();
  greedy.reads_all = true;
  const FakeIscsid daemon(greedy);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<const IscsidLayout*> found = client.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unsupported);
}

TEST_F(IscsidClientTest, a_daemon_that_answers_nothing_is_unavailable) {
  Behaviour mute = usual();
  mute.answer = Answer::hang_up;
  const FakeIscsid daemon(mute);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<const IscsidLayout*> found = client.layout(ctx());

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::unavailable);
}

TEST_F(IscsidClientTest, a_daemon_that_closes_without_reading_has_not_answered) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  Behaviour dropping = usual();
  dropping.drops = true;
  daemon.become(dropping);

  Result<IscsidExchange> login = client.send_login(ctx(), simple_login());
  ASSERT_TRUE(login) << login.error().message();
  const Result<IscsidReply> reply = login->read_reply(ctx());

  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), Errc::unavailable);
  EXPECT_EQ(reply.error().outcome(), Outcome::unknown);
  EXPECT_THAT(reply.error().message(), HasSubstr("without an answer"));
}

TEST_F(IscsidClientTest, a_daemon_without_an_initiator_name_is_recognized) {
  Behaviour nameless = usual();
  nameless.has_initiator_name = false;
  const FakeIscsid daemon(nameless);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<const IscsidLayout*> found = client.layout(ctx());

  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, nameless.layout);
}

TEST_F(IscsidClientTest, the_layout_is_asked_for_once) {
  const FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.initiator_name(ctx()));
  const int before = daemon.connections();

  ASSERT_TRUE(client.initiator_name(ctx()));

  EXPECT_EQ(daemon.connections() - before, 1);
}

TEST_F(IscsidClientTest, the_padded_name_of_2_0_873_is_found) {
  const FakeIscsid daemon({.layout = &layout_of("2.0.873")}, FakeIscsid::Name::padded);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<const IscsidLayout*> found = client.layout(ctx());

  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ((*found)->releases, "2.0.873");
}

TEST_F(IscsidClientTest, no_daemon_is_unavailable_and_says_what_to_start) {
  IscsidClient client("hawser-test-nobody-listens", ::getuid());

  const Result<std::string> name = client.initiator_name(ctx());

  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code(), Errc::unavailable);
  EXPECT_EQ(name.error().stage(), Stage::preflight);
  EXPECT_THAT(name.error().message(), HasSubstr("start iscsid"));
}

TEST_F(IscsidClientTest, a_listener_of_another_user_gets_nothing_at_all) {
  const FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid() + 1);

  const Result<IscsidExchange> login = client.send_login(ctx(), simple_login());

  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().code(), Errc::permission_denied);
  EXPECT_EQ(login.error().outcome(), Outcome::unchanged);
  EXPECT_THAT(daemon.requests(IscsidCommand::config_initiator_name), SizeIs(0));
}

TEST_F(IscsidClientTest, being_refused_is_permission_denied) {
  Behaviour refusing = usual();
  refusing.refuses = true;
  const FakeIscsid daemon(refusing);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<std::string> name = client.initiator_name(ctx());

  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code(), Errc::permission_denied);
  EXPECT_EQ(name.error().iscsi_status(), 13);
}

TEST_F(IscsidClientTest, answers_are_read) {
  const FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());

  const Result<std::string> name = client.initiator_name(ctx());
  const Result<SessionReport::Counters> counters = client.counters(ctx(), 4);
  const Result<bool> in_flight = client.login_in_flight(ctx());

  ASSERT_TRUE(name);
  EXPECT_EQ(*name, "iqn.2004-10.test:initiator");
  ASSERT_TRUE(counters);
  EXPECT_EQ(counters->rx_bytes, 0x100000222U);
  EXPECT_EQ(counters->commands, 333U);
  ASSERT_TRUE(in_flight);
  EXPECT_TRUE(*in_flight);
  EXPECT_TRUE(client.logout(ctx(), 4));
}

TEST_F(IscsidClientTest, a_session_that_is_not_known_is_not_found_or_not_in_flight) {
  Behaviour empty = usual();
  empty.session_result = 2;
  const FakeIscsid daemon(empty);
  IscsidClient client(daemon.name(), ::getuid());

  const Result<bool> in_flight = client.login_in_flight(ctx());
  const Status out = client.logout(ctx(), 4);

  ASSERT_TRUE(in_flight);
  EXPECT_FALSE(*in_flight);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Errc::not_found);
  EXPECT_EQ(out.error().iscsi_status(), 2);
}

TEST_F(IscsidClientTest, a_login_that_is_never_answered_can_be_watched_beside_sysfs) {
  Behaviour silent = usual();
  silent.login_answer = Answer::silence;
  const FakeIscsid daemon(silent);
  IscsidClient client(daemon.name(), ::getuid());

  Result<IscsidExchange> login = client.send_login(ctx(), simple_login());
  ASSERT_TRUE(login);
  const Result<std::optional<IscsidReply>> polled = login->poll_reply();
  const Result<IscsidReply> waited = login->read_reply(soon());

  ASSERT_TRUE(polled);
  EXPECT_FALSE(*polled);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), Errc::deadline_exceeded);
  EXPECT_EQ(waited.error().outcome(), Outcome::unknown);
  EXPECT_EQ(waited.error().stage(), Stage::login);
  // Others are served meanwhile.
  EXPECT_TRUE(client.initiator_name(ctx()));
}

TEST_F(IscsidClientTest, a_login_whose_daemon_hangs_up_may_have_happened) {
  for (const Answer answer : {Answer::hang_up, Answer::half, Answer::wrong_command}) {
    Behaviour dying = usual();
    dying.login_answer = answer;
    const FakeIscsid daemon(dying);
    IscsidClient client(daemon.name(), ::getuid());

    Result<IscsidExchange> login = client.send_login(ctx(), simple_login());
    ASSERT_TRUE(login);
    const Result<IscsidReply> reply = login->read_reply(ctx());

    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), answer == Answer::hang_up ? Errc::unavailable : Errc::protocol);
    EXPECT_EQ(reply.error().outcome(), Outcome::unknown);
  }
}

TEST_F(IscsidClientTest, a_logout_that_is_not_answered_has_an_unknown_outcome) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  Behaviour silent = usual();
  silent.answer = Answer::silence;
  daemon.become(silent);

  const Status out = client.logout(soon(), 4);

  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Errc::deadline_exceeded);
  EXPECT_EQ(out.error().outcome(), Outcome::unknown);
  EXPECT_EQ(out.error().stage(), Stage::logout);
}

TEST_F(IscsidClientTest, a_question_that_is_not_answered_changes_nothing) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  Behaviour half = usual();
  half.answer = Answer::half;
  daemon.become(half);

  const Result<SessionReport::Counters> counters = client.counters(ctx(), 4);

  ASSERT_FALSE(counters);
  EXPECT_EQ(counters.error().code(), Errc::protocol);
  EXPECT_EQ(counters.error().outcome(), Outcome::unchanged);
}

TEST_F(IscsidClientTest, a_wait_can_be_cancelled) {
  Behaviour silent = usual();
  silent.answer = Answer::silence;
  const FakeIscsid daemon(silent);
  IscsidClient client(daemon.name(), ::getuid());
  std::stop_source source;
  const Ctx cancellable{.clock = clock_, .stop = source.get_token()};
  std::jthread canceller([&source] { source.request_stop(); });

  const Result<std::string> name = client.initiator_name(cancellable);

  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code(), Errc::cancelled);
}

// Under socket activation the listener stays the same process when a package upgrade restarts
// iscsid: only the way in which the new daemon answers gives it away.
TEST_F(IscsidClientTest, an_upgrade_to_a_longer_request_is_noticed_and_the_question_asked_again) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  daemon.become({.layout = &layout_of("2.1.13")});

  const Result<SessionReport::Counters> counters = client.counters(ctx(), 4);

  ASSERT_TRUE(counters) << counters.error().message();
  const Result<const IscsidLayout*> now = client.layout(ctx());
  ASSERT_TRUE(now);
  EXPECT_EQ((*now)->releases, "2.1.13");
}

TEST_F(IscsidClientTest, after_an_upgrade_one_login_fails_and_the_next_one_fits) {
  for (const char* release : {"2.1.13", "2.0.876 to 2.1.0"}) {  // Longer, and shorter.
    SCOPED_TRACE(release);
    FakeIscsid daemon(usual());
    IscsidClient client(daemon.name(), ::getuid());
    ASSERT_TRUE(client.layout(ctx()));
    daemon.become({.layout = &layout_of(release)});

    Result<IscsidExchange> first = client.send_login(ctx(), simple_login());
    ASSERT_TRUE(first);
    const Result<IscsidReply> refused = first->read_reply(ctx());
    Result<IscsidExchange> second = client.send_login(ctx(), simple_login());
    ASSERT_TRUE(second);
    const Result<IscsidReply> accepted = second->read_reply(ctx());

    EXPECT_TRUE(!refused || refused->result == iscsid_result::kTransportNotFound);
    ASSERT_TRUE(accepted) << accepted.error().message();
    EXPECT_EQ(accepted->result, 0);
  }
}

TEST_F(IscsidClientTest, a_daemon_that_is_another_process_is_asked_before_it_gets_a_login) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  daemon.become_another_process({.layout = &layout_of("2.1.13")});

  Result<IscsidExchange> login = client.send_login(ctx(), simple_login());
  ASSERT_TRUE(login) << login.error().message();
  const Result<IscsidReply> reply = login->read_reply(ctx());

  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->result, 0);
}

TEST_F(IscsidClientTest, the_layout_is_that_of_the_process_that_listens_now) {
  FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  ASSERT_TRUE(client.layout(ctx()));
  daemon.become_another_process({.layout = &layout_of("2.1.13")});

  const Result<const IscsidLayout*> now = client.layout(ctx());

  ASSERT_TRUE(now);
  EXPECT_EQ((*now)->releases, "2.1.13");
}

TEST_F(IscsidClientTest, an_exchange_may_outlive_its_client) {
  Behaviour dying = usual();
  dying.login_answer = Answer::hang_up;
  const FakeIscsid daemon(dying);
  std::optional<IscsidExchange> login;
  {
    IscsidClient client(daemon.name(), ::getuid());
    Result<IscsidExchange> sent = client.send_login(ctx(), simple_login());
    ASSERT_TRUE(sent);
    login.emplace(*std::move(sent));
  }

  EXPECT_FALSE(login->read_reply(ctx()));
}

TEST_F(IscsidClientTest, many_threads_may_ask_at_once) {
  const FakeIscsid daemon(usual());
  IscsidClient client(daemon.name(), ::getuid());
  std::atomic<int> answered = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 48; ++i)  // More than the backlog takes.
      threads.emplace_back([&] { answered += client.initiator_name(ctx()) ? 1 : 0; });
  }

  EXPECT_EQ(answered, 48);
}

TEST_F(IscsidClientTest, a_full_backlog_meets_the_deadline) {
  const std::string name = "hawser-test-backlog-" + std::to_string(::getpid());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  name.copy(address.sun_path + 1, name.size());
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const IscsidEndpoint endpoint{.socket_name = name, .trusted_uid = ::getuid()};
  const Result<IscsidConnection> first = connect_iscsid(ctx(), endpoint);
  ASSERT_TRUE(first);

  const Result<IscsidConnection> second = connect_iscsid(soon(), endpoint);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::deadline_exceeded);
}

TEST_F(IscsidClientTest, a_daemon_that_reads_nothing_cannot_hold_us) {
  const std::string name = "hawser-test-deaf-" + std::to_string(::getpid());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  name.copy(address.sun_path + 1, name.size());
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  Result<IscsidConnection> connection =
      connect_iscsid(ctx(), {.socket_name = name, .trusted_uid = ::getuid()});
  ASSERT_TRUE(connection);

  // More than a socket buffers.
  const Result<IscsidExchange> sent =
      send_request(soon(), *std::move(connection), std::string(16 * 1024 * 1024, 'x'),
                   IscsidCommand::session_login, nullptr);

  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), Errc::deadline_exceeded);
  EXPECT_EQ(sent.error().outcome(), Outcome::unchanged);  // A request that is not whole.
}

}  // namespace
}  // namespace hawser
