#pragma once

#include "hawser/attachment.h"

#include "engine/operation.h"

namespace hawser {

// See Client::detach().
Result<DetachReport> detach(const Ctx& ctx, const Environment& environment, const std::string& id,
                            const DetachOptions& options);

}  // namespace hawser
