#include "engine/recover.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/listed.h"
#include "engine/access.h"
#include "engine/budget.h"
#include "engine/mend.h"
#include "engine/path.h"
#include "engine/rivals.h"
#include "engine/sessions.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// However many there are: as long as the slow steps of one that can be finished take.
constexpr auto kOneBudget = 10s;

enum class Recovered { nothing, undone, completed, kept };

// A log that knew before which unit the volume was is worth keeping: the next attach compares.
Status end_attach(Operation& operation, const LogState& state) {
  return state.is_remembered ? operation.abort(step::kAttach) : operation.forget();
}

// After a reboot only what is on disk is left.
Status recover_after_reboot(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY(undo_on_disk(ctx, operation));
  if (state.phase == Phase::attached) return ok();  // It is worth keeping, too.
  if (state.phase == Phase::attaching) return end_attach(operation, state);
  return operation.forget();
}

// As long as what was handed out is there nothing has been removed, and somebody may have written
// since the flush: then the volume is still attached. A map that is there after ours was removed,
// or that is not read-only, is multipathd's.
Result<bool> is_whole(const Ctx& ctx, Operation& operation, const LogState& state) {
  if (!state.flushed) return true;
  if (state.is_forced) return false;
  if (state.bare_sid) {
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices,
                      operation.host().devices(ctx, *state.bare_sid));
    return std::any_of(devices.begin(), devices.end(), [&](const ScsiDevice& device) {
      // One that says nothing of itself is known by its place.
      return state.identity.empty() ? state.names(device)
                                    : same_unit(device.identity, state.identity);
    });
  }
  const std::string uuid = map_uuid_of(state.wwid);
  if (!state.has_map(uuid)) return false;
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, operation.host().find_map(ctx, uuid));
  return map && map->target_type == "multipath" && map->is_read_only >= state.read_only;
}

Result<Recovered> recover_detach(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(const bool is_still_attached, is_whole(ctx, operation, state));
  if (is_still_attached) {
    HAWSER_TRY(operation.abort(step::kDetach));
    return Recovered::kept;
  }
  if (!state.is_forced) {
    HAWSER_TRY(finish_scans(ctx, operation));
    HAWSER_TRY(check_disks_unused(ctx, operation, [&](const Ctx& look_ctx) {
      return unit_footprint(look_ctx, operation, state);
    }));
  }
  HAWSER_TRY_ASSIGN(const std::vector<std::string> left,
                    dismantle(ctx, operation, state, Removal::if_unused));
  if (left.empty()) return Recovered::completed;
  return Error(Errc::busy, "left behind by a forced detach: " + listed(left))
      .with(Outcome::unknown);
}

// Logins that were still pending when attach returned. True if there was one to deal with.
Result<bool> reap_late_logins(const Ctx& ctx, Operation& operation, const LogState& state) {
  bool is_reaped = false;
  for (const SessionEntry& entry : state.sessions) {
    if (entry.progress != Progress::intended) continue;
    HAWSER_TRY(release_session(ctx, operation, entry));
    is_reaped = true;
  }
  return is_reaped;
}

Result<Recovered> recover_phase(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  const bool is_this_boot = boot_id == state.boot_id;
  if (state.phase == Phase::idle) {
    if (state.identity.empty()) HAWSER_TRY(operation.forget());
    return Recovered::nothing;
  }
  if (!is_this_boot) {
    HAWSER_TRY(recover_after_reboot(ctx, operation, state));
    return state.phase == Phase::attaching   ? Recovered::undone
           : state.phase == Phase::detaching ? Recovered::completed
                                             : Recovered::nothing;
  }
  switch (state.phase) {
    case Phase::idle: break;
    case Phase::attaching:
      HAWSER_TRY(hold_places(ctx.within(at_most(ctx, kPlacesBudget)), operation, state.paths));
      HAWSER_TRY(finish_scans(ctx, operation));
      HAWSER_TRY(check_disks_unused(ctx, operation, [&](const Ctx& look_ctx) {
        return own_footprint(look_ctx, operation, state);
      }));
      HAWSER_TRY(undo_attach(ctx, operation, state));
      HAWSER_TRY(end_attach(operation, state));
      return Recovered::undone;
    case Phase::detaching: return recover_detach(ctx, operation, state);
    case Phase::attached: {
      HAWSER_TRY_ASSIGN(const bool is_mended, mend_all(ctx, operation, state));
      HAWSER_TRY_ASSIGN(const LogState now, operation.state());
      HAWSER_TRY_ASSIGN(const bool is_reaped, reap_late_logins(ctx, operation, now));
      return is_mended || is_reaped ? Recovered::kept : Recovered::nothing;
    }
  }
  return Recovered::nothing;
}

}  // namespace

Status recover_one(const Ctx& ctx, Operation& operation, const LogState& state) {
  const Result<Recovered> recovered = recover_phase(ctx, operation, state);
  if (recovered) return ok();
  return recovered.error();
}

Result<std::unique_ptr<Operation>> open_attached(const Ctx& ctx, const Environment& environment,
                                                 const std::string& id) {
  HAWSER_TRY(environment.journal.read(id));  // Opening makes a log where there is none.
  HAWSER_TRY(environment.host.check_ready(ctx, Multipath::off));
  HAWSER_TRY_ASSIGN(std::unique_ptr<LogFile> log, environment.journal.open(ctx, id));
  HAWSER_TRY_ASSIGN(auto operation, Operation::start(environment, id, std::move(log)));
  HAWSER_TRY_ASSIGN(LogState state, operation->state());
  if (state.phase == Phase::attaching || state.phase == Phase::detaching) {
    HAWSER_TRY(recover_one(ctx, *operation, state));
    HAWSER_TRY_ASSIGN(state, operation->state());
  }
  if (state.phase == Phase::idle && state.identity.empty()) HAWSER_TRY(operation->forget());
  if (state.phase != Phase::attached) return Error(Errc::not_found, id + " is not attached");
  HAWSER_TRY_ASSIGN(const std::string boot_id, environment.host.boot_id());
  if (boot_id == state.boot_id) return operation;
  return Error(Errc::not_found, id + " was attached before the last reboot: attach it anew");
}

namespace {

// A multipathd that takes a bare disk into a map after all writes its WWID down. An entry that was
// not there before is to go with the disk.
Status announce_wwid(Operation& operation) {
  HAWSER_TRY_ASSIGN(const LogState state, operation.state());
  if (state.lacks_wwid(state.wwid)) operation.found(step::kWwid, {{"wwid", state.wwid}});
  return ok();
}

}  // namespace

namespace {

// Whether there is more to do than to look.
bool is_unfinished(const LogState& state, const std::string& boot_id) {
  const auto has_intended = [](const auto& entries) {
    return std::any_of(entries.begin(), entries.end(),
                       [](const auto& entry) { return entry.progress == Progress::intended; });
  };
  switch (state.phase) {
    case Phase::idle: return false;
    case Phase::attaching:
    case Phase::detaching: return true;
    case Phase::attached: break;
  }
  return state.boot_id != boot_id || has_intended(state.joins) || has_intended(state.resizes) ||
         has_intended(state.sessions);
}

// What cannot be read now is told of when it is its turn.
Result<std::set<std::string>> unfinished_of(const Environment& environment,
                                            const std::vector<std::string>& ids) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, environment.host.boot_id());
  std::set<std::string> unfinished;
  for (const std::string& id : ids) {
    const Result<std::vector<Record>> records = environment.journal.read(id);
    if (!records) continue;
    const Result<LogState> state = replay(*records);
    if (state && is_unfinished(*state, boot_id)) unfinished.insert(id);
  }
  return unfinished;
}

}  // namespace

Result<std::vector<std::string>> dismantle(const Ctx& ctx, Operation& operation,
                                           const LogState& state, Removal removal) {
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  const bool is_this_boot = boot_id == state.boot_id;
  Status scanned;
  Status released;
  if (is_this_boot) {
    // What a scan under way brings after the devices were deleted would stay. A detach has waited
    // before its flush, and those that it did not wait for are named.
    const bool has_waited = removal != Removal::if_unused;
    scanned = finish_scans(has_waited        ? ctx.within(0s)
                           : state.is_forced ? peacefully(ctx)
                                             : ctx,
                           operation);
    if (!has_waited && !state.is_forced) HAWSER_TRY(scanned);
    HAWSER_TRY(announce_wwid(operation));
    const Look look = [&](const Ctx& look_ctx) {
      return unit_footprint(look_ctx, operation, state);
    };
    const Removal how = state.is_forced ? Removal::by_force : removal;
    HAWSER_TRY(take_down(ctx, operation, look, how,
                         [&] { released = release_sessions(ctx, operation, state, how); }));
  }
  Status rest = is_this_boot ? undo_read_only(ctx, operation, state) : ok();
  if (rest || state.is_forced) {
    Status undone = undo_on_disk(ctx, operation);
    if (rest) rest = std::move(undone);
  }
  if (rest) rest = std::move(released);
  std::vector<std::string> left;
  if (is_this_boot && state.is_forced) left = what_is_left(ctx, operation, state);
  if (!rest && !state.is_forced) return std::move(rest).error().with(Outcome::unknown);
  if (!scanned) left.push_back("a scan under way: " + scanned.error().message());
  if (!rest) left.push_back(rest.error().message());
  if (!left.empty()) return left;
  Status forgotten = operation.forget();
  if (!forgotten) return std::move(forgotten).error().with(Outcome::unknown);
  return left;
}

Result<RecoverReport> recover(const Ctx& ctx, const Environment& environment) {
  HAWSER_TRY_ASSIGN(std::vector<std::string> ids, environment.journal.list());
  HAWSER_TRY_ASSIGN(const std::set<std::string> unfinished, unfinished_of(environment, ids));
  // The others take no time.
  std::stable_partition(ids.begin(), ids.end(),
                        [&](const std::string& id) { return !unfinished.contains(id); });
  auto left = static_cast<std::int64_t>(unfinished.size());
  RecoverReport report;
  for (const std::string& id : ids) {
    const Status in_time = ctx.check();
    if (!in_time) {
      report.failed.push_back(
          {id, Error(in_time.error()).with("not looked at").with(Stage::recover)});
      continue;
    }
    // One that cannot be finished leaves time for the others.
    const Ctx one_ctx =
        unfinished.contains(id)
            ? ctx.within(std::max<std::chrono::nanoseconds>(ctx.left() / left--, kOneBudget))
            : ctx;
    Result<std::unique_ptr<LogFile>> log = environment.journal.try_open(id);
    if (!log && (log.error().code() == Errc::busy || log.error().code() == Errc::not_found)) {
      continue;  // A live process works on it, or has just finished.
    }
    const auto recovered = [&]() -> Result<Recovered> {
      if (!log) return std::move(log).error();
      HAWSER_TRY_ASSIGN(const auto operation, Operation::start(environment, id, *std::move(log)));
      HAWSER_TRY_ASSIGN(const LogState state, operation->state());
      return recover_phase(one_ctx, *operation, state);
    }();
    if (!recovered) {
      report.failed.push_back({id, Error(recovered.error()).with(Stage::recover)});
    } else if (*recovered == Recovered::undone) {
      report.undone.push_back(id);
    } else if (*recovered == Recovered::completed) {
      report.completed.push_back(id);
    } else if (*recovered == Recovered::kept) {
      report.kept.push_back(id);
    }
  }
  return report;
}

}  // namespace hawser
