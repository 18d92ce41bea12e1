#pragma once

#include "hawser/attachment.h"

#include "engine/operation.h"

namespace hawser {

// See Client::attach().
Result<Attachment> attach(const Ctx& ctx, const Environment& environment, const VolumeSpec& spec,
                          const AttachOptions& options);

}  // namespace hawser
