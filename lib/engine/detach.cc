#include "engine/detach.h"

#include <algorithm>
#include <utility>

#include "engine/confirm.h"
#include "engine/mend.h"
#include "engine/recover.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// How long a forced detach tries to save the data before it goes on without.
constexpr auto kForcedFlushBudget = 5s;

// A path that does not answer a small read for this long is not one to flush through.
constexpr auto kProbeBudget = 5s;

constexpr auto kLookBudget = 1s;

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words)
    joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

// What is detached: the map, or the one bare device.
struct Subject {
  std::optional<Map> map{};
  Footprint footprint{};

  std::string device() const {
    return map ? "dm-" + std::to_string(map->minor) : footprint.devices.front().name;
  }
  bool is_there() const { return map || !footprint.devices.empty(); }
};

Result<Subject> find_subject(const Ctx& ctx, Operation& operation, const LogState& state) {
  Subject subject;
  HAWSER_TRY_ASSIGN(subject.footprint, unit_footprint(ctx, operation, state));
  if (!subject.footprint.map_uuids.empty()) {
    HAWSER_TRY_ASSIGN(subject.map,
                      operation.host().find_map(ctx, subject.footprint.map_uuids.front()));
  }
  return subject;
}

// Waits for openers that pass, such as udev's probes, and names those that do not.
Status check_unused(const Ctx& ctx, Operation& operation, const Subject& subject) {
  Host& host = operation.host();
  Result<std::vector<std::string>> holders = host.holders(ctx, subject.device());
  if (!holders) return std::move(holders).error();
  if (holders->empty()) {
    if (!subject.map) return ok();
    operation.tell(Event::Level::info, "detach.unused", "waiting until nobody has it open");
    Status unused = host.wait_until_unused(ctx, subject.map->uuid);
    if (unused) return ok();
    if (unused.error().code() != Errc::busy) return unused;
    // The time is up; who it was is worth one more look.
    HAWSER_TRY_ASSIGN(*holders, host.holders(ctx.for_undo(kLookBudget), subject.device()));
    if (holders->empty()) holders->push_back("a process that has it open");
  }
  return Error(Errc::busy, subject.device() + " is in use: " + join(*holders));
}

Error at_risk(Error cause, const std::string& doing) {
  // Whatever the reason was, to the caller it means that data could be lost.
  Error error(Errc::data_at_risk,
              doing + ": " + cause.message() +
                  "; nothing was removed, the volume stays attached and what was written may still "
                  "be on its way");
  return std::move(error).with(Stage::flush);
}

// Nobody flushes into a void: fsync on a map without paths would hang, and cannot be interrupted.
Status prove_a_path(const Ctx& ctx, Operation& operation, const Subject& subject) {
  Status last = Error(Errc::unavailable, "it has no path");
  for (const ScsiDevice& device : subject.footprint.devices) {
    last = operation.host().probe(ctx.within(kProbeBudget), device);
    if (last) break;
  }
  return last;
}

Status flush(const Ctx& ctx, Operation& operation, const Subject& subject) {
  operation.tell(Event::Level::info, "flush.start", "flushing " + subject.device());
  Status proven = prove_a_path(ctx, operation, subject);
  if (!proven) {
    return at_risk(std::move(proven).error(), "no path of " + subject.device() + " answers");
  }
  Status flushed = operation.host().flush(ctx, "/dev/" + subject.device());
  if (!flushed) return at_risk(std::move(flushed).error(), "flush of " + subject.device());
  return ok();
}

// The part of a detach that must not lose data. On failure nothing has been changed.
Status make_safe(const Ctx& ctx, Operation& operation, const Subject& subject) {
  HAWSER_TRY(check_unused(ctx, operation, subject));
  return flush(ctx, operation, subject);
}

class Detach {
 public:
  Detach(Operation& operation, const DetachOptions& options)
      : operation_(operation), options_(options) {}

  Status run(const Ctx& ctx, const LogState& state, DetachReport& report) {
    HAWSER_TRY(operation_.mark(RecordType::begin, step::kDetach));
    const Status safe = secure(ctx, state, report);
    if (!safe) {
      HAWSER_TRY(operation_.mark(RecordType::abort, step::kDetach));
      return safe;
    }
    HAWSER_TRY(operation_.done(step::kFlush, 0));
    if (report.data_at_risk) HAWSER_TRY(free_the_stuck(ctx, state));
    return dismantle(ctx, operation_, state);
  }

 private:
  Status secure(const Ctx& ctx, const LogState& state, DetachReport& report) {
    HAWSER_TRY_ASSIGN(const std::string boot_id, operation_.host().boot_id());
    if (boot_id != state.boot_id) return ok();  // There is nothing in this kernel.
    HAWSER_TRY_ASSIGN(const Subject subject, find_subject(ctx, operation_, state));
    if (!subject.is_there()) return ok();
    HAWSER_TRY(check_paths(ctx, state, subject, report));
    if (report.data_at_risk) return ok();
    if (!options_.force) return make_safe(ctx, operation_, subject);

    const Status safe = make_safe(ctx.within(kForcedFlushBudget), operation_, subject);
    if (safe) return ok();
    HAWSER_TRY(ctx.check());
    report.flushed = false;
    report.data_at_risk = true;
    operation_.warn("detach.forced", "detached by force: " + safe.error().message());
    return ok();
  }

  // What is written now must not go to a unit that has taken the place of ours.
  Status check_paths(const Ctx& ctx, const LogState& state, const Subject& subject,
                     DetachReport& report) {
    if (!subject.map) return ok();
    Status right = expel_changed(ctx, operation_, state, *subject.map, subject.footprint.devices,
                                 options_.force);
    if (right || !options_.force || right.error().code() != Errc::data_at_risk) return right;
    report.flushed = false;
    report.data_at_risk = true;
    operation_.warn("detach.forced", "detached by force: " + right.error().message());
    return ok();
  }

  // Whoever waits for a queue that will never empty gets an error instead.
  Status free_the_stuck(const Ctx& ctx, const LogState& state) {
    if (!state.is_multipath) return ok();
    Status wiped = operation_.host().wipe_map(ctx, std::string(kMapUuidPrefix) + state.wwid);
    if (wiped) return ok();
    return std::move(wiped).error().with(Stage::map).with(Outcome::unknown);
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
    if (state.phase == Phase::attaching || state.phase == Phase::detaching) {
      HAWSER_TRY(recover_one(ctx, *operation, state));
      HAWSER_TRY_ASSIGN(state, operation->state());
    }
    // Recovery may have taken care of all of it.
    if (state.phase != Phase::attached) return ok();
    HAWSER_TRY(mend(ctx, *operation, state));
    HAWSER_TRY_ASSIGN(state, operation->state());
    const Status detached = Detach(*operation, options).run(ctx, state, report);
    report.warnings = operation->warnings();
    return detached;
  };
  HAWSER_TRY(run());
  report.elapsed = ctx.clock.now() - start;
  return report;
}

}  // namespace hawser
