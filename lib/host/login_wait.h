#pragma once

#include <functional>
#include <optional>

#include "hawser/ctx.h"

#include "iscsid/client.h"
#include "model/session.h"
#include "netlink/events.h"

namespace hawser {

// Waits for the session of a login that was sent. `find` looks for it in sysfs; `events`, if there
// are any, are hints to look again. Errors: what iscsid answered, with Outcome::unchanged; any
// other with Outcome::unknown, since what was sent cannot be taken back: the session may still
// come.
Result<Session> wait_for_login(const Ctx& ctx, IscsidClient& iscsid, IscsidExchange exchange,
                               IscsiEvents* events, const Chap* chap,
                               const std::function<Result<std::optional<Session>>()>& find);

}  // namespace hawser
