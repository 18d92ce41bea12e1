// Is it still the unit that was attached?
#pragma once

#include <vector>

#include "engine/take_down.h"

namespace hawser {

// Has the kernel read anew what the devices say they are, side by side, and gives those that are
// another unit now than the log says. A path that does not answer is what it was known as: nothing
// gets through it, until it is back.
Result<std::vector<ScsiDevice>> changed_devices(const Ctx& ctx, Operation& operation,
                                                const LogState& state,
                                                const std::vector<ScsiDevice>& devices);

// Before a volume that is attached already is handed out again.
// Errors: identity_mismatch (a path leads to another unit by now), io.
Status confirm_attached(const Ctx& ctx, Operation& operation, const LogState& state,
                        const std::string& expected_wwid);

// Before a disk that was handed out without a map is flushed, or its log is forgotten.
// Errors: data_at_risk (it is another unit by now), io.
Status check_bare_disk(const Ctx& ctx, Operation& operation, const LogState& state);

// Before a map is flushed: takes the paths out of it that lead to another unit by now, and deletes
// their devices. True if there were any. `devices` are those of the volume. What may be written
// goes nowhere else then.
//
// Errors: data_at_risk (every path leads elsewhere; nothing has changed, but with `force` the
// devices are announced, and go with the map); io, busy.
Result<bool> expel_changed(const Ctx& ctx, Operation& operation, const LogState& state,
                           const Map& map, const std::vector<ScsiDevice>& devices, bool force);

}  // namespace hawser
