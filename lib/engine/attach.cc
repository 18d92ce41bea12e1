#include "engine/attach.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "engine/budget.h"
#include "engine/confirm.h"
#include "engine/find.h"
#include "engine/flush.h"
#include "engine/gather.h"
#include "engine/join.h"
#include "engine/mend.h"
#include "engine/plan.h"
#include "engine/recover.h"
#include "engine/report.h"
#include "engine/rivals.h"
#include "engine/take_down.h"
#include "engine/unit.h"
#include "model/path_count.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr auto kUndoBudget = 30s;

// multipathd reloads a map with the paths that it knows, once for each uevent.
constexpr int kSettleTries = 3;

// What the caller asked for, with the specification's own wishes worked in.
AttachOptions effective(const VolumeSpec& spec, AttachOptions options) {
  if (spec.enforce_multipath && options.multipath == Multipath::preferred) {
    options.multipath = Multipath::required;
  }
  if (spec.min_paths) options.min_paths = *spec.min_paths;
  if (spec.grace) options.grace = *spec.grace;
  options.min_paths = std::max(options.min_paths, 1U);
  return options;
}

Error too_few(Errc code, std::uint32_t wanted, std::size_t there) {
  return Error(code, "min_paths is " + std::to_string(wanted) + ", but there are only " +
                         std::to_string(there) + " paths");
}

PathPlan path_plan(const VolumeSpec& spec, const AttachOptions& options) {
  return {.chap = spec.chap ? &*spec.chap : nullptr,
          .login_timeout = options.login_timeout,
          .login_tries = std::max(options.login_tries, 1U),
          .scan_tries = std::max(options.scan_tries, 1U),
          .scan_interval = options.scan_interval,
          .node_record = options.node_record};
}

// One attach, from begin to commit. Undone by its caller if it fails.
class Attach {
 public:
  // `how` is what of options.multipath can be had on this host.
  Attach(Operation& operation, const VolumeSpec& spec, const AttachOptions& options, Multipath how)
      : operation_(operation), spec_(spec), options_(options), how_(how) {}

  Result<Attachment> run(const Ctx& ctx, const LogState& before) {
    HAWSER_TRY(begin(ctx));
    // Before the scan: afterwards multipathd may have written there as well.
    HAWSER_TRY_ASSIGN(std::vector<std::string> wwids, operation_.host().known_wwids(ctx));
    if (auto fields = wwids_fields(wwids)) {
      HAWSER_TRY(operation_.note(step::kWwids, *std::move(fields)));
    }
    Unit unit(operation_, spec_, how_, before.identity, std::move(wwids));
    Gatherer gatherer(operation_, path_plan(spec_, options_));
    HAWSER_TRY(how_ == Multipath::off
                   ? gatherer.first_good(ctx, paths_, unit)
                   : gatherer.all(ctx, paths_, unit, options_.min_paths, options_.grace));
    // Nothing may fail after the commit: what is committed is not undone.
    HAWSER_TRY_ASSIGN(Attachment attachment, describe_settled(ctx, unit, gatherer.errors()));
    HAWSER_TRY(commit(unit));
    return attachment;
  }

  // False if the log may call the volume attached already: undoing that would leave something in
  // between after a crash. It is for recover() then.
  bool can_roll_back() const {
    if (!is_committing_) return true;
    const Result<std::vector<Record>> records = operation_.journal().read(operation_.id());
    if (!records) return false;
    const Result<LogState> state = replay(*records);
    return state && state->phase == Phase::attaching;
  }

 private:
  Status begin(const Ctx& ctx) {
    HAWSER_TRY_ASSIGN(paths_, plan_paths(ctx, operation_, spec_, options_.multipath));
    if (options_.min_paths > paths_.size()) {
      return too_few(Errc::unavailable, options_.min_paths, paths_.size()).with(Stage::discover);
    }
    HAWSER_TRY(hold_places(ctx, operation_, paths_));
    LogState start;
    HAWSER_TRY_ASSIGN(start.boot_id, operation_.host().boot_id());
    start.volume_id = spec_.volume_id;
    start.read_only = spec_.access_mode == AccessMode::read_only;
    start.paths = paths_;
    return operation_.mark(RecordType::begin, step::kAttach, begin_fields(start));
  }

  Status commit(const Unit& unit) {
    is_committing_ = true;
    Fields fields{{"multipath", unit.has_map() ? "1" : "0"}};
    if (!unit.has_map()) fields["sid"] = std::to_string(unit.paths().front().session.sid);
    Status committed = operation_.mark(RecordType::commit, step::kAttach, std::move(fields));
    if (committed) return ok();
    return std::move(committed).error().with(Outcome::unknown);
  }

  // What a reload has left out since the map was settled is brought in again.
  Result<Attachment> describe_settled(const Ctx& ctx, Unit& unit,
                                      const std::map<SessionKey, Error>& errors) {
    for (int i = 0;; ++i) {
      HAWSER_TRY_ASSIGN(Attachment attachment, describe(ctx, unit, errors));
      const bool is_settled =
          std::none_of(unit.paths().begin(), unit.paths().end(),
                       [&](const Path& path) { return is_missing(attachment, path); });
      if (is_settled || i == kSettleTries) return attachment;
      HAWSER_TRY(unit.settle(ctx));
    }
  }

  static bool is_missing(const Attachment& attachment, const Path& path) {
    return std::any_of(attachment.paths.begin(), attachment.paths.end(),
                       [&](const PathReport& report) {
                         return report.device == path.device.name && report.state == "missing";
                       });
  }

  Result<Attachment> describe(const Ctx& ctx, const Unit& unit,
                              const std::map<SessionKey, Error>& errors) const {
    HAWSER_TRY_ASSIGN(LogState state, operation_.state());
    state.phase = Phase::attached;
    state.is_multipath = unit.has_map();
    if (!unit.has_map()) state.bare_sid = unit.paths().front().session.sid;
    HAWSER_TRY_ASSIGN(Attachment attachment,
                      report(ctx, operation_.host(), operation_.id(), state));
    if (attachment.status != "attached") {
      // multipathd does that when the last path is lost before anybody has opened the map.
      return Error(Errc::unavailable,
                   "what was attached is gone again: its last path was lost, or "
                   "somebody removed its map")
          .with(unit.has_map() ? Stage::map : Stage::scan);
    }
    for (std::size_t i = 0; i < attachment.paths.size(); ++i) {
      const auto error = errors.find(state.paths[i].key);
      if (error == errors.end()) continue;
      attachment.paths[i].error = error->second;
      if (attachment.paths[i].state != "pending") attachment.paths[i].state = "failed";
    }
    if (!attachment.multipath && options_.multipath != Multipath::off) {
      attachment.degraded = true;
    }
    attachment.warnings = operation_.warnings();
    return attachment;
  }

  Operation& operation_;
  const VolumeSpec& spec_;
  const AttachOptions& options_;
  const Multipath how_;
  std::vector<LoggedPath> paths_{};
  bool is_committing_ = false;
};

struct Readiness {
  Multipath how = Multipath::off;
  std::string no_map{};  // Why there can be none although one was asked for.
};

// A host that can make no maps will do, unless a map is required.
Result<Readiness> check_host(const Ctx& ctx, Host& host, const AttachOptions& options) {
  const Status ready = host.check_ready(ctx, options.multipath);
  if (ready) return Readiness{.how = options.multipath};
  const bool will_do =
      options.multipath == Multipath::preferred && ready.error().code() == Errc::unsupported;
  if (!will_do) return ready.error();
  HAWSER_TRY(host.check_ready(ctx, Multipath::off));
  return Readiness{.no_map = ready.error().message()};
}

Error roll_back(const Ctx& ctx, Operation& operation, const LogState& before, Error cause) {
  const Ctx undo_ctx = ctx.for_undo(kUndoBudget);
  // What became of each path has been told.
  operation.tell(Event::Level::warning, "attach.undo",
                 "undoing: " + (cause.paths().empty() ? cause.message() : "too few paths came up"));
  const auto undo = [&]() -> Status {
    operation.reconcile();
    HAWSER_TRY_ASSIGN(const LogState state, operation.state());
    if (state.phase == Phase::attaching) HAWSER_TRY(undo_attach(undo_ctx, operation, state));
    // What the log knew of the volume before is kept: its identity is worth comparing.
    if (before.identity.empty()) return operation.forget();
    // If the begin is not in the log nothing was done, and what is there is of an earlier attach.
    return state.phase == Phase::attaching ? operation.abort(step::kAttach) : ok();
  };
  const Status undone = undo();
  if (undone) return std::move(cause).with(Outcome::unchanged);
  return std::move(cause)
      .with(undone.error().message() + "; what is left is in the log of " + operation.id() +
            ", run recover; the cause was")
      .with(Outcome::unknown);
}

// What is attached already, with the paths that were missing, as far as they come within `grace`.
Result<Attachment> complete(const Ctx& ctx, Operation& operation, const VolumeSpec& spec,
                            const AttachOptions& options) {
  JoinPlan plan{.path = path_plan(spec, options), .budget = options.grace};
  Result<std::vector<LoggedPath>> paths = plan_paths(ctx, operation, spec, options.multipath);
  if (paths) {
    plan.more = *std::move(paths);
  } else {
    operation.warn("attach.plan", paths.error().message());
  }
  return join_missing(ctx, operation, plan);
}

// It is used by whoever asked for it first, so that it cannot be changed for the next.
Status check_as_asked(const Attachment& there, bool is_read_only, const VolumeSpec& spec,
                      const AttachOptions& options) {
  std::string what;
  if (is_read_only != (spec.access_mode == AccessMode::read_only)) {
    what = is_read_only ? "read-only, not for writing" : "for writing, not read-only";
  } else if (options.multipath == Multipath::required && !there.multipath) {
    what = "as a bare device, and multipath is required";
  } else if (options.multipath == Multipath::off && there.multipath) {
    what = "as a map, and multipath is off";
  }
  if (what.empty()) return ok();
  return Error(Errc::busy, "it is attached already, " + what + ": detach " + there.id + " first")
      .with(Stage::preflight);
}

// What is there of an attachment that is gone, somebody may use since.
Status check_nobody_took_it_up(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(Subject subject, find_subject(ctx, operation, state));
  const auto budget = kPassingOpener * (1 + subject.nodes().size());
  Status unused = check_unused(ctx.within(budget), operation, state, subject);
  HAWSER_TRY(ctx.check());
  if (unused || unused.error().code() != Errc::deadline_exceeded) return unused;
  return Error(Errc::busy,
               "it takes too long to see who uses what is left of it: " + unused.error().message());
}

// What stands in the way of a new attach is cleared; what is attached already is the answer.
Result<std::optional<Attachment>> settle_the_past(const Ctx& ctx, Operation& operation,
                                                  const VolumeSpec& spec,
                                                  const AttachOptions& options) {
  HAWSER_TRY_ASSIGN(LogState state, operation.state());
  if (state.phase != Phase::idle) HAWSER_TRY(check_is_of(operation.id(), state, spec));
  if (state.phase == Phase::attaching || state.phase == Phase::detaching) {
    HAWSER_TRY(hold_places(ctx, operation, state.paths));
    HAWSER_TRY(recover_one(ctx, operation, state));
    HAWSER_TRY_ASSIGN(state, operation.state());
  }
  if (state.phase != Phase::attached) return std::optional<Attachment>{};
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  if (boot_id != state.boot_id) {
    // The next begin starts the log anew; which unit the volume was stays in it.
    HAWSER_TRY(undo_on_disk(ctx, operation));
    return std::optional<Attachment>{};
  }
  HAWSER_TRY(mend(ctx, operation, state));
  HAWSER_TRY_ASSIGN(state, operation.state());
  HAWSER_TRY_ASSIGN(Attachment attachment, report(ctx, operation.host(), operation.id(), state));
  if (attachment.status == "attached") {
    HAWSER_TRY(check_as_asked(attachment, state.read_only, spec, options));
    HAWSER_TRY(confirm_attached(ctx, operation, state, spec.expected_wwid));
    HAWSER_TRY_ASSIGN(attachment, complete(ctx, operation, spec, options));
  }
  if (attachment.status == "attached") {
    attachment.already_attached = true;
    attachment.warnings.push_back("was attached already");
    return {std::move(attachment)};
  }
  // Somebody tore it down behind our back.
  HAWSER_TRY_ASSIGN(state, operation.state());
  operation.tell(Event::Level::warning, "attach.stale",
                 "an attachment in the log is gone from the kernel: attaching anew");
  HAWSER_TRY(check_nobody_took_it_up(ctx, operation, state));
  HAWSER_TRY(dismantle(ctx, operation, state, Removal::if_unused));
  return std::optional<Attachment>{};
}

// The log of a volume, and what there is of it already.
struct Opened {
  std::unique_ptr<Operation> operation{};
  std::optional<Attachment> present{};
  std::vector<std::string> warnings{};  // Of operations whose log was forgotten.
};

// A log with nothing of the past in its way. One that was forgotten on the way is a file without a
// name, so a new one is begun, which remembers which unit the volume was.
Result<Opened> open_settled(const Ctx& ctx, const Environment& environment, const VolumeSpec& spec,
                            const AttachOptions& options) {
  const std::string id = attachment_id(spec);
  Opened opened;
  std::optional<Fields> memory;
  for (;;) {
    opened.operation.reset();
    HAWSER_TRY_ASSIGN(std::unique_ptr<LogFile> log, environment.journal.open(ctx, id));
    HAWSER_TRY_ASSIGN(opened.operation, Operation::start(environment, id, std::move(log)));
    Operation& operation = *opened.operation;
    if (memory) HAWSER_TRY(operation.note(step::kIdentity, *std::exchange(memory, {})));
    HAWSER_TRY_ASSIGN(const LogState past, operation.state());
    HAWSER_TRY_ASSIGN(opened.present, settle_the_past(ctx, operation, spec, options));
    if (!operation.is_forgotten()) return opened;
    for (std::string& warning : operation.warnings())
      opened.warnings.push_back(std::move(warning));
    if (past.phase != Phase::attached || past.identity.empty()) continue;
    memory = Fields{{"wwid", past.wwid}};
    put(*memory, past.identity);
  }
}

}  // namespace

Result<Attachment> attach(const Ctx& ctx, const Environment& environment, const VolumeSpec& spec,
                          const AttachOptions& asked) {
  const TimePoint start = ctx.clock.now();
  HAWSER_TRY(validate(spec));
  HAWSER_TRY(check_login_timeout(asked.login_timeout));
  const AttachOptions options = effective(spec, asked);
  if (options.min_paths > paths_at_most(spec)) {
    return too_few(Errc::invalid_argument, options.min_paths, paths_at_most(spec))
        .with(Stage::input);
  }
  HAWSER_TRY_ASSIGN(const Readiness readiness, check_host(ctx, environment.host, options));
  if (!readiness.no_map.empty() && options.min_paths > 1) {
    return too_few(Errc::unsupported, options.min_paths, 1)
        .with(readiness.no_map + ": no map can be made")
        .with(Stage::preflight);
  }

  HAWSER_TRY_ASSIGN(Opened opened, open_settled(ctx, environment, spec, options));
  Operation& operation = *opened.operation;
  Result<Attachment> attachment = [&]() -> Result<Attachment> {
    if (opened.present) return *std::move(opened.present);
    HAWSER_TRY_ASSIGN(const LogState before, operation.state());
    if (!readiness.no_map.empty()) {
      operation.warn("map.none", bare_device_warning(readiness.no_map));
    }
    Attach work(operation, spec, options, readiness.how);
    Result<Attachment> made = work.run(ctx, before);
    if (made || !work.can_roll_back()) return made;
    return roll_back(ctx, operation, before, std::move(made).error());
  }();
  if (!attachment) return attachment;
  for (std::string& warning : opened.warnings)
    attachment->warnings.push_back(std::move(warning));
  attachment->elapsed = ctx.clock.now() - start;
  return attachment;
}

}  // namespace hawser
