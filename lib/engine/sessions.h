// iSCSI sessions are shared: between the LUNs of a target, between processes, and with whoever made
// one by hand. These two calls decide, under a lock per session, who logs in and who logs out.
#pragma once

#include <optional>

#include "engine/operation.h"

namespace hawser {

struct Acquired {
  Session session{};
  Origin origin = Origin::created;
  std::chrono::milliseconds login_time{0};
};

// Has a logged-in session for `path`: one that is there, or a new one.
//
// Errors: those of Host::login(). With Outcome::unknown the login was sent and may still succeed;
// it stays in the log as pending.
Result<Acquired> acquire_session(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                                 const LoginRequest& request);

// Takes up a session that the log has already: waits for a pending login to succeed, and for a lost
// connection to come back. nullopt if there is none and none will come; the log says so then.
//
// Errors: unavailable (still lost at the deadline); with Outcome::unknown if the login is pending.
Result<std::optional<Session>> resume_session(const Ctx& ctx, Operation& operation,
                                              const SessionEntry& entry);

// Logs out, if the session is ours and nothing else uses it, and notes that this attachment is done
// with it. Waits for a pending login to die or to succeed.
Status release_session(const Ctx& ctx, Operation& operation, const SessionEntry& entry);

}  // namespace hawser
