#pragma once

#include "hawser/attachment.h"

#include "engine/operation.h"
#include "engine/take_down.h"

namespace hawser {

// Brings one attachment out of the state in which a dead process left it: an attach that did not
// commit is undone, a detach that has removed what was handed out is completed, one that has not is
// given up, and logins of an attached volume that came too late are logged out.
Status recover_one(const Ctx& ctx, Operation& operation, const LogState& state);

// Opens the log of a volume that is attached, when whatever a dead process left is out of the way.
// Errors: not_found (not attached, or not since the last reboot), those of recover_one().
Result<std::unique_ptr<Operation>> open_attached(const Ctx& ctx, const Environment& environment,
                                                 const std::string& id);

// Takes everything of the attachment off the host and forgets it. The caller has seen to the data,
// or, if the log says so, has given it up: then it is done by force, whatever can be removed is,
// and the rest is named and stays in the log. Errors: unchanged if nothing was removed, such as
// busy; else Outcome::unknown, and the log still says what is left.
Result<std::vector<std::string>> dismantle(const Ctx& ctx, Operation& operation,
                                           const LogState& state, Removal removal);

// See Client::recover().
Result<RecoverReport> recover(const Ctx& ctx, const Environment& environment);

}  // namespace hawser
