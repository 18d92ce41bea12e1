#include "engine/path.h"

#include <algorithm>
#include <utility>

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
  const auto skip = [&](const Error& error) -> Status {
    HAWSER_TRY(ctx.check());
    operation.warn("node_record.skipped", "no node record: " + error.message(),
                   to_string(path.spec.portal));
    return ok();
  };
  const Result<bool> is_there = operation.host().has_node_record(ctx, request);
  if (!is_there) return skip(is_there.error());
  if (*is_there) return ok();
  Fields fields;
  put(fields, path.key);
  if (request.group) fields["group"] = std::to_string(*request.group);
  HAWSER_TRY_ASSIGN(const std::uint32_t number, operation.intent(step::kNode, std::move(fields)));
  const Status added = operation.host().add_node_record(ctx.within(kNodeRecordBudget), request);
  if (added) return operation.done(step::kNode, number);
  if (added.error().outcome() == Outcome::unchanged) {
    HAWSER_TRY(operation.failed(step::kNode, number, added.error()));
  }
  return skip(added.error());
}

Status log_device(Operation& operation, std::uint32_t number, const ScsiDevice& device) {
  operation.tell(Event::Level::info, "device.found",
                 device.name + " (" + to_string(device.hctl) + ")");
  return operation.done(
      step::kDevice, number,
      {{"hctl", to_string(device.hctl)}, {"name", device.name}, {"dev", to_string(device.dev)}});
}

Result<ScsiDevice> find_device(const Ctx& ctx, Operation& operation, const Session& session,
                               std::uint32_t lun) {
  Host& host = operation.host();
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> before, host.devices(ctx, session.sid));
  const auto existing = std::find_if(before.begin(), before.end(),
                                     [lun](const ScsiDevice& d) { return d.hctl.lun == lun; });
  const bool existed = existing != before.end();

  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation.intent(step::kDevice, {{"sid", std::to_string(session.sid)},
                                                     {"lun", std::to_string(lun)},
                                                     {"existed", existed ? "1" : "0"}}));
  // What the kernel knows of a device is a snapshot: an old one is read anew.
  HAWSER_TRY(existed ? host.rescan(ctx, *existing) : host.scan(ctx, session, lun));
  HAWSER_TRY_ASSIGN(ScsiDevice device,
                    host.wait_for_device(ctx.within(kDeviceTimeout), session, lun));
  HAWSER_TRY(log_device(operation, number, device));
  return device;
}

Result<Path> bring_up_unlabelled(const Ctx& ctx, Operation& operation, const LoggedPath& logged,
                                 const PathPlan& plan) {
  const LoginRequest request = make_request(ctx, logged, plan);
  if (plan.node_record) HAWSER_TRY(add_node_record(ctx, operation, logged, request));

  Result<Acquired> acquired = acquire_session(ctx, operation, logged, request);
  if (!acquired) return std::move(acquired).error().with(Stage::login);

  Result<ScsiDevice> device = find_device(ctx, operation, acquired->session, logged.kernel_lun);
  if (!device) return std::move(device).error().with(Stage::scan);
  return Path{.logged = logged,
              .session = acquired->session,
              .device = *std::move(device),
              .login_time = acquired->login_time};
}

}  // namespace

Result<Path> bring_up(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                      const PathPlan& plan) {
  Result<Path> up = bring_up_unlabelled(ctx, operation, path, plan);
  if (up) return up;
  const std::string portal = to_string(path.spec.portal);
  Error error = std::move(up).error().with_path(portal, path.spec.target, path.spec.lun);
  operation.tell(Event::Level::warning, "path.failed", error.message(), portal);
  return error;
}

Result<Path> bring_up_again(const Ctx& ctx, Operation& operation, Path path) {
  HAWSER_TRY(operation.host().remove_device(ctx, path.device));
  HAWSER_TRY(operation.host().scan(ctx, path.session, path.logged.kernel_lun));
  HAWSER_TRY_ASSIGN(path.device,
                    operation.host().wait_for_device(ctx.within(kDeviceTimeout), path.session,
                                                     path.logged.kernel_lun));
  return path;
}

}  // namespace hawser
