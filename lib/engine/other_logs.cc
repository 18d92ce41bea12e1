#include "engine/other_logs.h"

#include <algorithm>
#include <utility>

namespace hawser {

bool is_of_one_log(const Error& error) {
  return error.code() == Errc::corrupt ||
         (error.code() == Errc::permission_denied && error.stage() == Stage::journal);
}

Result<std::vector<OtherLog>> other_logs(const Ctx& ctx, Operation& operation) {
  HAWSER_TRY_ASSIGN(const std::vector<std::string> ids, operation.journal().list());
  std::vector<OtherLog> logs;
  for (const std::string& id : ids) {
    HAWSER_TRY(ctx.check());
    if (id == operation.id()) continue;
    const Result<std::vector<Record>> records = operation.journal().read(id);
    if (!records && records.error().code() == Errc::not_found) continue;  // Detached meanwhile.
    if (!records && !is_of_one_log(records.error())) return records.error();
    logs.push_back({.id = id, .state = records ? replay(*records) : records.error()});
  }
  return logs;
}

Result<std::vector<LogState>> other_attachments(const Ctx& ctx, Operation& operation) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  HAWSER_TRY_ASSIGN(std::vector<OtherLog> logs, other_logs(ctx, operation));
  std::vector<LogState> attachments;
  for (OtherLog& log : logs) {
    if (!log.state || log.state->boot_id != boot_id) continue;
    const Phase phase = log.state->phase;
    if (phase == Phase::attached || phase == Phase::detaching)
      attachments.push_back(*std::move(log.state));
  }
  return attachments;
}

bool any_names(const std::vector<LogState>& attachments, const ScsiDevice& device) {
  return std::any_of(attachments.begin(), attachments.end(),
                     [&](const LogState& attachment) { return attachment.names(device); });
}

}  // namespace hawser
