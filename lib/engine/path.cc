#include "engine/path.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "engine/budget.h"
#include "engine/node_records.h"
#include "engine/other_logs.h"
#include "engine/rivals.h"
#include "engine/run_all.h"
#include "engine/sessions.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// multipathd sets the same; the kernel's default of 120 s would freeze I/O on a map with good
// paths.
constexpr auto kRecoveryTimeout = 5s;

// The scan itself has returned by then: what is waited for is the disk driver's probe.
constexpr auto kDeviceTimeout = 30s;

// open-iscsi's lock has no owner, so a dead iscsiadm may hold it for ever.
constexpr auto kNodeRecordBudget = 5s;

// A device that does not answer a small read for this long is scanned anew.
constexpr auto kProbeBudget = 5s;

// A portal that refuses does so at once: the next try is to find it in another state.
constexpr auto kLoginInterval = 1000ms;

// Lost packets are sent again within this time. What takes longer is not a path to begin with.
constexpr auto kReadBudget = 10s;

// udev may be behind by as much under load. One that stands still is not waited for longer.
constexpr auto kUdevBudget = 20s;

LoginRequest make_request(const Ctx& ctx, const LoggedPath& path, const PathPlan& plan) {
  // iscsid counts in whole seconds. A login should be dead by the time we give up on it.
  const auto left = std::chrono::floor<std::chrono::seconds>(ctx.left());
  return {.target = path.key.target,
          .address = path.key.address,
          .port = path.key.port,
          .group = path.spec.portal.group,
          .iface = path.key.iface,
          .chap = plan.chap,
          .login_timeout = std::clamp(left, 1s, plan.login_timeout),
          .recovery_timeout = kRecoveryTimeout};
}

// The record is for iscsiadm's sake: whatever lies about in its database, the volume is attached.
Status add_node_record(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                       const LoginRequest& request) {
  Status added = acquire_node_record(ctx.within(kNodeRecordBudget), operation, path, request);
  if (added || added.error().stage() == Stage::journal) return added;
  HAWSER_TRY(ctx.check());
  operation.warn("node_record.skipped", "no node record: " + added.error().message(),
                 to_string(path.spec.portal));
  return ok();
}

Fields device_fields(const ScsiDevice& device) {
  Fields fields{
      {"hctl", to_string(device.hctl)}, {"name", device.name}, {"dev", to_string(device.dev)}};
  put(fields, device.identity);
  return fields;
}

Status log_device(Operation& operation, std::uint32_t number, const ScsiDevice& device) {
  operation.tell(Event::Level::info, "device.found",
                 device.name + " (" + to_string(device.hctl) + ")");
  return operation.done(step::kDevice, number, device_fields(device));
}

// Tells once, at the end, what several tries came to.
template <class Value>
Result<Value> sum_up(Operation& operation, const LoggedPath& path, std::string_view doing,
                     std::uint32_t tried, const std::optional<Error>& last, Result<Value> result) {
  if (tried == 1) return result;
  if (!result) {
    return std::move(result).error().with(std::string(doing) + ": " + std::to_string(tried) +
                                          " tries, the last one");
  }
  operation.tell(Event::Level::info, "path.retried",
                 std::string(doing) + ": worked at try " + std::to_string(tried) +
                     "; before it: " + last->message(),
                 to_string(path.spec.portal));
  return result;
}

// What is tried: `attempt` until it works, fails for good, or has been made `tries` times.
template <class Value>
Result<Value> try_often(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                        std::string_view doing, std::uint32_t tries,
                        std::chrono::milliseconds interval,
                        const std::function<bool(const Error&)>& is_worth_another, auto&& attempt) {
  std::optional<Error> last;
  for (std::uint32_t tried = 1;; ++tried) {
    Result<Value> result = attempt(tried);
    const bool is_over = result || tried >= tries ||
                         result.error().outcome() != Outcome::unchanged ||
                         !is_worth_another(result.error());
    if (is_over) return sum_up(operation, path, doing, tried, last, std::move(result));
    last = std::move(result).error();
    const Status paused = operation.host().pause(ctx, interval);
    if (!paused) {
      result = Error(paused.error()).with("wait for the next try, after " + last->message());
      return sum_up(operation, path, doing, tried, last, std::move(result));
    }
  }
}

Result<Acquired> acquire_session_often(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                                       const PathPlan& plan) {
  return try_often<Acquired>(
      ctx, operation, path, "login", plan.login_tries, kLoginInterval,
      [](const Error& error) { return error.code() == Errc::unavailable; },
      [&](std::uint32_t) {
        return acquire_session(ctx, operation, path, make_request(ctx, path, plan));
      });
}

Result<ScsiDevice> scan_often(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                              const PathPlan& plan, const Session& session) {
  Host& host = operation.host();
  return try_often<ScsiDevice>(
      ctx, operation, path, "scan", plan.scan_tries, plan.scan_interval,
      [](const Error& error) {
        return error.code() == Errc::not_found || error.code() == Errc::unavailable;
      },
      [&](std::uint32_t) -> Result<ScsiDevice> {
        HAWSER_TRY(host.scan(ctx, session, path.kernel_lun));
        Result<ScsiDevice> device =
            host.wait_for_device(ctx.within(kDeviceTimeout), session, path.kernel_lun);
        if (device) return device;
        // What is there all the same is of no use, and would keep the next scan from looking.
        Status removed = host.remove_unless_disk(ctx, session, path.kernel_lun);
        if (!removed) return std::move(removed).error().with("after: " + device.error().message());
        return device;
      });
}

// multipathd believes what udev has of the disk that had this number before, and destroys a map
// that has it as another one. Where udev does not get to it in time, the disk is used with a
// warning.
Status wait_out_namesake(const Ctx& ctx, Operation& operation, const ScsiDevice& device,
                         TimePoint scanned) {
  const Status forgotten =
      operation.host().wait_for_udev_to_forget_namesake(ctx.within(kUdevBudget), device, scanned);
  HAWSER_TRY(ctx.check());
  if (!forgotten) operation.warn("udev.slow", forgotten.error().message());
  return ok();
}

Result<ScsiDevice> scan_device(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                               const PathPlan& plan, const Session& session) {
  const TimePoint began = ctx.clock.now();
  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation.intent(step::kDevice, {{"sid", std::to_string(session.sid)},
                                                     {"lun", std::to_string(path.kernel_lun)},
                                                     {"existed", "0"}}));
  Result<ScsiDevice> device = scan_often(ctx, operation, path, plan, session);
  if (device) {
    HAWSER_TRY(log_device(operation, number, *device));
    HAWSER_TRY(wait_out_namesake(ctx, operation, *device, began));
  } else if (device.error().code() == Errc::not_found ||
             device.error().code() == Errc::unsupported) {
    // The kernel has answered, so this scan brings nothing later either.
    HAWSER_TRY(operation.failed(step::kDevice, number, device.error()));
  }
  return device;
}

// What was another unit when somebody attached it may be in that one's map still.
Status check_of_others(const Ctx& ctx, Operation& operation, Path& path) {
  HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
  const bool was_another = std::any_of(others.begin(), others.end(), [&](const LogState& other) {
    return other.names_as_another(path.device);
  });
  if (was_another) path.doubt = "is attached, as another unit";
  return ok();
}

Status take_existing(const Ctx& ctx, Operation& operation, Path& path) {
  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation.intent(step::kDevice, {{"sid", std::to_string(path.session.sid)},
                                                     {"lun", std::to_string(path.device.hctl.lun)},
                                                     {"existed", "1"}}));
  HAWSER_TRY(examine(ctx, operation.host(), path));
  if (path.doubt.empty()) HAWSER_TRY(check_of_others(ctx, operation, path));
  return log_device(operation, number, path.device);
}

// What a scan brings that is no disk is deleted, and must not be somebody's tape. Where nothing was
// when somebody looked, the kernel does not look again before that is deleted, and nobody can use
// it: an undo does not put it back. Source: scsi_probe_and_add_lun() in Linux
// drivers/scsi/scsi_scan.c.
Status make_way(const Ctx& ctx, Operation& operation, const Session& session, std::uint32_t lun) {
  Host& host = operation.host();
  const std::string unit = to_string(session.unit(lun));
  HAWSER_TRY_ASSIGN(const UnitKind kind, host.unit_kind(ctx, session, lun));
  if (kind == UnitKind::other) {
    return Error(Errc::unsupported, "unit " + unit + " was there before and is no disk");
  }
  if (kind != UnitKind::vacant) return ok();
  HAWSER_TRY_ASSIGN(const std::uint32_t number, operation.intent(step::kPurge, {{"hctl", unit}}));
  operation.tell(Event::Level::info, "device.purge",
                 "deleting " + unit + ", which nothing was behind, to scan it anew");
  HAWSER_TRY(host.remove_unless_disk(ctx, session, lun));
  return operation.done(step::kPurge, number);
}

Status find_or_scan(const Ctx& ctx, Operation& operation, const PathPlan& plan, Path& path) {
  const std::uint32_t lun = path.logged.kernel_lun;
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> before,
                    operation.host().devices(ctx, path.session.sid));
  const auto existing = std::find_if(before.begin(), before.end(),
                                     [lun](const ScsiDevice& d) { return d.hctl.lun == lun; });
  path.existed = existing != before.end();
  if (path.existed) {
    path.device = *existing;
    return take_existing(ctx, operation, path);
  }
  HAWSER_TRY(make_way(ctx, operation, path.session, lun));
  HAWSER_TRY_ASSIGN(path.device, scan_device(ctx, operation, path.logged, plan, path.session));
  return ok();
}

// A device that cannot be read is of no use, and its path may have died since the scan: a map that
// is begun with it would have no path that works. Reading changes nothing.
Status check_readable(const Ctx& ctx, Operation& operation, const ScsiDevice& device) {
  if (!device.takes_reads()) return ok();
  const Status read = operation.host().probe(ctx.within(kReadBudget), device);
  if (read) return ok();
  HAWSER_TRY(ctx.check());
  return not_the_callers_deadline(read.error(), kReadBudget)
      .with(device.name + " is there, but cannot be read")
      .with(Outcome::unchanged);
}

Result<Acquired> get_session(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                             const PathPlan& plan) {
  if (plan.node_record) {
    HAWSER_TRY(add_node_record(ctx, operation, path, make_request(ctx, path, plan)));
  }
  return acquire_session_often(ctx, operation, path, plan);
}

Result<Path> get_device(const Ctx& ctx, Operation& operation, const LoggedPath& logged,
                        const PathPlan& plan, const Acquired& acquired) {
  Path path{.logged = logged, .session = acquired.session, .login_time = acquired.login_time};
  HAWSER_TRY(find_or_scan(ctx, operation, plan, path));
  // One that existed has been read.
  if (!path.existed) HAWSER_TRY(check_readable(ctx, operation, path.device));
  return path;
}

template <class Value>
Result<Value> labelled(const LoggedPath& path, Stage stage, Result<Value> result) {
  if (result) return result;
  return std::move(result).error().with(stage).with_path(to_string(path.spec.portal),
                                                         path.spec.target, path.spec.lun);
}

}  // namespace

Status check_login_timeout(std::chrono::seconds timeout) {
  if (timeout >= 1s) return ok();
  return Error(Errc::invalid_argument, "login_timeout: under a second").with(Stage::input);
}

Result<Acquired> log_in(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                        const PathPlan& plan) {
  return labelled(path, Stage::login, get_session(ctx, operation, path, plan));
}

Result<Path> find_device(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                         const PathPlan& plan, const Acquired& acquired) {
  return labelled(path, Stage::scan, get_device(ctx, operation, path, plan, acquired));
}

Result<Path> bring_up(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                      const PathPlan& plan) {
  HAWSER_TRY_ASSIGN(const Acquired acquired, log_in(ctx, operation, path, plan));
  return find_device(ctx, operation, path, plan, acquired);
}

// What the kernel knows of a device is a snapshot: an old one is read anew. A rescan that fails
// says nothing and leaves what was known, so the device has to answer besides. One that has become
// another unit is not used even if it is the right one now: udev and multipathd know it as the old.
Status examine(const Ctx& ctx, Host& host, Path& path) {
  const auto doubt = [&path](std::string why, bool is_silent) {
    path.doubt = std::move(why);
    path.is_silent = is_silent;
    return ok();
  };
  ScsiDevice& device = path.device;
  const Status rescanned = host.rescan(ctx.within(kDeviceTimeout), device);
  HAWSER_TRY(ctx.check());
  if (!rescanned) return doubt(rescanned.error().message(), true);
  HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> now, host.find_device(ctx, device.dev));
  if (!now || now->sectors == 0) return doubt("has no unit behind it any more", true);
  const Identity before = std::exchange(device, *std::move(now)).identity;
  if (!same_unit(before, device.identity)) {
    return doubt("was unit " + wwid_of(before) + " and is " + wwid_of(device.identity) + " now",
                 false);
  }
  const Status answered = host.probe(ctx.within(kProbeBudget), device);
  HAWSER_TRY(ctx.check());
  if (!answered) return doubt("does not answer: " + answered.error().message(), true);
  return doubt({}, false);
}

namespace {

// What was there before us may be somebody's. A probe of udev's passes.
Status check_unused(const Ctx& ctx, Operation& operation, const ScsiDevice& device) {
  HAWSER_TRY_ASSIGN(std::optional<std::string> user, user_of(ctx, operation, device));
  if (!user) {
    const Status unused =
        operation.host().wait_until_unused(ctx.within(kPassingOpener), device.name);
    HAWSER_TRY(ctx.check());
    if (unused) return ok();
    user = unused.error().message();
  }
  return Error(Errc::busy,
               device.name + " was there before and is in use, so it is left alone: " + *user);
}

}  // namespace

Result<Path> bring_up_again(const Ctx& ctx, Operation& operation, Path path) {
  const ScsiDevice& old = path.device;
  if (path.existed) HAWSER_TRY(check_unused(ctx, operation, old));
  HAWSER_TRY_ASSIGN(
      const std::uint32_t number,
      operation.intent(step::kPurge, {{"hctl", to_string(old.hctl)}, {"name", old.name}}));
  operation.tell(Event::Level::info, "device.purge", "deleting " + old.name + " to scan it anew");
  HAWSER_TRY(operation.host().remove_device(ctx, old));
  HAWSER_TRY(operation.done(step::kPurge, number));
  HAWSER_TRY_ASSIGN(path.device, scan_device(ctx, operation, path.logged, {}, path.session));
  path.existed = false;
  path.doubt.clear();
  path.is_silent = false;
  return path;
}

namespace {

bool is_under_way(const DeviceEntry& scan) {
  return scan.progress == Progress::intended && !scan.existed;
}

}  // namespace

Status finish_scan(const Ctx& ctx, Operation& operation, const DeviceEntry& entry) {
  if (!is_under_way(entry)) return ok();
  Host& host = operation.host();
  HAWSER_TRY_ASSIGN(const std::optional<Session> session, host.session(ctx, entry.sid));
  Fields fields;
  if (session) {
    HAWSER_TRY_ASSIGN(const UnitKind before, host.unit_kind(ctx, *session, entry.lun));
    const Status finished = host.finish_scan(ctx, *session, entry.lun);
    if (!finished && finished.error().code() != Errc::not_found) return finished;
    HAWSER_TRY(ctx.check());
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, entry.sid));
    for (const ScsiDevice& device : devices) {
      if (device.hctl.lun == entry.lun) fields = device_fields(device);
    }
    // The scan may have been long ago, and the tape that is there another's since.
    HAWSER_TRY_ASSIGN(const LogState state, operation.state());
    const bool may_be_others = before == UnitKind::other && state.phase == Phase::detaching;
    if (!may_be_others) HAWSER_TRY(host.remove_unless_disk(ctx, *session, entry.lun));
  }
  operation.found_done(step::kDevice, entry.number, std::move(fields));
  return ok();
}

Status finish_scans(const Ctx& ctx, Operation& operation) {
  HAWSER_TRY_ASSIGN(const LogState state, operation.state());
  std::vector<std::function<Status(const Ctx&)>> tasks;
  for (const DeviceEntry& entry : state.devices) {
    if (!is_under_way(entry)) continue;
    tasks.emplace_back([&operation, &entry](const Ctx& task_ctx) {
      return finish_scan(task_ctx, operation, entry);
    });
  }
  return run_all(ctx, operation.host(), std::move(tasks));
}

}  // namespace hawser
