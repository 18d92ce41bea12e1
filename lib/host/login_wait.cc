#include "host/login_wait.h"

#include <array>
#include <utility>
#include <variant>

#include "os/poll.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// iscsid 2.1.10 never answers a login with a manual scan, and the kernel sends no event when a
// session has logged in: between hints we look at sysfs.
constexpr auto kLoginTick = 200ms;

struct Refused {
  int result;
};
using Answer = std::variant<Session, Refused>;

Result<Answer> wait_for_answer(const Ctx& ctx, IscsidClient& iscsid, IscsidExchange& exchange,
                               IscsiEvents* events,
                               const std::function<Result<std::optional<Session>>()>& find) {
  bool is_answered = false;
  for (;;) {
    const std::array<int, 2> fds{is_answered ? -1 : exchange.fd(),
                                 events != nullptr ? events->fd() : -1};
    HAWSER_TRY_ASSIGN(const bool woken, wait_readable_for(ctx, fds, kLoginTick));
    if (events != nullptr) events->drain();
    if (!is_answered) {
      HAWSER_TRY_ASSIGN(const std::optional<IscsidReply> reply, exchange.poll_reply());
      if (reply && reply->result != iscsid_result::kSuccess) return Answer(Refused{reply->result});
      is_answered = reply.has_value();
    }
    HAWSER_TRY_ASSIGN(const std::optional<Session> session, find());
    if (!session) continue;
    if (is_answered) return Answer(*session);
    // It may be another's login that came first. Ours it is when iscsid, silent for a while, tries
    // no login any more.
    if (woken) continue;
    HAWSER_TRY_ASSIGN(const bool in_flight, iscsid.login_in_flight(ctx));
    if (!in_flight) return Answer(*session);
  }
}

}  // namespace

Result<Session> wait_for_login(const Ctx& ctx, IscsidClient& iscsid, IscsidExchange exchange,
                               IscsiEvents* events, const Chap* chap,
                               const std::function<Result<std::optional<Session>>()>& find) {
  Result<Answer> answer = wait_for_answer(ctx, iscsid, exchange, events, find);
  if (!answer) {
    return std::move(answer).error().with("login").with(Stage::login).with(Outcome::unknown);
  }
  if (const auto* refused = std::get_if<Refused>(&*answer))
    return login_error(refused->result, chap);
  return std::get<Session>(*std::move(answer));
}

}  // namespace hawser
