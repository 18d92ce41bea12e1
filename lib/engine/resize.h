#pragma once

#include "hawser/client.h"

#include "engine/operation.h"

namespace hawser {

// See Client::resize().
Result<ResizeReport> resize(const Ctx& ctx, const Environment& environment, const std::string& id,
                            const ResizeOptions& options);

}  // namespace hawser
