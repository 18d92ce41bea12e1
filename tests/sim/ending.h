#pragma once

#include "sim/invariants.h"

namespace hawser {

// Has everything work from now on, recovers and detaches whatever there is, and sees what stays:
// nothing. What was attached was so until its detach. Works on a copy.
void end_all(Scene scene, const Tale& tale, Findings& findings);

}  // namespace hawser
