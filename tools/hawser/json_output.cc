#include "json_output.h"

#include <cmath>

namespace hawser::cli {
namespace {

// One decimal is as much as these times are worth.
double to_ms(std::chrono::nanoseconds time) {
  return std::round(std::chrono::duration<double, std::milli>(time).count() * 10) / 10;
}

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json to_json(const PathReport& path) {
  return {{"portal", to_string(path.portal)},
          {"target", path.target},
          {"lun", path.lun},
          {"state", path.state},
          {"sid", or_null(path.sid)},
          {"hctl", or_null(path.hctl)},
          {"device", or_null(path.device)},
          {"login_ms", path.login_time ? Json(to_ms(*path.login_time)) : Json(nullptr)},
          {"error", path.error ? cli::to_json(*path.error) : Json(nullptr)}};
}

}  // namespace

Json to_json(const Error& error) {
  Json paths = Json::array();
  for (const Error& path : error.paths())
    paths.push_back(to_json(path));
  return {{"code", to_string(error.code())},
          {"stage", to_string(error.stage())},
          {"message", error.message()},
          {"portal", or_null(error.portal())},
          {"target", or_null(error.target())},
          {"lun", or_null(error.lun())},
          {"errno", error.sys_errno() == 0 ? Json(nullptr) : Json(error.sys_errno())},
          {"iscsi_status", or_null(error.iscsi_status())},
          {"retryable", error.retryable()},
          {"data_at_risk", error.data_at_risk()},
          {"leftovers", error.outcome() == Outcome::unknown},
          {"paths", std::move(paths)}};
}

Json error_document(const Error& error) { return {{"error", to_json(error)}}; }

Json to_json(const Attachment& attachment) {
  Json document{{"id", attachment.id},
                {"type", "block"},
                {"status", attachment.status},
                {"path", attachment.path},
                {"stable_path", attachment.stable_path}};
  if (attachment.multipath) document["multipath_id"] = attachment.wwid;
  document["scsi_wwn"] = attachment.wwid;
  document["volume_id"] = or_null(attachment.volume_id);
  document["size"] = attachment.size_bytes;
  document["read_only"] = attachment.read_only;
  document["multipath"] = attachment.multipath;
  document["degraded"] = attachment.degraded;
  document["paths"] = Json::array();
  for (const PathReport& path : attachment.paths)
    document["paths"].push_back(to_json(path));
  document["warnings"] = attachment.warnings;
  document["elapsed_ms"] = to_ms(attachment.elapsed);
  document["engine"] = "iscsid";
  return document;
}

Json to_json(const std::vector<Attachment>& attachments) {
  Json list = Json::array();
  for (const Attachment& attachment : attachments)
    list.push_back(to_json(attachment));
  return list;
}

Json to_json(const std::vector<std::string>& lines) { return lines; }

Json to_json(const DetachReport& report) {
  return {{"id", report.id},
          {"detached", true},
          {"flushed", report.flushed},
          {"data_at_risk", report.data_at_risk},
          {"leftovers", report.leftovers},
          {"warnings", report.warnings},
          {"elapsed_ms", to_ms(report.elapsed)}};
}

Json to_json(const RecoverReport& report) {
  Json failed = Json::array();
  for (const RecoverReport::Failure& failure : report.failed)
    failed.push_back({{"id", failure.id}, {"error", to_json(failure.error)}});
  return {{"undone", report.undone}, {"completed", report.completed}, {"failed", failed}};
}

Json to_json(const std::vector<DiscoveredTarget>& targets) {
  Json list = Json::array();
  for (const DiscoveredTarget& target : targets) {
    Json portals = Json::array();
    for (const Portal& portal : target.portals)
      portals.push_back(to_string(portal));
    list.push_back({{"target", target.target}, {"portals", std::move(portals)}});
  }
  return list;
}

Json to_json(const std::vector<SessionReport>& sessions) {
  Json list = Json::array();
  for (const SessionReport& session : sessions) {
    Json counters = nullptr;
    if (session.counters) {
      counters = {{"tx_bytes", session.counters->tx_bytes},
                  {"rx_bytes", session.counters->rx_bytes},
                  {"commands", session.counters->commands},
                  {"responses", session.counters->responses},
                  {"digest_errors", session.counters->digest_errors},
                  {"timeout_errors", session.counters->timeout_errors}};
    }
    list.push_back({{"sid", session.sid},
                    {"target", session.target},
                    {"portal", to_string(session.portal)},
                    {"iface", session.iface},
                    {"state", session.state},
                    {"devices", session.devices},
                    {"counters", std::move(counters)}});
  }
  return list;
}

}  // namespace hawser::cli
