// open-iscsi's node records are shared as sessions are: whoever of us is last removes one, and
// never one that was there before us.
#pragma once

#include "engine/operation.h"

namespace hawser {

// Has a node record for a path, and notes in the log that this attachment uses it, unless somebody
// else made it.
Status acquire_node_record(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                           const LoginRequest& request);

// Removes the record if no other attachment uses it, and notes that this one is done with it.
Status release_node_record(const Ctx& ctx, Operation& operation, const NodeEntry& entry);

}  // namespace hawser
