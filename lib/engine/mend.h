// Putting right what was left half-done of a volume that is attached.
#pragma once

#include "engine/operation.h"

namespace hawser {

// Completes the join of a path that is in the map, and undoes any other: the device and the session
// that it made. True if the path is in the map. Waits for a pending login of it.
Result<bool> settle_join(const Ctx& ctx, Operation& operation, const LogState& state,
                         const JoinEntry& join);

// Settles every join but those whose login is pending, or at whose unit somebody else is at work,
// and resumes a map that a resize left suspended. What is whole stays as it is.
Status mend(const Ctx& ctx, Operation& operation, const LogState& state);

// mend(), and settles the joins whose login is pending. True if there was anything to do.
Result<bool> mend_all(const Ctx& ctx, Operation& operation, const LogState& state);

}  // namespace hawser
