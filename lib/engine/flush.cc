#include "engine/flush.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/listed.h"
#include "engine/budget.h"
#include "engine/confirm.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// A path that does not answer a small read for this long is not one to flush through.
constexpr auto kProbeBudget = 5s;

// Long enough for one look.
constexpr auto kAtOnce = 50ms;

// On a host that is too slow for that somebody seems to have a bare disk open after every flush.
constexpr int kBareFlushes = 2;

// What is kept of the deadline for saying who it was, and whether the data is at risk.
constexpr auto kLookBudget = 3s;

// No event says that a disk was closed, and every process has to be looked at.
constexpr auto kCloseInterval = 250ms;

Ctx before_last_look(const Ctx& ctx) {
  return ctx.within(ctx.left() - std::min<std::chrono::nanoseconds>(kLookBudget, ctx.left() / 4));
}

// Exponential, with jitter, so that hosts that lost the same storage do not come back in step.
class Backoff {
 public:
  explicit Backoff(std::size_t seed)
      : random_(static_cast<std::minstd_rand::result_type>(seed % std::minstd_rand::modulus)) {}

  std::chrono::milliseconds next() {
    std::uniform_int_distribution<std::chrono::milliseconds::rep> jitter(base_.count() / 2,
                                                                         base_.count() * 3 / 2);
    base_ = std::min<std::chrono::milliseconds>(2 * base_, kLongest);
    return std::chrono::milliseconds(jitter(random_));
  }

 private:
  static constexpr std::chrono::milliseconds kLongest{4000};

  std::minstd_rand random_;
  std::chrono::milliseconds base_{200};
};

// Whatever the reason was, to the caller it means that data could be lost.
Error at_risk(const Error& cause, const std::string& doing) {
  return Error(Errc::data_at_risk, doing + ": " + cause.message()).with(Stage::flush);
}

// What answers may be another unit by now.
Status scan_anew(const Ctx& ctx, Host& host, const LogState& state, const ScsiDevice& device) {
  HAWSER_TRY(host.rescan(ctx, device));
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, host.find_device(ctx, device.dev));
  if (!now) return Error(Errc::not_found, device.name + " is gone");
  if (same_unit(now->identity, state.identity)) return ok();
  return Error(Errc::identity_mismatch, device.name + " shows another unit now");
}

bool is_active(const Map& map, const ScsiDevice& device) {
  return std::any_of(map.paths.begin(), map.paths.end(), [&](const MapPathStatus& path) {
    return path.dev == device.dev && path.is_active;
  });
}

// Device-mapper does not take back a path that failed, and without multipathd nobody does.
Status reinstate(const Ctx& ctx, Operation& operation, const Map& map, const ScsiDevice& device) {
  operation.tell(Event::Level::info, "path.back", device.name + " answers again");
  return operation.host().reinstate_path(ctx.within(kProbeBudget), map.uuid, device.dev);
}

Status prove_device(const Ctx& ctx, Host& host, const LogState& state, const ScsiDevice& device) {
  Status answers = host.probe(ctx.within(kProbeBudget), device);
  if (answers) return answers;
  // A disk that was scanned while the target did not show the unit has no size, for good.
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, host.find_device(ctx, device.dev));
  if (!now || now->sectors > 0) return answers;
  HAWSER_TRY(scan_anew(ctx, host, state, device));
  return host.probe(ctx.within(kProbeBudget), device);
}

Status prove_path(const Ctx& ctx, Operation& operation, const LogState& state,
                  const std::optional<Map>& map, const ScsiDevice& device) {
  HAWSER_TRY(prove_device(ctx, operation.host(), state, device));
  if (!map) return ok();
  // The path may have failed since the map was looked at, and be back for the probe.
  HAWSER_TRY_ASSIGN(const std::optional<Map> now, operation.host().find_map(ctx, map->uuid));
  if (!now) return Error(Errc::not_found, "map " + map->uuid + " is gone");
  if (is_active(*now, device)) return ok();
  HAWSER_TRY(scan_anew(ctx, operation.host(), state, device));
  return reinstate(ctx, operation, *now, device);
}

// Nobody flushes into a void: fsync on a map without paths would hang, and cannot be interrupted.
// All are asked at once; the first that answers will do.
Status prove_a_path(const Ctx& ctx, Operation& operation, const LogState& state,
                    const Subject& subject) {
  std::optional<Map> map;
  if (subject.map) {
    HAWSER_TRY_ASSIGN(map, operation.host().find_map(ctx, subject.map->uuid));
    if (!map) return Error(Errc::not_found, "map " + subject.map->uuid + " is gone");
  }
  Mutex mutex;
  bool is_proven = false;
  std::optional<Error> cause;
  const std::unique_ptr<Crew> crew = operation.host().crew();
  for (const ScsiDevice& device : subject.devices) {
    if (map && !map->has_path(device.dev)) continue;
    crew->start(ctx, [&, device](const Ctx& task_ctx) {
      Status proven = prove_path(task_ctx, operation, state, map, device);
      const MutexLock lock(mutex);
      is_proven = is_proven || proven;
      if (!proven && !cause) cause = std::move(proven).error().with(Outcome::unchanged);
    });
  }
  for (;;) {
    const Result<bool> more = crew->wait_one(ctx);
    const MutexLock lock(mutex);
    if (is_proven) break;
    if (!more) return more.error();
    if (!*more) return cause ? *cause : Error(Errc::unavailable, "it has no path");
  }
  crew->request_stop();
  return ok();
}

// What is written must not go to a unit that has taken the place of ours: a path to one is taken
// out of the map.
Result<PathCheck> check_units(const Ctx& ctx, Operation& operation, const LogState& state,
                              const Subject& subject) {
  HAWSER_TRY(check_bare_disk(ctx, operation, state));
  if (!subject.map) return PathCheck{};
  HAWSER_TRY_ASSIGN(const std::optional<Map> map,
                    operation.host().find_map(ctx, subject.map->uuid));
  if (!map) return PathCheck{};
  return expel_changed(ctx, operation, state, *map, subject.devices, false);
}

// One look at the paths of a map mostly shows what they lead to and that one answers. True if the
// map sends I/O through such a one.
Result<bool> is_ready_at_once(const Ctx& ctx, Operation& operation, const LogState& state,
                              const Subject& subject) {
  if (!subject.map) return false;
  const Result<PathCheck> check = check_units(ctx, operation, state, subject);
  if (!check && check.error().code() == Errc::deadline_exceeded) return false;  // No path answers.
  HAWSER_TRY(check);
  if (check->good.empty()) return false;
  const Result<std::optional<Map>> map = operation.host().find_map(ctx, subject.map->uuid);
  if (!map || !*map) return false;
  const bool is_used =
      std::any_of(check->good.begin(), check->good.end(),
                  [&](const ScsiDevice& device) { return is_active(**map, device); });
  return is_used || reinstate(ctx, operation, **map, check->good.front());
}

// What was handed out has to take what was written: the map, or a disk, also if multipathd has made
// a map over that since. Another disk that does not answer has nothing to be waited for: whoever
// had it open has closed it, and was told then.
Status flush_nodes(const Ctx& ctx, Operation& operation, const LogState& state,
                   const Subject& subject) {
  Host& host = operation.host();
  if (subject.map) HAWSER_TRY(host.flush(ctx, "dm-" + std::to_string(subject.map->minor)));
  for (const ScsiDevice& device : subject.devices) {
    // Logs of before do not say which one it was.
    const bool is_handed_out = state.bare_sid ? *state.bare_sid == device.sid : !subject.map;
    const bool is_in_map = subject.map && subject.map->has_path(device.dev);
    if (!is_handed_out && is_in_map) continue;
    const Status answers = !is_handed_out ? host.probe(ctx.within(kProbeBudget), device) : ok();
    HAWSER_TRY(ctx.check());
    if (answers) HAWSER_TRY(host.flush(ctx, device.name));
  }
  return ok();
}

// Without a path there may be nothing to do: what the kernel holds for a map that nobody has open
// is written.
bool is_written(const Ctx& ctx, Operation& operation, const LogState& state,
                const Subject& subject) {
  if (!subject.map || state.bare_sid || subject.devices.empty()) return false;
  const Result<bool> written = operation.host().is_written(ctx, *subject.map, subject.devices);
  return written && *written;
}

// What was lost before is told all the same.
Status ask_for_lost_writes(const Ctx& ctx, Operation& operation, const Subject& subject,
                           const Error& cause) {
  HAWSER_TRY(operation.host().flush(ctx, "dm-" + std::to_string(subject.map->minor)));
  operation.warn("flush.no_path",
                 "no path answers (" + cause.message() + "), but nothing was left to be written");
  return ok();
}

// The kernel says once that writes were lost, also to a flush that was left behind. Whoever
// detaches next must still be able to know.
Status note_lost(Operation& operation, const Error& cause) {
  const bool is_unheard = cause.outcome() == Outcome::unknown;
  if (!is_unheard && cause.code() != Errc::data_at_risk) return ok();
  return operation.note(
      step::kFlush, {{"lost", cause.message() + (is_unheard ? ": it was not waited for, and may "
                                                              "have heard of lost writes"
                                                            : "")}});
}

// Who keeps `node` busy, when waiting was in vain.
Error in_use(const Ctx& ctx, Operation& operation, const std::string& node) {
  std::vector<std::string> who;
  const auto take = [&](const Result<std::vector<std::string>>& found, const char* doing) {
    if (!found) return;
    for (const std::string& one : *found)
      who.push_back(doing + one);
  };
  take(operation.host().holders(ctx, node), "");
  take(operation.host().openers(ctx, node), "opened by ");
  if (who.empty()) who.emplace_back("something that cannot be found has it open");
  return Error(Errc::busy, node + " is in use: " + listed(who));
}

// Whoever waits for a map without paths to take his data closes it only when a path is put back.
void help_openers(const Ctx& ctx, Operation& operation, const LogState& state,
                  const Subject& subject) {
  if (!subject.map) return;
  const Result<std::optional<Map>> map = operation.host().find_map(ctx, subject.map->uuid);
  if (!map || !*map) return;
  const bool has_path = std::any_of((*map)->paths.begin(), (*map)->paths.end(),
                                    [](const MapPathStatus& path) { return path.is_active; });
  if (!has_path) (void)prove_a_path(ctx, operation, state, subject);  // Tried again by and by.
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Who uses it without having it open. A map keeps mounts from its disks, but not another target of
// device-mapper's.
Status check_not_held(const Ctx& ctx, Operation& operation, const Subject& subject) {
  Host& host = operation.host();
  const auto used_by = [](const std::string& node, const std::vector<std::string>& holders) {
    return Error(Errc::busy, node + " is in use: " + listed(holders));
  };
  const std::vector<std::string> nodes = subject.nodes();
  for (const std::string& node : nodes) {
    HAWSER_TRY_ASSIGN(const std::vector<std::string> holders, host.holders(ctx, node));
    if (!holders.empty()) return used_by(node, holders);
  }
  for (const ScsiDevice& device : subject.devices) {
    if (contains(nodes, device.name)) continue;
    HAWSER_TRY_ASSIGN(const std::vector<std::string> stacked, host.stacked_on(ctx, device.name));
    if (!stacked.empty()) return used_by(device.name, stacked);
  }
  return ok();
}

// As of now: nobody is waited for.
Result<bool> is_unused(const Ctx& ctx, Operation& operation, const Subject& subject) {
  const Status free = check_not_held(ctx, operation, subject);
  if (!free && free.error().code() == Errc::busy) return false;
  HAWSER_TRY(free);
  for (const std::string& node : subject.nodes()) {
    const Status closed = operation.host().wait_until_unused(ctx.within(kAtOnce), node);
    if (!closed && closed.error().code() == Errc::busy) return false;
    HAWSER_TRY(closed);
  }
  return true;
}

// A map that multipathd has made over a disk that was handed out says nothing of who has that open.
// Who holds it without a descriptor has been looked for, so that only its openers are waited for.
Status wait_for_handed_out_disk(const Ctx& ctx, Operation& operation, const LogState& state,
                                const Subject& subject) {
  const Ctx wait_ctx = before_last_look(ctx);
  for (const ScsiDevice& device : subject.devices) {
    const bool is_under_map =
        state.bare_sid == device.sid && subject.map && subject.map->has_path(device.dev);
    while (is_under_map) {
      HAWSER_TRY_ASSIGN(const std::vector<std::string> openers,
                        operation.host().openers(ctx, device.name));
      if (openers.empty()) break;
      const Status paused = operation.host().pause(wait_ctx, kCloseInterval);
      if (paused) continue;
      if (paused.error().code() != Errc::deadline_exceeded) return paused;
      return in_use(ctx, operation, device.name);
    }
  }
  return ok();
}

// Keeps `subject` as it is by then.
Status wait_for_openers(const Ctx& ctx, Operation& operation, const LogState& state,
                        Subject& subject, const std::string& node) {
  Host& host = operation.host();
  for (bool is_told = false;; is_told = true) {
    const Status passed = host.wait_until_unused(ctx.within(kPassingOpener), node);
    if (passed || passed.error().code() != Errc::busy) return passed;
    if (!ctx.check()) return passed;
    // multipathd may have taken a bare disk into the map: then it is open for good.
    HAWSER_TRY_ASSIGN(subject, find_subject(ctx, operation, state));
    if (!contains(subject.nodes(), node)) return ok();
    if (!is_told) {
      const Result<std::vector<std::string>> openers = host.openers(ctx, node);
      operation.tell(Event::Level::info, "detach.unused",
                     "waiting until nobody has " + node + " open" +
                         (openers && !openers->empty() ? ": " + listed(*openers) : ""));
    }
    help_openers(ctx.within(kProbeBudget), operation, state, subject);
  }
}

}  // namespace

std::vector<std::string> Subject::nodes() const {
  std::vector<std::string> nodes;
  if (map) nodes.push_back("dm-" + std::to_string(map->minor));
  for (const ScsiDevice& device : devices) {
    if (!map || !map->has_path(device.dev)) nodes.push_back(device.name);
  }
  return nodes;
}

Result<Subject> find_subject(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(Footprint footprint, unit_footprint(ctx, operation, state));
  Subject subject{.devices = std::move(footprint.devices)};
  if (!footprint.map_uuids.empty()) {
    HAWSER_TRY_ASSIGN(subject.map, operation.host().find_map(ctx, footprint.map_uuids.front()));
  }
  return subject;
}

Status check_unused(const Ctx& ctx, Operation& operation, const LogState& state, Subject& subject) {
  HAWSER_TRY_ASSIGN(const bool are_unused, is_unused(ctx, operation, subject));
  if (are_unused) return wait_for_handed_out_disk(ctx, operation, state, subject);
  // Whoever has it open may write until he closes it.
  HAWSER_TRY(check_units(ctx, operation, state, subject));
  HAWSER_TRY_ASSIGN(subject, find_subject(ctx, operation, state));
  HAWSER_TRY(check_not_held(ctx, operation, subject));
  const Ctx wait_ctx = before_last_look(ctx);
  for (std::vector<std::string> waited_for;;) {
    const std::vector<std::string> nodes = subject.nodes();
    const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const std::string& one) {
      return !contains(waited_for, one);
    });
    if (node == nodes.end()) return wait_for_handed_out_disk(ctx, operation, state, subject);
    const Status unused = wait_for_openers(wait_ctx, operation, state, subject, *node);
    if (!unused && unused.error().code() != Errc::busy) return unused;
    if (!unused) return in_use(ctx, operation, *node);
    waited_for.push_back(*node);
  }
}

Status flush(const Ctx& ctx, Operation& operation, const LogState& state, const Subject& subject) {
  const std::string nodes = listed(subject.nodes());
  operation.tell(Event::Level::info, "flush.start", "flushing " + nodes);
  Backoff backoff(std::hash<std::string>{}(operation.id()) ^
                  static_cast<std::size_t>(operation.host().uptime_ms()));
  HAWSER_TRY_ASSIGN(bool is_ready, is_ready_at_once(ctx, operation, state, subject));
  for (unsigned tries = 1;; ++tries) {
    Status done = is_ready ? ok() : prove_a_path(ctx, operation, state, subject);
    const std::string doing = (done ? "flush of " + nodes : "no path of " + nodes + " answers") +
                              (tries > 1 ? ", after " + std::to_string(tries) + " tries" : "");
    if (done) {
      if (!std::exchange(is_ready, false)) {
        // A path may be back that nobody could ask before. If it was the one that was proven, there
        // has to be another.
        HAWSER_TRY_ASSIGN(const PathCheck check, check_units(ctx, operation, state, subject));
        if (check.has_expelled) continue;
      }
      done = flush_nodes(ctx, operation, state, subject);
    } else if (ctx.check() && is_written(ctx, operation, state, subject)) {
      done = ask_for_lost_writes(ctx, operation, subject, done.error());
    }
    if (done) return done;
    const Status noted = note_lost(operation, done.error());
    // A flush that is left behind writes what is to be written anyway.
    const Error cause = std::move(done).error().with(Outcome::unchanged);
    if (!noted) return at_risk(cause, doing).with(noted.error().message());
    if (cause.code() == Errc::cancelled) return cause;
    if (cause.code() == Errc::data_at_risk) return at_risk(cause, doing);
    // Paths come back; until then nothing is lost.
    if (tries == 1) operation.tell(Event::Level::info, "flush.wait", doing + ": waiting for one");
    const Status paused = operation.host().pause(ctx, backoff.next());
    if (paused) continue;
    if (paused.error().code() == Errc::cancelled) return paused;
    return at_risk(cause, doing);
  }
}

Status make_safe(const Ctx& ctx, Operation& operation, const LogState& state, Subject& subject) {
  Status unused = check_unused(ctx, operation, state, subject);
  for (int round = 0; unused && round < kBareFlushes; ++round) {
    HAWSER_TRY(flush(ctx, operation, state, subject));
    if (subject.map) return ok();
    // The kernel deletes a disk also when somebody has opened it meanwhile. What he writes until he
    // lets go is flushed as well.
    HAWSER_TRY_ASSIGN(const bool stayed_unused, is_unused(ctx, operation, subject));
    if (stayed_unused) return ok();
    unused = check_unused(ctx, operation, state, subject);
  }
  if (unused) return ok();
  if (unused.error().code() != Errc::busy) return unused;
  // It may be in use because somebody waits for data to be written that no path takes.
  const Status proven = prove_a_path(ctx.within(kLookBudget), operation, state, subject);
  if (proven || proven.error().code() == Errc::cancelled) return unused;
  return at_risk(unused.error(), "no path answers (" + proven.error().message() + ")");
}

}  // namespace hawser
