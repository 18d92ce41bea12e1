#include "text_output.h"

#include <iomanip>
#include <sstream>

namespace hawser::cli {
namespace {

std::string seconds(std::chrono::nanoseconds time) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << std::chrono::duration<double>(time).count() << " s";
  return text.str();
}

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
    value /= 1024;
  std::ostringstream text;
  text << std::setprecision(4) << value << ' ' << kUnits[unit];
  return text.str();
}

void add_warnings(std::ostringstream& text, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings)
    text << "warning: " << warning << '\n';
}

void add_ids(std::ostringstream& text, const char* what, const std::vector<std::string>& ids) {
  for (const std::string& id : ids)
    text << what << ' ' << id << '\n';
}

}  // namespace

std::string to_text(const Error& error) {
  std::ostringstream text;
  text << "hawser: " << to_string(error.stage()) << ": " << error.message();
  if (!error.portal().empty() && error.message().find(error.portal()) == std::string::npos) {
    text << " (portal " << error.portal() << ')';
  }
  text << (error.outcome() == Outcome::unknown
               ? ". Something may be left on this host: run `hawser recover`."
               : ". Nothing was changed.")
       << '\n';
  return text.str();
}

std::string to_text(const Attachment& attachment) {
  std::ostringstream text;
  text << attachment.status << ' ' << attachment.id;
  if (!attachment.path.empty()) {
    text << " as " << attachment.path << ", " << size_text(attachment.size_bytes)
         << (attachment.read_only ? ", read-only" : "")
         << (attachment.degraded ? ", degraded" : "");
  }
  if (attachment.elapsed.count() != 0) text << ", in " << seconds(attachment.elapsed);
  text << '\n';
  if (!attachment.stable_path.empty()) text << "  stable path  " << attachment.stable_path << '\n';
  if (!attachment.wwid.empty()) text << "  WWID         " << attachment.wwid << '\n';
  for (const PathReport& path : attachment.paths) {
    text << "  " << std::left << std::setw(8) << path.state << ' ' << std::setw(6)
         << (path.device.empty() ? "-" : path.device) << ' ' << std::setw(10)
         << (path.hctl.empty() ? "-" : path.hctl) << ' ' << to_string(path.portal) << ' '
         << path.target << " LUN " << path.lun;
    if (path.error) text << ": " << path.error->message();
    text << '\n';
  }
  add_warnings(text, attachment.warnings);
  return text.str();
}

std::string to_text(const DetachReport& report) {
  std::ostringstream text;
  if (!report.was_attached) {
    text << report.id << " was not attached: nothing to do\n";
  } else {
    text << "detached " << report.id << ", " << (report.flushed ? "flushed" : "NOT FLUSHED")
         << ", in " << seconds(report.elapsed) << '\n';
  }
  if (report.data_at_risk) text << "data that was written may be lost\n";
  add_ids(text, "left:", report.leftovers);
  add_warnings(text, report.warnings);
  return text.str();
}

std::string to_text(const RecoverReport& report) {
  std::ostringstream text;
  add_ids(text, "undone", report.undone);
  add_ids(text, "completed", report.completed);
  for (const RecoverReport::Failure& failure : report.failed)
    text << "failed " << failure.id << ": " << failure.error.message() << '\n';
  if (text.str().empty()) text << "nothing to recover\n";
  return text.str();
}

std::string to_text(const std::vector<DiscoveredTarget>& targets) {
  std::ostringstream text;
  for (const DiscoveredTarget& target : targets) {
    text << target.target << '\n';
    for (const Portal& portal : target.portals)
      text << "  " << to_string(portal) << '\n';
  }
  if (targets.empty()) text << "the portal serves no target to this initiator\n";
  return text.str();
}

std::string to_text(const std::vector<SessionReport>& sessions) {
  std::ostringstream text;
  for (const SessionReport& session : sessions) {
    text << std::left << std::setw(4) << session.sid << ' ' << std::setw(9) << session.state << ' '
         << to_string(session.portal) << ' ' << session.target << " iface " << session.iface;
    for (const std::string& device : session.devices)
      text << ' ' << device;
    if (session.counters) {
      text << ", " << size_text(session.counters->tx_bytes) << " sent, "
           << size_text(session.counters->rx_bytes) << " received, " << session.counters->commands
           << " commands";
    }
    text << '\n';
  }
  if (sessions.empty()) text << "no iSCSI sessions\n";
  return text.str();
}

std::string to_table(const std::vector<Attachment>& attachments) {
  std::ostringstream text;
  for (const Attachment& attachment : attachments) {
    std::size_t active = 0;
    for (const PathReport& path : attachment.paths)
      active += path.state == "active" ? 1 : 0;
    text << attachment.id << ' ' << std::left << std::setw(10) << attachment.status << ' '
         << std::setw(10) << (attachment.path.empty() ? "-" : attachment.path) << ' ' << active
         << '/' << attachment.paths.size() << " paths " << attachment.wwid << ' '
         << attachment.volume_id << '\n';
    add_warnings(text, attachment.warnings);
  }
  if (attachments.empty()) text << "nothing is attached\n";
  return text.str();
}

}  // namespace hawser::cli
