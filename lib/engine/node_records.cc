#include "engine/node_records.h"

#include <algorithm>
#include <utility>

#include "engine/other_logs.h"

namespace hawser {
namespace {

Result<Operation::SharedLock> lock_record(const Ctx& ctx, Operation& operation,
                                          const SessionKey& key) {
  return operation.lock_shared(ctx, "node " + to_string(key));
}

// Whether another attachment uses the record. On disk it outlives a boot. A log that cannot be
// read counts as one that does: better a record too many than one taken from under somebody.
Result<bool> has_other_user(const Ctx& ctx, Operation& operation, const SessionKey& key) {
  HAWSER_TRY_ASSIGN(const std::vector<OtherLog> logs, other_logs(ctx, operation));
  for (const auto& [id, state] : logs) {
    if (!state) {
      operation.warn("log.unreadable", state.error().message() + ": the node record of " +
                                           to_string(key) + " is taken to be in use by " + id);
      return true;
    }
    if (state->phase == Phase::idle) continue;
    const bool is_user =
        std::any_of(state->nodes.begin(), state->nodes.end(), [&](const NodeEntry& entry) {
          return entry.key == key && entry.progress != Progress::ended;
        });
    if (is_user) return true;
  }
  return false;
}

}  // namespace

Status acquire_node_record(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                           const LoginRequest& request) {
  HAWSER_TRY_ASSIGN(auto lock, lock_record(ctx, operation, path.key));
  HAWSER_TRY_ASSIGN(const bool is_there, operation.host().has_node_record(ctx, request));
  if (is_there) {
    HAWSER_TRY_ASSIGN(const bool is_ours, has_other_user(ctx, operation, path.key));
    if (!is_ours) return ok();
  }
  Fields fields;
  put(fields, path.key);
  if (request.group) fields["group"] = std::to_string(*request.group);
  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation.claim(step::kNode, std::move(fields), lock));
  const Status added = is_there ? ok() : operation.host().add_node_record(ctx, request);
  if (added) return operation.done(step::kNode, number);
  if (added.error().outcome() == Outcome::unchanged) {
    HAWSER_TRY(operation.failed(step::kNode, number, added.error()));
  }
  return added;
}

Status release_node_record(const Ctx& ctx, Operation& operation, const NodeEntry& entry) {
  HAWSER_TRY_ASSIGN(auto lock, lock_record(ctx, operation, entry.key));
  HAWSER_TRY_ASSIGN(const bool is_used, has_other_user(ctx, operation, entry.key));
  if (!is_used) {
    HAWSER_TRY(operation.host().remove_node_record(ctx, {.target = entry.key.target,
                                                         .address = entry.key.address,
                                                         .port = entry.key.port,
                                                         .group = entry.group,
                                                         .iface = entry.key.iface}));
  }
  operation.let_go(step::kNode, entry.number, std::move(lock));
  return ok();
}

}  // namespace hawser
