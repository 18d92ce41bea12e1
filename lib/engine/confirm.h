// Is it still the unit that was attached?
#pragma once

#include <vector>

#include "engine/take_down.h"

namespace hawser {

// Before a volume that is attached already is handed out again.
// Errors: identity_mismatch (a path leads to another unit by now), io.
Status confirm_attached(const Ctx& ctx, Operation& operation, const LogState& state,
                        const std::string& expected_wwid);

// Before a disk that was handed out without a map is flushed, or its log is forgotten.
// Errors: data_at_risk (it is another unit by now), io.
Status check_bare_disk(const Ctx& ctx, Operation& operation, const LogState& state);

struct PathCheck {
  bool has_expelled = false;
  std::vector<ScsiDevice> good{};  // These answer, and are what was attached.
};

// Before a map is flushed: takes the paths out of it that lead to another unit by now, and deletes
// their devices. `devices` are those of the volume. What may be written goes nowhere else then.
//
// Errors: data_at_risk (every path leads elsewhere; nothing has changed, but with `force` the
// devices are announced, and go with the map); io, busy.
Result<PathCheck> expel_changed(const Ctx& ctx, Operation& operation, const LogState& state,
                                const Map& map, const std::vector<ScsiDevice>& devices, bool force);

}  // namespace hawser
