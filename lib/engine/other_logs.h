// What other attachments have put down.
#pragma once

#include <string>
#include <vector>

#include "engine/log_state.h"
#include "engine/operation.h"

namespace hawser {

struct OtherLog {
  std::string id{};
  Result<LogState> state;  // Error: corrupt. What it says nobody knows.
};

// Whether an attachment of this boot that is complete has the device, found or brought. It goes
// with that one then, whoever brought it.
Result<bool> is_attached_by_another(const Ctx& ctx, Operation& operation, const ScsiDevice& device);

// The logs of all attachments but that of `operation`, of this boot and of others.
Result<std::vector<OtherLog>> other_logs(const Ctx& ctx, Operation& operation);

}  // namespace hawser
