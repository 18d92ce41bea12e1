#include "engine/sessions.h"

#include <algorithm>
#include <utility>

#include "engine/other_logs.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// iscsid announces neither that a login goes on nor that it has failed, so both are looked up.
constexpr auto kLoginLookInterval = 100ms;

// After its time-out iscsid needs a moment to tear a login down.
constexpr std::int64_t kLoginSlackMs = 5000;

// One that iscsid, stopped or stuck, could not begin with until now may last as long as usual yet.
constexpr std::int64_t kLateLoginMs = 20'000;

// A login to a session that is there is answered at once, if iscsid answers at all.
constexpr std::int64_t kUnsettledMs = 5000;

Result<Operation::SharedLock> lock_session(const Ctx& ctx, Operation& operation,
                                           const SessionKey& key) {
  return operation.lock_shared(ctx, "session " + to_string(key));
}

Result<std::optional<Session>> find_session(const Ctx& ctx, Operation& operation,
                                            const SessionKey& key) {
  HAWSER_TRY_ASSIGN(const std::vector<Session> sessions,
                    operation.host().sessions_to(ctx, key.target));
  for (const Session& session : sessions) {
    if (runs_through(session, key)) return {session};
  }
  return std::optional<Session>{};
}

Result<std::optional<Session>> find_session(const Ctx& ctx, Operation& operation,
                                            const SessionEntry& entry) {
  if (!entry.sid) return find_session(ctx, operation, entry.key);
  HAWSER_TRY_ASSIGN(std::optional<Session> session, operation.host().session(ctx, *entry.sid));
  if (session && !runs_through(*session, entry.key)) session.reset();
  return session;
}

// What another attachment has with a session.
struct Use {
  Origin origin = Origin::foreign;
  bool is_settled = true;  // Else it has announced a login, and may come to use the session or not.
};

// How other attachments of this boot use the session. A log that cannot be read counts as one that
// does, and that found the session there: better a session too many than one taken from under
// somebody.
//
// A session that was made again has another sid: whoever has a done step with the old one does not
// use it. `sid` is 0 while there is none.
Result<std::vector<Use>> other_uses(const Ctx& ctx, Operation& operation, const SessionKey& key,
                                    std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  HAWSER_TRY_ASSIGN(const std::vector<OtherLog> logs, other_logs(ctx, operation));
  std::vector<Use> uses;
  for (const auto& [id, state] : logs) {
    if (!state) {
      operation.warn("log.unreadable", state.error().message() + ": session " + to_string(key) +
                                           " is taken to be in use by " + id);
      uses.push_back({});
      continue;
    }
    if (state->phase == Phase::idle || state->boot_id != boot_id) continue;
    for (const SessionEntry& entry : state->sessions) {
      const bool is_it = entry.key == key && (sid == 0 || entry.sid.value_or(sid) == sid);
      if (is_it && entry.progress != Progress::ended) {
        uses.push_back({.origin = entry.origin, .is_settled = entry.sid.has_value()});
      }
    }
  }
  return uses;
}

bool any_ours(const std::vector<Use>& uses) {
  return std::any_of(uses.begin(), uses.end(),
                     [](const Use& use) { return use.origin != Origin::foreign; });
}

bool any_settled(const std::vector<Use>& uses) {
  return std::any_of(uses.begin(), uses.end(), [](const Use& use) { return use.is_settled; });
}

Fields intent_fields(const LoggedPath& path, Origin origin, std::int64_t expires_ms) {
  Fields fields{{"origin", std::string(to_string(origin))},
                {"lun", std::to_string(path.kernel_lun)},
                {"expires_ms", std::to_string(expires_ms)}};
  put(fields, path.key);
  return fields;
}

Fields done_fields(const Acquired& acquired) {
  return {{"sid", std::to_string(acquired.session.sid)},
          {"origin", std::string(to_string(acquired.origin))},
          {"login_ms", std::to_string(acquired.login_time.count())}};
}

struct Claim {
  std::uint32_t number = 0;
  std::optional<Session> session{};  // There already.
  Origin origin = Origin::created;
  bool is_awaited = false;  // Another attachment of ours has announced a login as well.
};

// The decision, under the lock: use the session that is there, or announce a login.
Result<Claim> claim(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                    const LoginRequest& request) {
  HAWSER_TRY_ASSIGN(auto lock, lock_session(ctx, operation, path.key));
  Claim claim;
  HAWSER_TRY_ASSIGN(claim.session, find_session(ctx, operation, path.key));
  HAWSER_TRY_ASSIGN(const std::vector<Use> uses,
                    other_uses(ctx, operation, path.key, claim.session ? claim.session->sid : 0));
  claim.is_awaited = any_ours(uses);
  if (claim.session) claim.origin = claim.is_awaited ? Origin::shared : Origin::foreign;
  const std::int64_t expires_ms = operation.host().uptime_ms() +
                                  std::chrono::milliseconds(request.login_timeout).count() +
                                  kLoginSlackMs;
  HAWSER_TRY_ASSIGN(
      claim.number,
      operation.claim(step::kSession, intent_fields(path, claim.origin, expires_ms), lock));
  return claim;
}

// Waits for a session that somebody else made, or is making.
Result<std::optional<Session>> await_session(const Ctx& ctx, Operation& operation,
                                             const SessionKey& key) {
  HAWSER_TRY_ASSIGN(std::optional<Session> session, find_session(ctx, operation, key));
  if (session && session->state == SessionState::logged_in) return session;
  HAWSER_TRY(operation.host().pause(ctx, kLoginLookInterval));
  return std::optional<Session>{};
}

Result<Session> await_logged_in(const Ctx& ctx, Operation& operation, const SessionKey& key) {
  for (;;) {
    Result<std::optional<Session>> session = await_session(ctx, operation, key);
    if (!session && session.error().code() == Errc::deadline_exceeded) {
      return Error(Errc::unavailable, "the session exists, but its connection is lost");
    }
    if (!session) return std::move(session).error();
    if (*session) return **session;
  }
}

// Logs in; when somebody else is at it as well, waits for theirs and tries again if that fails.
// `is_ours`: another attachment of ours makes the session, or made it and has let go of it.
//
// Errors: with Outcome::unknown if `is_ours`: it may have let go of its session meanwhile because
// we were about to use it.
Result<Acquired> log_in(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                        const LoginRequest& request, bool is_ours) {
  Host& host = operation.host();
  const std::int64_t start_ms = host.uptime_ms();
  operation.tell(Event::Level::info, "login.sent", "logging in to " + path.key.target,
                 to_string(path.spec.portal));
  const auto took = [&] { return std::chrono::milliseconds(host.uptime_ms() - start_ms); };
  const auto take_over = [&]() -> Result<std::optional<Session>> {
    HAWSER_TRY_ASSIGN(std::vector<Use> uses, other_uses(ctx, operation, path.key, 0));
    is_ours = is_ours || any_ours(uses);
    HAWSER_TRY_ASSIGN(const std::optional<Session> other, await_session(ctx, operation, path.key));
    if (!other) return other;
    HAWSER_TRY_ASSIGN(uses, other_uses(ctx, operation, path.key, other->sid));
    is_ours = is_ours || any_ours(uses);
    return other;
  };
  for (LoginRequest rest = request;;) {
    Result<Session> session = host.login(ctx, rest);
    if (session) return Acquired{.session = *session, .login_time = took()};
    if (session.error().code() != Errc::already_exists) return std::move(session).error();

    Result<std::optional<Session>> other = take_over();
    if (other && *other) {
      return Acquired{.session = **other,
                      .origin = is_ours ? Origin::shared : Origin::foreign,
                      .login_time = took()};
    }
    // The log says by when our login is over, whenever it is sent.
    rest.login_timeout = request.login_timeout - std::chrono::floor<std::chrono::seconds>(took());
    if (other && rest.login_timeout >= 1s) continue;
    Error error =
        other ? Error(Errc::unavailable, "somebody else tries to log in, and does not succeed")
              : std::move(other).error();
    return is_ours ? std::move(error).with(Outcome::unknown) : error;
  }
}

}  // namespace

Result<Acquired> acquire_session(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                                 const LoginRequest& request) {
  HAWSER_TRY_ASSIGN(const Claim claimed, claim(ctx, operation, path, request));
  Result<Acquired> acquired = Acquired{.origin = claimed.origin};
  if (claimed.session) {
    HAWSER_TRY(
        operation.done(step::kSession, claimed.number,
                       done_fields({.session = *claimed.session, .origin = claimed.origin})));
    HAWSER_TRY_ASSIGN(acquired->session,
                      await_logged_in(ctx.within(request.login_timeout), operation, path.key));
    return acquired;
  }

  acquired = log_in(ctx, operation, path, request, claimed.is_awaited);
  if (!acquired) {
    if (acquired.error().outcome() == Outcome::unchanged) {
      HAWSER_TRY(operation.failed(step::kSession, claimed.number, acquired.error()));
    }
    return acquired;
  }
  HAWSER_TRY(operation.done(step::kSession, claimed.number, done_fields(*acquired)));
  operation.tell(Event::Level::info, "login.done",
                 "logged in, session " + std::to_string(acquired->session.sid),
                 to_string(path.spec.portal));
  if (acquired->origin != Origin::created) return acquired;

  const Status set =
      operation.host().set_recovery_timeout(ctx, acquired->session.sid, request.recovery_timeout);
  if (!set) operation.warn("login.recovery_timeout", set.error().message());
  return acquired;
}

namespace {

// What there is of a session that the log names.
struct Sight {
  std::optional<Session> session{};
  bool is_awaited = false;    // Its login was never answered, and may still be on its way.
  bool is_in_flight = false;  // And iscsid is at work on one.
};

class Watch {
 public:
  Watch(Operation& operation, const SessionEntry& entry)
      : operation_(operation),
        entry_(entry),
        // iscsid takes requests in their order: what it is not at work on when it answers us is
        // over. What it is at work on may be another's login, and is not waited for longer than
        // ours lasts.
        until_ms_(std::max(entry.expires_ms, operation.host().uptime_ms() + kLateLoginMs)) {}

  Result<Sight> look(const Ctx& ctx) const {
    Host& host = operation_.host();
    Sight sight;
    sight.is_awaited = entry_.progress == Progress::intended && host.uptime_ms() < until_ms_;
    HAWSER_TRY_ASSIGN(sight.session, find_session(ctx, operation_, entry_));
    if (sight.session || !sight.is_awaited) return sight;
    HAWSER_TRY_ASSIGN(sight.is_in_flight, host.login_in_flight(ctx, entry_.key.target));
    // Again: the login may have ended in between.
    HAWSER_TRY_ASSIGN(sight.session, find_session(ctx, operation_, entry_));
    return sight;
  }

 private:
  Operation& operation_;
  const SessionEntry& entry_;
  const std::int64_t until_ms_;
};

Error not_back(const SessionEntry& entry, Error cause) {
  if (cause.code() != Errc::deadline_exceeded) return cause;
  if (entry.progress == Progress::intended) {
    return std::move(cause).with("the login has not been answered yet").with(Outcome::unknown);
  }
  return Error(Errc::unavailable, "the session exists, but its connection is lost");
}

}  // namespace

Result<std::optional<Session>> resume_session(const Ctx& ctx, Operation& operation,
                                              const SessionEntry& entry) {
  const Watch watch(operation, entry);
  for (;;) {
    HAWSER_TRY_ASSIGN(const Sight sight, watch.look(ctx));
    if (sight.session && sight.session->state == SessionState::logged_in) {
      if (entry.progress == Progress::intended) {
        HAWSER_TRY(
            operation.done(step::kSession, entry.number,
                           done_fields({.session = *sight.session, .origin = entry.origin})));
      }
      return sight.session;
    }
    if (!sight.session && !sight.is_in_flight) {
      operation.undone(step::kSession, entry.number);
      return std::optional<Session>{};
    }
    const Status paused = operation.host().pause(ctx, kLoginLookInterval);
    if (!paused) return not_back(entry, paused.error());
  }
}

namespace {

enum class Verdict {
  gone,  // No session, and none will come.
  wait,  // A login is still on its way, ours or another's.
  log_out,
  leave,  // Somebody else's, or in use.
};

// What a scan under way brings is ours to take back, and then the session may be ours to end.
bool is_scanning(const LogState& state, std::uint32_t sid) {
  return std::any_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& device) {
    return device.sid == sid && !device.existed && device.progress == Progress::intended;
  });
}

// One that shows another unit by now is left alone.
bool is_own(const LogState& state, const ScsiDevice& device) {
  return state.has_brought(device) &&
         (state.identity.empty() || same_unit(device.identity, state.identity));
}

// Why this attachment cannot leave the session to those who use it as well: whoever ends it has to
// find nothing of ours there.
Status check_done_with(const LogState& state, std::uint32_t sid,
                       const std::vector<ScsiDevice>& devices) {
  const std::string session = " session " + std::to_string(sid) + ", which stays";
  if (is_scanning(state, sid)) return Error(Errc::busy, "a scan is under way on" + session);
  for (const ScsiDevice& device : devices) {
    if (is_own(state, device)) return Error(Errc::busy, device.name + " is still on" + session);
  }
  return ok();
}

// Something on a session that does not go with it; empty if there is nothing. A unit without a disk
// that no scan of ours has brought is somebody's tape, or a disk that his scan is about to bring.
std::string others_on(const LogState& state, std::uint32_t sid,
                      const std::vector<ScsiDevice>& devices, const std::vector<Hctl>& units) {
  // What could not be deleted, or came back, goes with the session.
  const bool goes_forward = state.phase == Phase::detaching && state.flushed;
  for (const ScsiDevice& device : devices) {
    if (!goes_forward || !same_unit(device.identity, state.identity)) return device.name;
  }
  for (const Hctl& unit : units) {
    const bool is_disk = std::any_of(devices.begin(), devices.end(),
                                     [&](const ScsiDevice& device) { return device.hctl == unit; });
    const bool is_brought =
        std::any_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& entry) {
          return entry.sid == sid && entry.lun == unit.lun && !entry.existed;
        });
    if (!is_disk && !is_brought) return "unit " + to_string(unit);
  }
  return {};
}

// `until_ms` is how long to wait for others who have only announced that they want it.
Result<Verdict> judge(const Ctx& ctx, Operation& operation, const SessionEntry& entry,
                      const Sight& sight, std::int64_t until_ms) {
  const std::optional<Session>& session = sight.session;
  if (!session) return sight.is_in_flight ? Verdict::wait : Verdict::gone;
  if (entry.origin == Origin::foreign) return Verdict::leave;
  if (sight.is_awaited && session->state != SessionState::logged_in) return Verdict::wait;
  HAWSER_TRY_ASSIGN(const std::vector<Use> uses,
                    other_uses(ctx, operation, entry.key, session->sid));
  // Whoever has only announced a login may give up, and would leave the session to nobody.
  const bool is_settled = any_settled(uses) || operation.host().uptime_ms() >= until_ms;
  if (!uses.empty() && !is_settled) return Verdict::wait;
  HAWSER_TRY_ASSIGN(const LogState state, operation.state());
  HAWSER_TRY_ASSIGN(const std::vector<Hctl> units, operation.host().units(ctx, session->sid));
  if (units.empty() && uses.empty()) return Verdict::log_out;
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices,
                    operation.host().devices(ctx, session->sid));
  if (!uses.empty()) {
    HAWSER_TRY(check_done_with(state, session->sid, devices));
    return Verdict::leave;
  }
  const std::string others = others_on(state, session->sid, devices, units);
  if (others.empty()) return Verdict::log_out;
  // What an undo could not delete may go later, and the session with it.
  if (state.phase == Phase::attaching) HAWSER_TRY(check_done_with(state, session->sid, devices));
  operation.warn("logout.in_use", "session " + std::to_string(session->sid) + " (" +
                                      to_string(entry.key) + ") stays: it has " + others +
                                      " besides");
  return Verdict::leave;
}

}  // namespace

Status release_session(const Ctx& ctx, Operation& operation, const SessionEntry& entry) {
  const Watch watch(operation, entry);
  const std::int64_t until_ms = operation.host().uptime_ms() + kUnsettledMs;
  for (;;) {
    // Held while logging out too: whoever wants this very session has to wait for its end anyway.
    HAWSER_TRY_ASSIGN(auto lock, lock_session(ctx, operation, entry.key));
    HAWSER_TRY_ASSIGN(const Sight sight, watch.look(ctx));
    HAWSER_TRY_ASSIGN(const Verdict verdict, judge(ctx, operation, entry, sight, until_ms));
    if (verdict == Verdict::wait) {
      lock.lock.reset();
      Status waited = operation.host().pause(ctx, kLoginLookInterval);
      if (waited) continue;
      return std::move(waited).error().with("login to " + to_string(entry.key) +
                                            " is still pending");
    }
    if (verdict == Verdict::log_out) {
      operation.tell(Event::Level::info, "logout.sent",
                     "logging out of session " + std::to_string(sight.session->sid));
      Status out = operation.host().logout(ctx, sight.session->sid);
      if (!out) {
        return std::move(out)
            .error()
            .with(Stage::logout)
            .with("session " + std::to_string(sight.session->sid));
      }
    }
    operation.let_go(step::kSession, entry.number, std::move(lock));
    return ok();
  }
}

}  // namespace hawser
