#include "engine/gather.h"

#include <algorithm>
#include <utility>

#include "engine/budget.h"
#include "engine/map_paths.h"
#include "engine/other_logs.h"
#include "engine/rivals.h"
#include "engine/run_all.h"
#include "engine/sessions.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// Taking back a path that died takes as long as the kernel and iscsid need to see that. What is not
// done by then is in the log, and is done by whoever takes the volume down.
constexpr auto kDiscardBudget = 10s;
// A login that is on its way comes within that, or its portal is not there.
constexpr auto kPendingBudget = 2s;

// udev runs a dozen programs for each disk. On a host with few processors four disks at once keep
// it from the map, which is what the caller waits for; so the others come after it, unless it is
// slow.
constexpr auto kHeadStart = 2s;

// udev's own work on the map takes a second or so; what takes longer is not worth failing for, nor
// is whatever else comes once enough paths are in.
constexpr auto kUdevBudget = 15s;

// How long a path may take to answer one read before another is asked.
constexpr auto kAliveBudget = 2s;

// The code that says most about what the caller can do: the same for all paths, or "unavailable".
// What was too slow for us, or not waited for, does not say that the caller's time was up.
Errc common_code(const std::map<SessionKey, Error>& errors) {
  std::optional<Errc> common;
  for (const auto& [key, error] : errors) {
    if (common && *common != error.code()) return Errc::unavailable;
    common = error.code();
  }
  if (common == Errc::deadline_exceeded || common == Errc::cancelled) return Errc::unavailable;
  return common.value_or(Errc::unavailable);
}

Status take_out_of_map(const Ctx& ctx, Operation& operation, const std::string& uuid,
                       const ScsiDevice& device) {
  Host& host = operation.host();
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
  if (!map || !map->has_path(device.dev)) return ok();
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> next, host.find_device(ctx, device.dev));
  if (next) return ok();  // Somebody else's, which has got the number.
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> others, strangers_in(ctx, host, *map, {device}));
  if (others.empty()) return host.remove_map(ctx, uuid);
  return ensure_not_in_map(ctx, host, uuid, {device});
}

// multipathd may make a map of a disk that is gone by then, or take it into the one that is there.
Status remove_with_map(const Ctx& ctx, Operation& operation, const ScsiDevice& device) {
  const std::string wwid = wwid_of(device.identity);
  if (wwid.empty()) return operation.host().remove_device(ctx, device);
  const std::string uuid = map_uuid_of(wwid);
  const std::uint32_t number = operation.found(step::kMap, {{"uuid", uuid}});
  HAWSER_TRY(operation.host().remove_device(ctx, device));
  HAWSER_TRY(take_out_of_map(ctx, operation, uuid, device));
  operation.undone(step::kMap, number);
  return ok();
}

Error not_needed() { return Error(Errc::cancelled, "not needed: a bare device has one path"); }

}  // namespace

Status Gatherer::all(const Ctx& ctx, const std::vector<LoggedPath>& paths, Unit& unit,
                     std::size_t min_paths, std::chrono::nanoseconds grace) {
  for (const LoggedPath& path : paths) {
    errors_.insert_or_assign(
        path.key, Error(Errc::deadline_exceeded, "no answer yet")
                      .with(Stage::login)
                      .with_path(to_string(path.spec.portal), path.spec.target, path.spec.lun));
  }
  unanswered_ = paths.size();
  Status waited;
  {
    const std::unique_ptr<Crew> crew = operation_.host().crew();
    for (const LoggedPath& path : paths)
      start_login(ctx, *crew, path);
    waited = await(ctx, *crew, unit, min_paths, grace);
    crew->request_stop();
  }  // The paths that are late stop waiting; their logins stay in the log as pending.
  give_up_unscanned();
  if (waited) take_arrivals(ctx, unit);
  const bool is_enough = waited && !fatal_ && unit.paths().size() >= min_paths;
  if (is_enough) {
    discard_useless(ctx);  // That takes time, and so comes before the map is settled.
    if (unit.has_map()) await_udev(ctx, unit);
    // multipathd, which adopts the map when udev shows it, keeps of its paths those that it knows
    // by then.
    HAWSER_TRY(unit.settle(ctx));
    for (LoggedPath& path : unit.drop_spare_paths()) {
      errors_.insert_or_assign(path.key, not_needed());
      useless_.push_back(std::move(path));
    }
    discard_useless(ctx);
    return ok();
  }
  // Paths that were told to stop have answered, too.
  if (waited) waited = ctx.check();
  return failure(unit, min_paths, std::move(waited));
}

// Returns ok when there is nothing more to wait for, within what was asked for.
Status Gatherer::await(const Ctx& ctx, Crew& crew, Unit& unit, std::size_t min_paths,
                       std::chrono::nanoseconds grace) {
  std::optional<TimePoint> enough_at;
  for (;;) {
    const bool is_bare = !unit.paths().empty() && !unit.has_map();
    if (fatal_ || is_bare || unanswered_ == 0) return ok();
    start_scans(ctx, crew, unit);
    const bool is_enough = !in_head_start() && unit.paths().size() >= min_paths;
    if (!enough_at && is_enough) {
      enough_at = ctx.clock.now();
      grace = std::min<std::chrono::nanoseconds>(grace, ctx.left() - ctx.left() / 3);
    }
    std::optional<TimePoint> until;
    if (in_head_start()) {
      until = head_start_->ends;
    } else if (enough_at) {
      until = *enough_at + grace;
    }
    const Ctx wait_ctx =
        until ? ctx.within(std::max(*until - ctx.clock.now(), std::chrono::nanoseconds(0))) : ctx;
    const Result<bool> more = crew.wait_one(wait_ctx);
    if (more && *more) {
      take_arrivals(ctx, unit);
      continue;
    }
    const bool is_until =
        !more && until && ctx.check() && more.error().code() == Errc::deadline_exceeded;
    if (!more && !is_until) return more.error();
    if (in_head_start()) {
      head_start_->is_over = true;
      continue;
    }
    if (more || has_live_path(ctx, unit)) return ok();
    // Those that are in have died since; a better one may be on its way.
    grace = kAliveBudget;
    enough_at = ctx.clock.now();
  }
}

void Gatherer::start_login(const Ctx& ctx, Crew& crew, const LoggedPath& path) {
  crew.start(ctx, [this, path](const Ctx& task_ctx) {
    Result<Acquired> acquired = log_in(task_ctx, operation_, path, plan_);
    const MutexLock lock(mutex_);
    if (acquired) {
      logged_in_.push_back({path, *std::move(acquired)});
    } else {
      arrivals_.push_back({path, std::move(acquired).error()});
    }
  });
}

void Gatherer::start_scan(const Ctx& ctx, Crew& crew, LoggedIn path) {
  crew.start(ctx, [this, in = std::move(path)](const Ctx& task_ctx) {
    Result<Path> found = find_device(task_ctx, operation_, in.path, plan_, in.acquired);
    const MutexLock lock(mutex_);
    arrivals_.push_back({in.path, std::move(found)});
  });
}

void Gatherer::start_scans(const Ctx& ctx, Crew& crew, const Unit& unit) {
  if (in_head_start()) follow_head_start(ctx, crew, unit);
  if (in_head_start()) return;
  std::vector<LoggedIn> ready;
  {
    const MutexLock lock(mutex_);
    if (head_start_ || logged_in_.empty()) {
      ready.swap(logged_in_);
    } else {
      ready.push_back(std::move(logged_in_.front()));
      logged_in_.erase(logged_in_.begin());
    }
  }
  for (LoggedIn& path : ready) {
    if (!head_start_) {
      head_start_ = {.first = path.path.key, .ends = ctx.clock.now() + kHeadStart};
    }
    start_scan(ctx, crew, std::move(path));
  }
}

// It ends early when udev has shown the map, and when the first path makes none.
void Gatherer::follow_head_start(const Ctx& ctx, Crew& crew, const Unit& unit) {
  if (!head_start_->has_arrived) return;
  if (!unit.has_map()) {
    head_start_->is_over = true;
  } else if (!std::exchange(head_start_->waits_for_udev, true)) {
    // Should it fail: it is waited for again at the end, and told of.
    crew.start(ctx, [this, uuid = unit.map_uuid()](const Ctx& task_ctx) {
      (void)operation_.host().wait_for_udev(task_ctx, uuid);
      const MutexLock lock(mutex_);
      is_map_shown_ = true;
    });
  } else {
    const MutexLock lock(mutex_);
    head_start_->is_over = is_map_shown_;
  }
}

void Gatherer::await_udev(const Ctx& ctx, const Unit& unit) {
  operation_.tell(Event::Level::info, "udev.wait", "waiting for udev to show the map");
  const Status shown =
      operation_.host().wait_for_udev(ctx.within(at_most(ctx, kUdevBudget)), unit.map_uuid());
  if (!shown) operation_.warn("udev.slow", shown.error().message());
}

// What has logged in, and need not be scanned any more.
void Gatherer::give_up_unscanned() {
  const MutexLock lock(mutex_);
  for (LoggedIn& in : logged_in_)
    arrivals_.push_back({in.path, Error(Errc::cancelled, "not scanned").with(Stage::scan)});
  logged_in_.clear();
}

void Gatherer::take_arrivals(const Ctx& ctx, Unit& unit) {
  std::vector<Arrival> arrivals;
  {
    const MutexLock lock(mutex_);
    arrivals.swap(arrivals_);
  }
  for (Arrival& arrival : arrivals) {
    if (in_head_start() && arrival.path.key == head_start_->first) head_start_->has_arrived = true;
    take(ctx, unit, std::move(arrival));
    --unanswered_;
  }
}

void Gatherer::take(const Ctx& ctx, Unit& unit, Arrival arrival) {
  const LoggedPath& path = arrival.path;
  Result<Path>& up = *arrival.result;
  // Told to stop because the others were enough. It may be a good path of a map all the same: what
  // has come of it stays in the log, as a login that is still pending does.
  const bool is_late = !up && up.error().code() == Errc::cancelled && ctx.check();
  const bool is_bare = !unit.paths().empty() && !unit.has_map();
  if (is_late) {
    const Stage stage = up.error().stage();
    up = is_bare ? not_needed().with(stage)
                 : Error(Errc::deadline_exceeded, "no answer by the time the others were enough")
                       .with(stage)
                       .with(Outcome::unknown);
  }
  Status admitted = !up       ? Status(std::move(up).error())
                    : fatal_  ? Status(*fatal_)
                    : is_bare ? Status(not_needed())
                              : unit.admit(ctx, *std::move(up));
  if (admitted) {
    errors_.erase(path.key);
    operation_.tell(Event::Level::info, "path.ready",
                    unit.paths().back().device.name + " is in use", to_string(path.spec.portal));
    return;
  }
  Error error = std::move(admitted).error();
  if (error.portal().empty()) {
    error =
        std::move(error).with_path(to_string(path.spec.portal), path.spec.target, path.spec.lun);
  }
  if (unit.is_fatal() && !fatal_) fatal_ = error;
  // A path that did not make it into the unit is of no use, and its session would be a leftover.
  // One that the map may get yet is left pending, and one that may be in the map has to wait for
  // whoever takes the map down.
  const bool can_discard = error.outcome() == Outcome::unchanged && !fatal_ &&
                           error.stage() != Stage::map && error.stage() != Stage::journal;
  if (can_discard) useless_.push_back(path);
  report(path, error);
  errors_.insert_or_assign(path.key, std::move(error));
}

void Gatherer::report(const LoggedPath& path, const Error& error) const {
  const auto level = error.code() == Errc::cancelled ? Event::Level::info : Event::Level::warning;
  operation_.tell(level, "path.failed", error.message(), to_string(path.spec.portal));
}

// One that answers is enough to hand the volume out.
bool Gatherer::has_live_path(const Ctx& ctx, const Unit& unit) const {
  return std::any_of(unit.paths().begin(), unit.paths().end(), [&](const Path& path) {
    return !path.device.takes_reads() ||
           operation_.host().probe(ctx.within(kAliveBudget), path.device);
  });
}

void Gatherer::discard_useless(const Ctx& ctx) {
  std::vector<std::function<Status(const Ctx&)>> tasks;
  for (LoggedPath& path : useless_) {
    tasks.emplace_back([this, path = std::move(path)](const Ctx& task_ctx) {
      const Status discarded = discard(task_ctx, path);
      if (!discarded) {
        operation_.warn("path.discard",
                        "not taken back, detach will: " + discarded.error().message(),
                        to_string(path.spec.portal));
      }
      return ok();
    });
  }
  useless_.clear();
  const Status discarded =
      run_all(ctx.within(at_most(ctx, kDiscardBudget)), operation_.host(), std::move(tasks));
  if (!discarded) operation_.warn("path.discard", discarded.error().message());
}

Status Gatherer::first_good(const Ctx& ctx, const std::vector<LoggedPath>& paths, Unit& unit) {
  auto left = static_cast<std::int64_t>(paths.size());
  for (const LoggedPath& path : paths) {
    HAWSER_TRY(ctx.check());
    // One that hangs leaves time for the others, but no login is cut short for them.
    const Ctx path_ctx =
        ctx.within(std::max<std::chrono::nanoseconds>(ctx.left() / left--, plan_.login_timeout));
    take(ctx, unit, {path, bring_up(path_ctx, operation_, path, plan_)});
    if (fatal_) break;
    if (!unit.paths().empty()) return ok();
    discard_useless(ctx);
  }
  return failure(unit, 1, ctx.check());
}

// Takes back what bringing up this one path has done.
Status Gatherer::discard(const Ctx& ctx, const LoggedPath& path) {
  HAWSER_TRY_ASSIGN(const LogState state, operation_.state());
  HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation_));
  for (const SessionEntry& entry : state.sessions) {
    if (entry.key != path.key || entry.progress == Progress::ended) continue;
    for (const DeviceEntry& device : state.devices) {
      if (device.sid != entry.sid || device.existed || device.progress == Progress::ended) continue;
      HAWSER_TRY(finish_scan(ctx, operation_, device));
      HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> there,
                        operation_.host().devices(ctx, device.sid));
      for (const ScsiDevice& d : there) {
        if (d.hctl.lun != device.lun || any_names(others, d)) continue;
        HAWSER_TRY(remove_with_map(ctx, operation_, d));
      }
      operation_.undone(step::kDevice, device.number);
    }
    const bool is_pending = entry.progress == Progress::intended;
    HAWSER_TRY(release_session(is_pending ? ctx.within(kPendingBudget) : ctx, operation_, entry));
  }
  return ok();
}

Error Gatherer::failure(const Unit& unit, std::size_t min_paths, Status cause) const {
  if (fatal_) return *fatal_;
  std::vector<Error> paths;
  std::string details;
  for (const auto& [key, error] : errors_) {
    paths.push_back(error);
    details += "; " + error.portal() + ": " + error.message();
  }
  const std::string count = std::to_string(unit.paths().size()) + " of " +
                            std::to_string(min_paths) + " paths wanted came up" + details;
  if (!cause) {
    return std::move(cause).error().with(count).with(Stage::login).with_paths(std::move(paths));
  }
  const Stage stage = paths.empty() ? Stage::login : paths.front().stage();
  return Error(common_code(errors_), count).with(stage).with_paths(std::move(paths));
}

}  // namespace hawser
