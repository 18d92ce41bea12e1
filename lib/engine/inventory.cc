#include "engine/inventory.h"

#include <utility>

#include "engine/other_logs.h"
#include "engine/report.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// One session whose counters cannot be had must not keep the others from being shown.
constexpr auto kCountersBudget = 2s;

std::string state_word(SessionState state) {
  switch (state) {
    case SessionState::logged_in: return "LOGGED_IN";
    case SessionState::failed: return "FAILED";
    case SessionState::free: return "FREE";
  }
  return "FREE";
}

}  // namespace

Result<std::vector<Attachment>> list(const Ctx& ctx, const Environment& environment) {
  HAWSER_TRY_ASSIGN(const std::vector<std::string> ids, environment.journal.list());
  std::vector<Attachment> attachments;
  for (const std::string& id : ids) {
    Result<Attachment> one = show(ctx, environment, id);
    if (!one && one.error().code() == Errc::not_found) continue;  // Detached meanwhile.
    if (!one && is_of_one_log(one.error())) {
      // One bad log must not hide the others.
      one = Attachment{.id = id, .status = "unreadable", .warnings = {one.error().message()}};
    }
    HAWSER_TRY(one);
    attachments.push_back(*std::move(one));
  }
  return attachments;
}

Result<Attachment> show(const Ctx& ctx, const Environment& environment, const std::string& id) {
  HAWSER_TRY_ASSIGN(const std::vector<Record> records, environment.journal.read(id));
  HAWSER_TRY_ASSIGN(const LogState state, replay(records));
  if (state.phase == Phase::idle) return Error(Errc::not_found, id + " is not attached");
  return report(ctx, environment.host, id, state);
}

Result<std::vector<std::string>> log_lines(const Environment& environment, const std::string& id) {
  HAWSER_TRY_ASSIGN(const std::vector<Record> records, environment.journal.read(id));
  std::vector<std::string> lines;
  for (const Record& record : records)
    lines.push_back(describe(record));
  return lines;
}

Result<std::vector<SessionReport>> sessions(const Ctx& ctx, const Environment& environment) {
  HAWSER_TRY_ASSIGN(const std::vector<Session> sessions, environment.host.sessions(ctx));
  std::vector<SessionReport> reports;
  for (const Session& session : sessions) {
    SessionReport report{.sid = session.sid,
                         .target = session.target,
                         .portal = {.host = session.address, .port = session.port},
                         .iface = session.iface,
                         .state = state_word(session.state)};
    if (session.tpgt >= 0) report.portal.group = static_cast<std::uint16_t>(session.tpgt);
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices,
                      environment.host.devices(ctx, session.sid));
    for (const ScsiDevice& device : devices)
      report.devices.push_back(device.name);
    const auto counters = environment.host.counters(ctx.within(kCountersBudget), session.sid);
    if (counters) report.counters = *counters;
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace hawser
