#pragma once

#include <vector>

#include "engine/operation.h"

namespace hawser {

// The paths that an attach tries: each portal through each iface, with numeric addresses, and those
// that the portals themselves name for the same targets. 1..64, each once.
//
// A discovery that fails costs its time and is a warning: the portals that were given are there.
//
// Errors: those of Host::check_iface(); those of Host::resolve(), if no portal has an address;
// exhausted (over 64).
Result<std::vector<LoggedPath>> plan_paths(const Ctx& ctx, Operation& operation,
                                           const VolumeSpec& spec, Multipath multipath);

}  // namespace hawser
