#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hawser/attachment.h"
#include "hawser/ctx.h"
#include "hawser/volume.h"

namespace hawser {

// Asks a portal for its targets (SendTargets=All, RFC 7143 appendix C) in a discovery session of
// our own, as `initiator_name`. `portal.host` is numeric.
//
// Errors: unavailable, unauthenticated, protocol, exhausted (over 4096 targets), deadline_exceeded,
// cancelled; with the portal set.
Result<std::vector<DiscoveredTarget>> discover(const Ctx& ctx, const std::string& initiator_name,
                                               const Portal& portal,
                                               const std::optional<Chap>& chap);

}  // namespace hawser
