#pragma once

#include <string>
#include <vector>

#include "hawser/attachment.h"

#include "engine/operation.h"

namespace hawser {

// See Client::list(), show(), log() and sessions(). They read; they lock and change nothing.
Result<std::vector<Attachment>> list(const Ctx& ctx, const Environment& environment);
Result<Attachment> show(const Ctx& ctx, const Environment& environment, const std::string& id);
Result<std::vector<std::string>> log_lines(const Environment& environment, const std::string& id);
Result<std::vector<SessionReport>> sessions(const Ctx& ctx, const Environment& environment);

}  // namespace hawser
