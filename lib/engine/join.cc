#include "engine/join.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/map_paths.h"
#include "engine/mend.h"
#include "engine/other_logs.h"
#include "engine/recover.h"
#include "engine/report.h"
#include "engine/rivals.h"
#include "engine/sessions.h"
#include "model/chap.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr auto kUndoBudget = 30s;

// A path that does not answer a small read for this long is not one to send I/O to.
constexpr auto kProbeBudget = 5s;

// Each try is written down. A log that has seen so many is started anew by detach and attach.
constexpr std::uint32_t kStepsMax = 20'000;

Error mismatch(const ScsiDevice& device, const std::string& why) {
  return Error(Errc::identity_mismatch, device.name + " (" + to_string(device.hctl) + "): " + why)
      .with(Stage::identify);
}

// The paths of one volume, on their way back into its map.
class Joiner {
 public:
  Joiner(Operation& operation, const LogState& state, const PathPlan& plan)
      : operation_(operation), state_(state), plan_(plan) {}

  // Logins and scans go by `work_ctx`; what has come by then is taken in, or undone.
  // Errors: those of the log.
  Status run(const Ctx& ctx, const Ctx& work_ctx, const std::vector<LoggedPath>& paths);

  // A login was sent that nobody has answered.
  bool has_pending() const {
    return std::any_of(errors_.begin(), errors_.end(),
                       [](const auto& e) { return e.second.outcome() == Outcome::unknown; });
  }
  // Why paths did not come.
  const std::map<SessionKey, Error>& errors() const { return errors_; }

 private:
  struct Arrival {
    LoggedPath logged{};
    std::uint32_t number = 0;  // Of the join's step; 0 if it could not be announced.
    Result<Path> path;
  };

  Arrival bring_back(const Ctx& ctx, const LoggedPath& path);
  Result<Path> bring_up_anyhow(const Ctx& ctx, const LoggedPath& path);
  void take_arrivals(const Ctx& ctx);
  Status admit(const Ctx& ctx, Path path);
  Status probe(const Ctx& ctx, const ScsiDevice& device) const;
  Status verify(const Ctx& ctx, const Map& map, Path& path);
  Status compare(const Map& map, const ScsiDevice& device) const;
  Status revive(const Ctx& ctx, const ScsiDevice& device, PathVerdict verdict);
  Ctx undo_ctx(const Ctx& ctx);
  Status settle(const Ctx& ctx, std::uint32_t number);
  bool has_scanned(const ScsiDevice& device) const;

  Operation& operation_;
  const LogState& state_;
  const PathPlan& plan_;
  const std::string uuid_ = map_uuid_of(state_.wwid);
  std::map<SessionKey, Error> errors_{};
  Status log_status_{};
  std::optional<TimePoint> undo_ends_{};
  Mutex mutex_;
  std::vector<Arrival> arrivals_ HAWSER_GUARDED_BY(mutex_){};
};

Status Joiner::run(const Ctx& ctx, const Ctx& work_ctx, const std::vector<LoggedPath>& paths) {
  {
    const std::unique_ptr<Crew> crew = operation_.host().crew();
    for (const LoggedPath& path : paths) {
      crew->start(work_ctx, [this, path](const Ctx& task_ctx) {
        Arrival arrival = bring_back(task_ctx, path);
        const MutexLock lock(mutex_);
        arrivals_.push_back(std::move(arrival));
      });
    }
    for (;;) {
      const Result<bool> more = crew->wait_one(work_ctx);
      if (!more || !*more) break;
      take_arrivals(ctx);
    }
    crew->request_stop();
  }  // Those that are late stop waiting; their logins stay in the log as pending.
  take_arrivals(ctx);
  return std::move(log_status_);
}

Joiner::Arrival Joiner::bring_back(const Ctx& ctx, const LoggedPath& path) {
  operation_.tell(Event::Level::info, "path.join", "bringing the path back",
                  to_string(path.spec.portal));
  Result<std::uint32_t> number = operation_.intent(step::kJoin, join_fields(path));
  if (!number) return {.logged = path, .path = std::move(number).error()};
  return {.logged = path, .number = *number, .path = bring_up_anyhow(ctx, path)};
}

Result<Path> Joiner::bring_up_anyhow(const Ctx& ctx, const LoggedPath& path) {
  const auto entry = std::find_if(
      state_.sessions.rbegin(), state_.sessions.rend(), [&](const SessionEntry& session) {
        return session.key == path.key && session.progress != Progress::ended;
      });
  if (entry == state_.sessions.rend()) return bring_up(ctx, operation_, path, plan_);

  Result<std::optional<Session>> session =
      resume_session(ctx.within(plan_.login_timeout), operation_, *entry);
  if (!session) {
    return std::move(session)
        .error()
        .with(Stage::login)
        .with_path(to_string(path.spec.portal), path.spec.target, path.spec.lun);
  }
  if (*session) return find_device(ctx, operation_, path, plan_, {.session = **session});
  return bring_up(ctx, operation_, path, plan_);
}

void Joiner::take_arrivals(const Ctx& ctx) {
  std::vector<Arrival> arrivals;
  {
    const MutexLock lock(mutex_);
    arrivals.swap(arrivals_);
  }
  for (Arrival& arrival : arrivals) {
    const std::string portal = to_string(arrival.logged.spec.portal);
    Status joined = arrival.path ? admit(ctx, *arrival.path) : Status(arrival.path.error());
    if (joined) joined = operation_.done(step::kJoin, arrival.number);
    if (joined) {
      operation_.tell(Event::Level::info, "path.joined",
                      arrival.path->device.name + " is in use again", portal);
      continue;
    }
    Error error = std::move(joined).error().with_path(portal, arrival.logged.spec.target,
                                                      arrival.logged.spec.lun);
    if (error.stage() == Stage::journal && log_status_) log_status_ = error;
    const bool is_pending = error.stage() == Stage::login && error.outcome() == Outcome::unknown;
    errors_.insert_or_assign(arrival.logged.key, std::move(error));
    if (is_pending || arrival.number == 0) continue;
    const Status settled =
        settle(ctx.check() ? ctx.within(kUndoBudget) : undo_ctx(ctx), arrival.number);
    if (!settled) operation_.warn("join.left", settled.error().message(), portal);
  }
}

// However many paths there are to undo, all of it has one budget.
Ctx Joiner::undo_ctx(const Ctx& ctx) {
  if (!undo_ends_) undo_ends_ = ctx.clock.now() + kUndoBudget;
  return ctx.for_undo(std::max(*undo_ends_ - ctx.clock.now(), std::chrono::nanoseconds(0)));
}

// What a join that failed has made is of no use.
Status Joiner::settle(const Ctx& ctx, std::uint32_t number) {
  HAWSER_TRY_ASSIGN(const LogState now, operation_.state());
  for (const JoinEntry& join : now.joins) {
    if (join.number == number && join.progress == Progress::intended) {
      HAWSER_TRY(settle_join(ctx, operation_, now, join));
    }
  }
  return ok();
}

Status Joiner::admit(const Ctx& ctx, Path path) {
  Host& host = operation_.host();
  HAWSER_TRY_ASSIGN(std::optional<Map> map, host.find_map(ctx, uuid_));
  if (!map) return Error(Errc::busy, "somebody removed map " + uuid_).with(Stage::map);
  HAWSER_TRY(verify(ctx, *map, path));
  HAWSER_TRY_ASSIGN(map, host.find_map(ctx, uuid_));  // It may have lost the path by that.
  if (!map) return Error(Errc::busy, "somebody removed map " + uuid_).with(Stage::map);
  HAWSER_TRY(probe(ctx, path.device));

  // A running multipathd owns the map: it is asked first, and what it did is seen in the kernel.
  HAWSER_TRY_ASSIGN(const PathVerdict verdict, host.offer_path(ctx, path.device));
  if (verdict == PathVerdict::blacklisted) {
    return Error(Errc::unsupported, "multipathd blacklists " + path.device.name).with(Stage::map);
  }
  if (map->has_path(path.device.dev)) return revive(ctx, path.device, verdict);
  return ensure_in_map(ctx, operation_, uuid_, path.device);
}

Status Joiner::probe(const Ctx& ctx, const ScsiDevice& device) const {
  Status alive = operation_.host().probe(ctx.within(kProbeBudget), device);
  if (alive) return ok();
  return std::move(alive).error().with(Stage::scan);
}

// A path that was there before may lead to another unit by now. It must not stay in the map then,
// and if the device is ours, one new scan tells whether it is only the kernel's memory that is old.
Status Joiner::verify(const Ctx& ctx, const Map& map, Path& path) {
  const auto is_right_unit = [&] { return same_unit(path.device.identity, state_.identity); };
  if (is_right_unit() && !path.doubt.empty()) {
    HAWSER_TRY(probe(ctx, path.device));  // One that answers nothing is only lost.
    if (path.is_silent) HAWSER_TRY(examine(ctx, operation_.host(), path));  // It answers by now.
    if (is_right_unit() && path.is_silent) {
      return Error(Errc::unavailable, path.device.name + " " + path.doubt).with(Stage::scan);
    }
  }
  Status same = compare(map, path.device);
  if (same && path.doubt.empty()) return ok();
  if (same) same = mismatch(path.device, path.doubt);
  operation_.warn("path.other_unit", same.error().message(), to_string(path.logged.spec.portal));
  HAWSER_TRY(ensure_not_in_map(ctx, operation_.host(), uuid_, {path.device}));
  if (!has_scanned(path.device)) return same;
  HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation_));
  if (any_names(others, path.device)) {
    return std::move(same).error().with("another attachment has it, so it is left alone");
  }
  Result<Path> again = bring_up_again(ctx, operation_, path);
  if (!again) return std::move(again).error().with(Stage::scan);
  path = *std::move(again);
  return compare(map, path.device);
}

Status Joiner::compare(const Map& map, const ScsiDevice& device) const {
  if (!same_unit(device.identity, state_.identity)) {
    return mismatch(device, "is unit " + wwid_of(device.identity) + ", but the volume is " +
                                wwid_of(state_.identity));
  }
  // One whose unit has grown is large enough. Beside paths of the old size multipathd would not
  // take it; but it is not thrown out of the map for that, and is better than none.
  const bool is_wanted =
      map.has_path(device.dev) || std::none_of(map.paths.begin(), map.paths.end(),
                                               [](const auto& path) { return path.is_active; });
  if (device.sectors < map.sectors || (device.sectors > map.sectors && !is_wanted)) {
    return mismatch(device, "has " + std::to_string(device.sectors) + " sectors, but the map has " +
                                std::to_string(map.sectors) + "; was the volume resized?");
  }
  // With such a path in it, the whole map would turn read-only.
  if (device.read_only && !map.is_read_only) {
    return mismatch(device, "is read-only, and the map is not");
  }
  return ok();
}

bool Joiner::has_scanned(const ScsiDevice& device) const {
  const Result<LogState> now = operation_.state();
  return now && now->has_brought(device);
}

// A path that is in the map and had failed. No path comes back by itself: multipathd does that, and
// where there is none, we do.
Status Joiner::revive(const Ctx& ctx, const ScsiDevice& device, PathVerdict verdict) {
  Host& host = operation_.host();
  if (verdict != PathVerdict::not_running) {
    operation_.tell(Event::Level::info, "path.left_to_multipathd",
                    device.name + " works again: multipathd will see it");
    return ok();
  }
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid_));
  if (!map) return Error(Errc::busy, "somebody removed map " + uuid_).with(Stage::map);
  for (const MapPathStatus& path : map->paths) {
    if (path.dev != device.dev || path.is_active) continue;
    Status reinstated = host.reinstate_path(ctx.within(kProbeBudget), uuid_, device.dev);
    if (!reinstated) return std::move(reinstated).error().with(Stage::map);
  }
  return ok();
}

std::vector<LoggedPath> missing_paths(const LogState& state, const Attachment& attachment,
                                      const JoinPlan& plan) {
  std::vector<LoggedPath> missing;
  for (std::size_t i = 0; i < state.paths.size(); ++i) {
    if (attachment.paths[i].state != "active") missing.push_back(state.paths[i]);
  }
  for (const LoggedPath& path : plan.more) {
    const auto same = [&](const LoggedPath& p) { return p.key == path.key; };
    if (std::none_of(state.paths.begin(), state.paths.end(), same)) missing.push_back(path);
  }
  return missing;
}

}  // namespace

Result<Attachment> join_missing(const Ctx& ctx, Operation& operation, const JoinPlan& plan) {
  HAWSER_TRY_ASSIGN(LogState state, operation.state());
  HAWSER_TRY(mend(ctx, operation, state));
  HAWSER_TRY_ASSIGN(state, operation.state());
  HAWSER_TRY_ASSIGN(Attachment attachment, report(ctx, operation.host(), operation.id(), state));
  const std::vector<LoggedPath> missing = missing_paths(state, attachment, plan);
  if (attachment.status != "attached" || !attachment.multipath || missing.empty()) {
    return attachment;
  }
  if (state.next_number > kStepsMax) {
    return Error(Errc::exhausted, "the log of " + operation.id() +
                                      " is full of tries: detach the volume and attach it again")
        .with(Stage::journal);
  }

  const Ctx work_ctx = plan.budget ? ctx.within(*plan.budget) : ctx;
  const Status alone = hold_places(work_ctx, operation, missing);
  if (!alone && (!plan.budget || !ctx.check())) return alone.error();
  if (!alone) {  // What is there can be used meanwhile.
    attachment.warnings.push_back("paths were not joined: " + alone.error().message());
    return attachment;
  }
  Joiner joiner(operation, state, plan.path);
  HAWSER_TRY(joiner.run(ctx, work_ctx, missing));
  HAWSER_TRY_ASSIGN(state, operation.state());
  Result<Attachment> joined = report(ctx, operation.host(), operation.id(), state);
  if (!joined && joiner.has_pending()) return std::move(joined).error().with(Outcome::unknown);
  HAWSER_TRY_ASSIGN(attachment, std::move(joined));
  for (std::size_t i = 0; i < attachment.paths.size(); ++i) {
    const auto error = joiner.errors().find(state.paths[i].key);
    if (error == joiner.errors().end() || attachment.paths[i].state == "active") continue;
    attachment.paths[i].error = error->second;
  }
  for (std::string& warning : operation.warnings())
    attachment.warnings.push_back(std::move(warning));
  return attachment;
}

Result<Attachment> join(const Ctx& ctx, const Environment& environment, const std::string& id,
                        const JoinOptions& options) {
  const TimePoint start = ctx.clock.now();
  HAWSER_TRY(check_chap("auth", options.chap));
  HAWSER_TRY(check_login_timeout(options.login_timeout));
  HAWSER_TRY_ASSIGN(const auto operation, open_attached(ctx, environment, id));
  HAWSER_TRY_ASSIGN(Attachment attachment,
                    join_missing(ctx, *operation,
                                 {.path = {.chap = options.chap ? &*options.chap : nullptr,
                                           .login_timeout = options.login_timeout}}));
  if (attachment.status != "attached") {
    return Error(Errc::not_found, id + " is gone from the kernel: attach it anew")
        .with(Stage::identify);
  }
  attachment.elapsed = ctx.clock.now() - start;
  return attachment;
}

}  // namespace hawser
