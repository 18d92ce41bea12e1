#pragma once

#include <string>

#include "hawser/attachment.h"

#include "engine/log_state.h"
#include "host/host.h"

namespace hawser {

// An attachment as its log has it, held against what the kernel shows now. Reads only.
Result<Attachment> report(const Ctx& ctx, Host& host, const std::string& id, const LogState& state);

}  // namespace hawser
