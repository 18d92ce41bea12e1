#include "engine/detach.h"

#include <algorithm>
#include <utility>

#include "base/listed.h"
#include "engine/budget.h"
#include "engine/confirm.h"
#include "engine/flush.h"
#include "engine/mend.h"
#include "engine/path.h"
#include "engine/recover.h"
#include "engine/rivals.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// How long a forced detach tries to save the data before it goes on without, if there is that much:
// most of the time is for cleaning up.
constexpr auto kForcedFlushBudget = 5s;

// By force, a removal that anybody can hold up is tried for that long, or half of the time.
constexpr auto kUnforcedBudget = 2min;

// For saying what is left when the deadline has passed.
constexpr auto kLookBudget = 2s;

class Detach {
 public:
  Detach(Operation& operation, const DetachOptions& options)
      : operation_(operation), options_(options) {}

  // Brings to its end what a process that is dead has begun. By force, whoever stands in the way of
  // that gets errors.
  Status complete(const Ctx& ctx, LogState state, DetachReport& report) {
    report.data_at_risk = state.is_forced;
    report.flushed = !state.is_forced;
    const bool is_tried_first = options_.force && !state.is_forced;
    Status recovered = recover_one(is_tried_first ? peacefully(ctx) : ctx, operation_, state);
    if (recovered || !is_tried_first || operation_.is_forgotten() || !ctx.check()) return recovered;
    HAWSER_TRY_ASSIGN(const bool stays, is_there(ctx, state));
    if (!stays) return recovered;  // Force would be of no use.
    if (state.phase == Phase::attaching) {
      const Status alone = hold_places(peacefully(ctx), operation_, state.paths);
      if (!alone && alone.error().code() == Errc::busy) return alone;  // Nothing is lost by that.
      take_the_blame(recovered.error(), report);
      const Status undone = undo_attach(ctx, operation_, state, Removal::by_force);
      if (undone) return operation_.forget();
      if (undone.error().code() != Errc::busy) return undone;
      report.leftovers = {undone.error().message()};
      return ok();
    }
    HAWSER_TRY_ASSIGN(report.leftovers,
                      go_on_by_force(ctx, state, std::move(recovered).error(), report));
    return ok();
  }

  Status run(const Ctx& ctx, LogState state, DetachReport& report) {
    HAWSER_TRY(mend_first(ctx, state));
    HAWSER_TRY(operation_.mark(RecordType::begin, step::kDetach));
    if (!state.lost_writes.empty()) {
      operation_.warn("flush.lost_before", "an earlier detach found: " + state.lost_writes);
    }
    Status scanned = end_scans(ctx, state);
    // The scan that goes on is none of this detach's.
    if (!scanned) return give_up(std::move(scanned).error().with(Outcome::unchanged));
    Result<std::vector<std::string>> left = std::vector<std::string>{};
    do {
      Status safe = secure(ctx, state, report);
      if (!safe) return give_up(std::move(safe).error());
      Status passed = pass_flush(state, report);
      if (!passed) return std::move(passed).error().with(Outcome::unknown);
      const bool is_tried_first = options_.force && !state.is_forced;
      const auto half = std::min<std::chrono::nanoseconds>(kUnforcedBudget, ctx.left() / 2);
      left =
          dismantle(is_tried_first ? ctx.within(half) : ctx, operation_, state, Removal::if_closed);
    } while (!left && is_opened(left.error(), state));
    const bool goes_on = !left && options_.force && !state.is_forced && ctx.check();
    if (goes_on && !operation_.is_forgotten()) {
      left = go_on_by_force(ctx, state, std::move(left).error(), report);
    }
    if (!left) {
      if (left.error().outcome() == Outcome::unchanged) return give_up(std::move(left).error());
      return name_what_is_left(ctx, state, std::move(left).error());
    }
    report.leftovers = *std::move(left);
    return ok();
  }

 private:
  // Whether this kernel has anything that force could take away. What could be saved yet is not
  // taken.
  Result<bool> is_there(const Ctx& ctx, LogState& state) {
    HAWSER_TRY_ASSIGN(state, operation_.state());
    HAWSER_TRY_ASSIGN(const std::string boot_id, operation_.host().boot_id());
    const bool is_attaching = state.phase == Phase::attaching;
    if (boot_id != state.boot_id || !(is_attaching || state.flushed)) return false;
    HAWSER_TRY_ASSIGN(const Footprint there, is_attaching ? own_footprint(ctx, operation_, state)
                                                          : unit_footprint(ctx, operation_, state));
    return !what_is_left(ctx, operation_.host(), there).empty();
  }

  Status mend_first(const Ctx& ctx, LogState& state) {
    const Ctx mend_ctx = options_.force ? peacefully(ctx) : ctx;
    HAWSER_TRY(pass_over(ctx, mend(mend_ctx, operation_, state)));
    HAWSER_TRY_ASSIGN(state, operation_.state());
    return ok();
  }

  // Between the flush and the removal nothing may be waited for: somebody could open the volume,
  // write to it and close it again.
  Status end_scans(const Ctx& ctx, const LogState& state) {
    HAWSER_TRY_ASSIGN(const std::string boot_id, operation_.host().boot_id());
    if (boot_id != state.boot_id) return ok();
    return pass_over(ctx, finish_scans(options_.force ? peacefully(ctx) : ctx, operation_));
  }

  // By force, whatever it could bring goes anyway.
  Status pass_over(const Ctx& ctx, Status settled) {
    if (settled || !options_.force || !ctx.check()) return settled;
    operation_.warn("detach.not_settled", settled.error().message());
    return ok();
  }

  Status secure(const Ctx& ctx, const LogState& state, DetachReport& report) {
    HAWSER_TRY_ASSIGN(const std::string boot_id, operation_.host().boot_id());
    if (boot_id != state.boot_id) return ok();  // There is nothing in this kernel.
    HAWSER_TRY(blame_or_fail(ctx, check_bare_disk(ctx, operation_, state), report));
    HAWSER_TRY_ASSIGN(Subject subject, find_subject(ctx, operation_, state));
    if (!subject.is_there()) return ok();
    if (!options_.force) return make_safe(ctx, operation_, state, subject);
    HAWSER_TRY(check_paths(ctx, state, subject, report));
    if (report.data_at_risk) return ok();

    const Ctx saving =
        ctx.within(std::min<std::chrono::nanoseconds>(kForcedFlushBudget, ctx.left() / 3));
    const Status unused =
        check_unused(saving.within(saving.left() / 2), operation_, state, subject);
    // What an opener has written and can be saved is saved, even if he does not let go.
    const Status flushed = flush(saving, operation_, state, subject);
    HAWSER_TRY(ctx.check());
    if (!flushed) {
      take_the_blame(flushed.error(), report);
    } else if (!unused) {
      take_the_blame(unused.error(), report);
    }
    return ok();
  }

  // What is written now must not go to a unit that has taken the place of ours.
  Status check_paths(const Ctx& ctx, const LogState& state, const Subject& subject,
                     DetachReport& report) {
    if (!subject.map) return ok();
    const Result<PathCheck> expelled =
        expel_changed(ctx, operation_, state, *subject.map, subject.devices, true);
    return blame_or_fail(ctx, expelled ? ok() : expelled.error(), report);
  }

  // Since the flush, and whoever did may have written.
  static bool is_opened(const Error& error, const LogState& state) {
    return error.code() == Errc::busy && error.outcome() == Outcome::unchanged && !state.is_forced;
  }

  // By force nothing stands in the way, but nothing is written either to what could not be checked.
  Status blame_or_fail(const Ctx& ctx, Status right, DetachReport& report) {
    if (right || !options_.force || !ctx.check()) return right;
    take_the_blame(right.error(), report);
    return ok();
  }

  void take_the_blame(const Error& error, DetachReport& report) {
    report.flushed = false;
    report.data_at_risk = true;
    operation_.warn("detach.forced", "detached by force: " + error.message());
  }

  // Somebody opened it after all, or a dead process left what cannot be completed in peace.
  Result<std::vector<std::string>> go_on_by_force(const Ctx& ctx, LogState& state, Error cause,
                                                  DetachReport& report) {
    take_the_blame(cause, report);
    HAWSER_TRY_ASSIGN(state, operation_.state());
    Status passed = pass_flush(state, report);
    if (!passed) return std::move(passed).error().with(cause.outcome());
    Result<std::vector<std::string>> left = dismantle(ctx, operation_, state, Removal::by_force);
    if (left || cause.outcome() == Outcome::unchanged) return left;
    return std::move(left).error().with(Outcome::unknown);
  }

  // From here on a recovery goes forward once the map, or the disk that was handed out, is gone.
  Status pass_flush(LogState& state, const DetachReport& report) {
    if (state.flushed && state.is_forced == report.data_at_risk) return ok();
    Fields fields;
    if (report.data_at_risk) fields["forced"] = "1";
    HAWSER_TRY(operation_.done(step::kFlush, 0, std::move(fields)));
    state.flushed = true;
    state.is_forced = report.data_at_risk;
    return ok();
  }

  // Nothing was changed: it is attached as before.
  Status give_up(Error error) {
    const Status marked = operation_.abort(step::kDetach);
    if (error.data_at_risk()) {
      error = std::move(error).with("nothing was removed, the volume stays attached");
    }
    return marked ? error : std::move(error).with(marked.error().message());
  }

  Status name_what_is_left(const Ctx& ctx, const LogState& state, Error error) {
    const std::vector<std::string> left =
        what_is_left(ctx.for_undo(kLookBudget), operation_, state);
    if (left.empty()) return error;
    const std::string text = "left behind: " + listed(left);
    operation_.warn("detach.left", text);
    return std::move(error).with(text + "; run recover; the cause was");
  }

  Operation& operation_;
  const DetachOptions& options_;
};

}  // namespace

Result<DetachReport> detach(const Ctx& ctx, const Environment& environment, const std::string& id,
                            const DetachOptions& options) {
  const TimePoint start = ctx.clock.now();
  DetachReport report{.id = id};
  const auto run = [&]() -> Status {
    HAWSER_TRY_ASSIGN(const std::vector<std::string> ids, environment.journal.list());
    report.was_attached = std::find(ids.begin(), ids.end(), id) != ids.end();
    if (!report.was_attached) return ok();
    HAWSER_TRY(environment.host.check_ready(ctx, Multipath::off));
    HAWSER_TRY_ASSIGN(std::unique_ptr<LogFile> log, environment.journal.open(ctx, id));
    HAWSER_TRY_ASSIGN(const auto operation, Operation::start(environment, id, std::move(log)));
    HAWSER_TRY_ASSIGN(LogState state, operation->state());
    report.was_attached = state.phase != Phase::idle;
    Detach detaching(*operation, options);
    if (state.phase == Phase::attaching || state.phase == Phase::detaching) {
      HAWSER_TRY(detaching.complete(ctx, state, report));
      report.warnings = operation->warnings();
      HAWSER_TRY_ASSIGN(state, operation->state());
      // Which unit it was is of no use any more.
      if (state.phase == Phase::idle && !operation->is_forgotten()) return operation->forget();
    }
    // Opening the log may have made it anew, when another detach was faster.
    if (!report.was_attached && state.identity.empty()) return operation->forget();
    // Recovery may have taken care of all of it.
    if (state.phase != Phase::attached) return ok();
    const Status detached = detaching.run(ctx, state, report);
    report.warnings = operation->warnings();
    return detached;
  };
  HAWSER_TRY(run());
  report.elapsed = ctx.clock.now() - start;
  return report;
}

}  // namespace hawser
