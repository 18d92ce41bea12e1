#include "host/linux_host.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "host/event_wait.h"
#include "host/login_wait.h"
#include "host/thread_crew.h"
#include "iscsid/iface_db.h"
#include "netlink/events.h"
#include "portal/discovery.h"
#include "portal/resolve.h"
#include "scsi/block_io.h"
#include "wire/multipathd_answer.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr auto kDeviceTick = 100ms;
constexpr auto kOpenTick = 10ms;
constexpr auto kWwidBudget = 1s;

// An iscsid that was just started takes the sessions over one after the other, each in some two
// seconds, and announces none of it.
constexpr auto kTakeOverBudget = 30s;
constexpr auto kTakeOverInterval = 250ms;

// Where open-iscsi had its database before 2.1.7, and where people go on writing ifaces to.
constexpr const char* kOldDatabase = "/etc/iscsi";

// A new disk is in sysfs for a moment before it has a node, and before that can be opened. Source:
// device_add_disk() in Linux block/genhd.c, device_add() in drivers/base/core.c.
bool is_about_to_open(const Error& error) {
  return error.sys_errno() == ENXIO || error.sys_errno() == ENOENT;
}

// A session that iscsid has not taken over yet, it does not know (2), is at work on (9) or has
// still to log in again (32).
bool will_know_it(const Error& refusal) {
  const std::optional<int> result = refusal.iscsi_status();
  return result == iscsid_result::kSessionNotFound || result == iscsid_result::kInternal ||
         result == iscsid_result::kSessionNotConnected;
}

Status wait_for_deletion(const Ctx& ctx, const std::string& name,
                         const std::function<Result<bool>()>& is_gone) {
  Status gone = wait_until(ctx, UdevMonitor::Source::kernel, kDeviceTick, is_gone);
  if (gone) return ok();
  return std::move(gone).error().with(name + " is being deleted").with(Outcome::unknown);
}

}  // namespace

LinuxHost::LinuxHost(Sysfs sysfs, std::string boot_id)
    : sysfs_(std::move(sysfs)), boot_id_(std::move(boot_id)) {}

Result<std::unique_ptr<LinuxHost>> LinuxHost::open(const std::string& sysfs) {
  HAWSER_TRY_ASSIGN(Sysfs root, Sysfs::open(sysfs));
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  if (!std::getline(file, boot_id) || boot_id.empty()) {
    return Error(Errc::io, "read the kernel's boot_id");
  }
  return std::unique_ptr<LinuxHost>(new LinuxHost(std::move(root), std::move(boot_id)));
}

std::unique_ptr<Crew> LinuxHost::crew() { return std::make_unique<ThreadCrew>(); }

std::int64_t LinuxHost::uptime_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::int64_t LinuxHost::wall_time_s() { return static_cast<std::int64_t>(::time(nullptr)); }

Status LinuxHost::pause(const Ctx& ctx, std::chrono::milliseconds time) {
  return hawser::pause(ctx, time);
}

Status LinuxHost::check_ready(const Ctx& ctx, Multipath multipath) {
  if (::geteuid() != 0) {
    return Error(Errc::permission_denied,
                 "this needs root: iscsid takes requests from nobody else (euid is " +
                     std::to_string(::geteuid()) + ")")
        .with(Stage::preflight);
  }
  Result<const IscsidLayout*> layout = iscsid_.layout(ctx);
  if (!layout) return std::move(layout).error().with(Stage::preflight);
  if (multipath == Multipath::off) return ok();
  return dm_.check_available();
}

Result<std::vector<std::string>> LinuxHost::resolve(const Ctx& ctx, const std::string& name) {
  return hawser::resolve(ctx, name);
}

Status LinuxHost::check_iface(const Ctx& ctx, const std::string& name) {
  HAWSER_TRY(ctx.check());
  HAWSER_TRY(find_iface(nodes_.root(), kOldDatabase, name));
  return ok();
}

Result<LoginRequest> LinuxHost::with_binding(LoginRequest request) const {
  HAWSER_TRY_ASSIGN(request.binding, find_iface(nodes_.root(), kOldDatabase, request.iface));
  return request;
}

Result<std::vector<Session>> LinuxHost::sessions(const Ctx& ctx) {
  HAWSER_TRY(ctx.check());
  return iscsi_.sessions();
}

Result<std::vector<Session>> LinuxHost::sessions_to(const Ctx& ctx, const std::string& target) {
  HAWSER_TRY(ctx.check());
  return iscsi_.sessions_to(target);
}

Result<std::optional<Session>> LinuxHost::session(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(ctx.check());
  const Ctx taking_over_ctx = ctx.within(kTakeOverBudget);
  for (;;) {
    HAWSER_TRY_ASSIGN(const std::optional<Session> session, iscsi_.session(sid));
    if (session || !iscsi_.exists(sid)) return session;
    const Status paused = hawser::pause(taking_over_ctx, kDeviceTick);
    if (paused) continue;
    HAWSER_TRY(ctx.check());
    return Error(Errc::unavailable, "session " + std::to_string(sid) +
                                        " is there, but iscsid has not made its connection again");
  }
}

Result<std::optional<Session>> LinuxHost::find_session(const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const std::vector<Session> sessions, iscsi_.sessions_to(request.target));
  for (const Session& session : sessions) {
    const bool is_it = session.address == request.address && session.port == request.port &&
                       session.iface == request.iface && session.state == SessionState::logged_in;
    if (is_it) return {session};
  }
  return std::optional<Session>{};
}

Result<Session> LinuxHost::login(const Ctx& ctx, const LoginRequest& request) {
  // iscsid would say the same, but a session that is there must never be taken for the one we asked
  // for.
  HAWSER_TRY_ASSIGN(const std::optional<Session> before, find_session(request));
  if (before) {
    return iscsid_error(iscsid_result::kSessionExists, IscsidCommand::session_login);
  }
  Result<IscsiEvents> events = IscsiEvents::open();  // Before, so that nothing is missed.
  HAWSER_TRY_ASSIGN(const LoginRequest bound, with_binding(request));
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, iscsid_.send_login(ctx, bound));
  return wait_for_login(ctx, iscsid_, std::move(exchange), events ? &*events : nullptr,
                        request.chap, [&] { return find_session(request); });
}

Result<bool> LinuxHost::login_in_flight(const Ctx& ctx, const std::string& target) {
  HAWSER_TRY_ASSIGN(const bool is_logging_in, iscsid_.login_in_flight(ctx));
  if (is_logging_in) return true;
  return iscsi_.has_unfinished(target);
}

Status LinuxHost::logout(const Ctx& ctx, std::uint32_t sid) {
  const auto is_gone = [&]() -> Result<bool> { return !iscsi_.exists(sid); };
  const Ctx asking_ctx = ctx.within(kTakeOverBudget);
  for (;;) {
    if (!iscsi_.exists(sid)) return ok();
    Status out = iscsid_.logout(ctx, sid);
    if (out) return wait_until(ctx, UdevMonitor::Source::kernel, kDeviceTick, is_gone);
    if (!will_know_it(out.error())) return out;
    const Status paused = hawser::pause(asking_ctx, kTakeOverInterval);
    if (!paused) return paused.error().code() == Errc::cancelled ? paused : out;
  }
}

Status LinuxHost::set_recovery_timeout(const Ctx& ctx, std::uint32_t sid,
                                       std::chrono::seconds timeout) {
  HAWSER_TRY(ctx.check());
  return iscsi_.set_recovery_timeout(sid, timeout);
}

Result<SessionReport::Counters> LinuxHost::counters(const Ctx& ctx, std::uint32_t sid) {
  Result<SessionReport::Counters> counters = iscsid_.counters(ctx, sid);
  // A session that iscsid does not know, or no iscsid: the kernel knows. What keeps iscsid silent,
  // a request of its own, would keep us waiting as well.
  const bool is_silent = !counters && counters.error().code() == Errc::deadline_exceeded;
  if (counters || is_silent || !ctx.check()) return counters;
  HAWSER_TRY_ASSIGN(const std::optional<Session> session, this->session(ctx, sid));
  if (!session) return counters;
  HAWSER_TRY_ASSIGN(const std::uint64_t handle, iscsi_.tcp_handle_of(*session));
  HAWSER_TRY_ASSIGN(IscsiEvents events, IscsiEvents::open());
  return events.counters(ctx, handle, sid);
}

Result<std::vector<DiscoveredTarget>> LinuxHost::discover(const Ctx& ctx, const Portal& portal,
                                                          const std::optional<Chap>& chap) {
  HAWSER_TRY_ASSIGN(const std::string name, iscsid_.initiator_name(ctx));
  if (name.empty()) {
    return Error(Errc::unavailable,
                 "this host has no initiator name; see /etc/iscsi/initiatorname.iscsi")
        .with(Stage::discover);
  }
  HAWSER_TRY_ASSIGN(const std::vector<std::string> addresses, hawser::resolve(ctx, portal.host));
  return hawser::discover(ctx, name, {.host = addresses.front(), .port = portal.port}, chap);
}

Result<bool> LinuxHost::has_node_record(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY(ctx.check());
  return nodes_.contains(request);
}

Status LinuxHost::add_node_record(const Ctx& ctx, const LoginRequest& request) {
  HAWSER_TRY_ASSIGN(const LoginRequest bound, with_binding(request));
  return nodes_.add(ctx, bound);
}

Status LinuxHost::remove_node_record(const Ctx& ctx, const LoginRequest& request) {
  return nodes_.remove(ctx, request);
}

Status LinuxHost::scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  return scsi_.scan(ctx, session, lun);
}

Status LinuxHost::finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(scsi_.finish_scan(ctx, session, lun));
  Status probed = wait_until(ctx, UdevMonitor::Source::kernel, kDeviceTick, [&]() -> Result<bool> {
    HAWSER_TRY_ASSIGN(const bool is_probing, scsi_.is_probing(session.unit(lun), session.sid));
    return !is_probing;
  });
  if (probed) return ok();
  return std::move(probed)
      .error()
      .with("the kernel is still looking at LUN " + std::to_string(lun) + " of session " +
            std::to_string(session.sid))
      .with(Outcome::unknown);
}

Result<std::vector<ScsiDevice>> LinuxHost::devices(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(ctx.check());
  return scsi_.devices(sid);
}

Result<std::vector<Hctl>> LinuxHost::units(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY(ctx.check());
  return scsi_.units(sid);
}

Result<std::optional<ScsiDevice>> LinuxHost::find_device(const Ctx& ctx, const DevT& dev) {
  HAWSER_TRY(ctx.check());
  return scsi_.find(dev);
}

Result<ScsiDevice> LinuxHost::wait_for_device(const Ctx& ctx, const Session& session,
                                              std::uint32_t lun) {
  const auto look = [&]() -> Result<std::optional<ScsiDevice>> {
    // Only this one is looked at: a session may have hundreds.
    const Hctl unit = session.unit(lun);
    HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> device, scsi_.device(unit, session.sid));
    if (device && device->sectors != 0) return device;
    // The scan has returned: the unit itself is there by now, or there is none.
    HAWSER_TRY_ASSIGN(const UnitKind kind, scsi_.kind(unit, session.sid));
    if (kind == UnitKind::disk) return std::optional<ScsiDevice>{};
    if (kind == UnitKind::other) {
      return Error(Errc::unsupported, "unit " + to_string(unit) + " is no disk");
    }
    return Error(Errc::not_found,
                 "the target shows no LUN " + std::to_string(lun) + " to this initiator");
  };
  Result<ScsiDevice> device =
      wait_for_event<ScsiDevice>(ctx, UdevMonitor::Source::kernel, kDeviceTick, look);
  if (device || device.error().code() != Errc::deadline_exceeded) return device;
  return std::move(device).error().with("unit " + to_string(session.unit(lun)) +
                                        " is there, but has no disk with a size");
}

Status LinuxHost::rescan(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> known, scsi_.find(device.dev));
  if (!known || known->sectors == 0 || !known->takes_reads()) {
    return scsi_.rescan(ctx, device, false);
  }
  return read_when_open(ctx, *known, [&] { return scsi_.rescan(ctx, *known, true); });
}

Result<UnitKind> LinuxHost::unit_kind(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  HAWSER_TRY(ctx.check());
  return scsi_.kind(session.unit(lun), session.sid);
}

Status LinuxHost::remove_unless_disk(const Ctx& ctx, const Session& session, std::uint32_t lun) {
  const Hctl unit = session.unit(lun);
  const auto is_done = [&]() -> Result<bool> {
    HAWSER_TRY_ASSIGN(const UnitKind kind, scsi_.kind(unit, session.sid));
    return kind == UnitKind::none || kind == UnitKind::disk;
  };
  HAWSER_TRY_ASSIGN(const bool was_done, is_done());
  if (was_done) return ok();
  HAWSER_TRY(scsi_.remove_unless_disk(ctx, unit, session.sid));
  return wait_for_deletion(ctx, "unit " + to_string(unit), is_done);
}

Status LinuxHost::remove_device(const Ctx& ctx, const ScsiDevice& device) {
  HAWSER_TRY(scsi_.remove(ctx, device));
  return wait_for_deletion(ctx, device.name,
                           [&]() -> Result<bool> { return !scsi_.exists(device); });
}

Status LinuxHost::set_read_only(const Ctx& ctx, const std::string& name, bool is_read_only) {
  HAWSER_TRY_ASSIGN(const DevT dev, scsi_.number(name));
  return hawser::set_read_only(ctx, "/dev/" + name, dev, is_read_only);
}

Status LinuxHost::probe(const Ctx& ctx, const ScsiDevice& device) {
  return read_when_open(ctx, device,
                        [&] { return probe_read(ctx, "/dev/" + device.name, device.dev); });
}

Status LinuxHost::read_when_open(const Ctx& ctx, const ScsiDevice& device,
                                 const std::function<Status()>& do_read) const {
  for (;;) {
    HAWSER_TRY_ASSIGN(const std::string state, scsi_.state(device));
    // I/O on a blocked device would wait for the session's recovery.
    if (state != "running") return Error(Errc::unavailable, device.name + " is " + state);
    Status read = do_read();
    if (read || !is_about_to_open(read.error())) return read;
    const Status paused = hawser::pause(ctx, kOpenTick);
    if (!paused) return paused.error().code() == Errc::cancelled ? paused : read;
  }
}

Result<std::string> LinuxHost::wwid(const Ctx& ctx, const ScsiDevice& device) {
  const Result<std::string> paths =
      multipathd_.command(ctx.within(kWwidBudget), "show paths raw format \"%d %w\"");
  // Both know a device by its name or number, which another may have had a moment ago.
  const auto is_of_device = [&](const std::string& wwid) {
    return is_usable_wwid(wwid) && names_unit(device.identity, wwid);
  };
  if (paths) {
    auto wwid = parse_path_field(*paths, device.name);
    if (wwid && is_of_device(*wwid)) return *std::move(wwid);
  }
  HAWSER_TRY_ASSIGN(const std::optional<UdevRecord> record, udev_record(device.dev));
  if (record && is_of_device(record->serial)) return record->serial;
  return wwid_of(device.identity);
}

}  // namespace hawser
