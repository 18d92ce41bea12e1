// What other attachments have put down.
#pragma once

#include <string>
#include <vector>

#include "engine/log_state.h"
#include "engine/operation.h"

namespace hawser {

struct OtherLog {
  std::string id{};
  Result<LogState> state;  // Error: of one log. What it says nobody knows.
};

// A damaged log, or one that others can write to. Not what keeps every log from being read.
bool is_of_one_log(const Error& error);

// The logs of all attachments but that of `operation`, of this boot and of others.
Result<std::vector<OtherLog>> other_logs(const Ctx& ctx, Operation& operation);

// The attachments of this boot that were handed out, but that of `operation`: what is being
// detached may stay yet. A device that one of them has, found or brought, goes with that one,
// whoever brought it.
Result<std::vector<LogState>> other_attachments(const Ctx& ctx, Operation& operation);
bool any_names(const std::vector<LogState>& attachments, const ScsiDevice& device);

}  // namespace hawser
