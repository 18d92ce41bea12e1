// Read-only for whoever uses the volume, whatever the target would allow.
#pragma once

#include <string>

#include "engine/path.h"

namespace hawser {

// Makes the device of a path read-only, and sees that it is.
// Errors: busy (somebody else uses it, and would fail to write), io.
Status make_read_only(const Ctx& ctx, Operation& operation, Path& path);

// Sees that a map is as was asked for, and makes it read-only if need be; multipathd's reloads,
// which load writable tables, do not change that. `is_ours`: it goes when the attachment goes.
//
// Errors: busy (as above), permission_denied (it is read-only and should not be), io.
Status settle_map_access(const Ctx& ctx, Operation& operation, const std::string& uuid,
                         bool is_ours, bool is_read_only);

// Makes writable again what stays on the host. For after the volume's devices are gone.
Status undo_read_only(const Ctx& ctx, Operation& operation, const LogState& state);

}  // namespace hawser
