// Taking paths into a live map, and out of it, while others may work on the map as well.
#pragma once

#include <string>
#include <vector>

#include "engine/operation.h"

namespace hawser {

// Loads a table that was made from `map`. Also ok if somebody has loaded another one since `map`
// was looked at: the caller looks again. The kernel opens those paths that the loaded table does
// not have, and refuses one whose disk is offline. Errors: those of Host::reload_map().
Status reload_map(const Ctx& ctx, Host& host, const Map& map, const MapTable& table);

// What is known now of a disk; nullopt if it is gone, or its number is another disk's: the kernel
// gives it to the next one at once. A table names disks by their numbers alone.
Result<std::optional<ScsiDevice>> find_again(const Ctx& ctx, Host& host, const ScsiDevice& device);

// Based on the table that is loaded, so that what multipathd chose stays as it is.
// Errors: busy (the map is gone, or somebody keeps changing it), unavailable (the disk is gone),
// those of Host::reload_map().
Status ensure_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                     const ScsiDevice& device);

// A map that is not there is success. Errors: as above.
Status ensure_not_in_map(const Ctx& ctx, Host& host, const std::string& uuid,
                         const std::vector<ScsiDevice>& devices);

}  // namespace hawser
