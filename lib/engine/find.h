// Which attachment a specification means.
#pragma once

#include <string>

#include "hawser/volume.h"

#include "engine/log_state.h"
#include "engine/operation.h"

namespace hawser {

// See Client::find(). Reads; locks and changes nothing.
Result<std::string> find_attachment(const Ctx& ctx, const Environment& environment,
                                    const VolumeSpec& spec);

// An id is a hash: a log of that id is the volume's if it leads nowhere else.
// Errors: identity_mismatch.
Status check_is_of(const std::string& id, const LogState& state, const VolumeSpec& spec);

}  // namespace hawser
