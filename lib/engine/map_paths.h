// Taking one path into a live map, and out of it, while others may work on the map as well.
#pragma once

#include <string>

#include "engine/operation.h"

namespace hawser {

// Based on the table that is loaded, so that what multipathd chose stays as it is.
// Errors: busy (the map is gone, or somebody keeps changing it), those of Host::reload_map().
Status ensure_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                     const ScsiDevice& device);

// A map that is not there is success. Errors: as above.
Status ensure_not_in_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                         const ScsiDevice& device);

}  // namespace hawser
