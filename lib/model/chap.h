// Whether CHAP credentials are whole and fit what carries them.
#pragma once

#include <optional>
#include <string>

#include "hawser/volume.h"

namespace hawser {

// `what` begins the names of the fields: "auth" or "discovery_auth".
// Errors: invalid_argument, naming the field.
Status check_chap(const std::string& what, const std::optional<Chap>& chap);

}  // namespace hawser
