#include "engine/rivals.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "engine/other_logs.h"

namespace hawser {
namespace {

Error rival(const std::string& id, const LogState& state, const std::string& wwid,
            const std::vector<LoggedPath>& paths) {
  const auto is_shared = [&](const LoggedPath& theirs) {
    return std::any_of(paths.begin(), paths.end(), [&](const LoggedPath& path) {
      return path.spec.target == theirs.spec.target && path.kernel_lun == theirs.kernel_lun;
    });
  };
  const std::string where = state.paths.empty() ? "" : " (" + place_of(state.paths.front()) + ")";
  if (std::any_of(state.paths.begin(), state.paths.end(), is_shared)) {
    return Error(Errc::busy, "unit " + wwid + " is attached as " + id + where + " already");
  }
  return Error(Errc::identity_mismatch,
               "WWID " + wwid + " is also that of " + id + where +
                   ": if they are one unit, name all its targets in one attachment; if not, one of "
                   "the targets shows a wrong identity");
}

}  // namespace

Result<std::vector<ScsiDevice>> strangers_in(const Ctx& ctx, Host& host, const Map& map,
                                             const std::vector<ScsiDevice>& ours) {
  std::vector<ScsiDevice> strangers;
  for (const MapPathStatus& path : map.paths) {
    const bool is_ours = std::any_of(
        ours.begin(), ours.end(), [&](const ScsiDevice& device) { return device.dev == path.dev; });
    if (is_ours) continue;
    HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> device, host.find_device(ctx, path.dev));
    if (device) strangers.push_back(*std::move(device));
  }
  return strangers;
}

Status hold_places(const Ctx& ctx, Operation& operation, const std::vector<LoggedPath>& paths) {
  std::set<std::string> names;  // In one order for all, so that nobody waits in a circle.
  for (const LoggedPath& path : paths)
    names.insert("unit " + path.spec.target + " " + std::to_string(path.kernel_lun));
  for (const std::string& name : names)
    HAWSER_TRY(operation.hold_shared(ctx, name));
  return ok();
}

Status check_no_rival(const Ctx& ctx, Operation& operation, const std::string& wwid,
                      const std::vector<LoggedPath>& paths) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  HAWSER_TRY_ASSIGN(const std::vector<OtherLog> logs, other_logs(ctx, operation));
  for (const auto& [id, state] : logs) {
    if (!state) {
      operation.warn("log.unreadable",
                     state.error().message() + ": " + id + " may be of the same unit");
      continue;
    }
    if (state->phase == Phase::idle || state->boot_id != boot_id || state->wwid != wwid) continue;
    return rival(id, *state, wwid, paths).with(Stage::identify);
  }
  return ok();
}

Result<std::optional<std::string>> user_of(const Ctx& ctx, Operation& operation,
                                           const ScsiDevice& device) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  HAWSER_TRY_ASSIGN(const std::vector<OtherLog> logs, other_logs(ctx, operation));
  for (const auto& [id, state] : logs) {
    if (!state) return std::optional("it may be of " + id + ", whose log cannot be read");
    const bool is_live = state->phase != Phase::idle && state->boot_id == boot_id;
    if (is_live && state->names(device)) return std::optional("attachment " + id + " has it");
  }
  HAWSER_TRY_ASSIGN(const std::vector<std::string> claims, operation.host().claims(ctx, device));
  return claims.empty() ? std::nullopt : std::optional(claims.front());
}

}  // namespace hawser
