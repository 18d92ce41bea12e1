#include "tools/hawser/json_output.h"

#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace hawser::tool {
namespace {

// Ordered, so that documents read as the contract does.
using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// Milliseconds with one decimal: more would be noise.
Json milliseconds(std::chrono::nanoseconds time) {
  return std::round(static_cast<double>(time.count()) / 1e5) / 10;
}

Json error_object(const Error& error) {
  Json paths = Json::array();
  for (const Error& path : error.paths())
    paths.push_back(error_object(path));
  return {
      {"code", to_string(error.code())},
      {"stage", to_string(error.stage())},
      {"message", error.message()},
      {"portal", or_null(error.portal())},
      {"target", or_null(error.target())},
      {"lun", or_null(error.lun())},
      {"errno", error.sys_errno() == 0 ? Json(nullptr) : Json(error.sys_errno())},
      {"iscsi_status", or_null(error.iscsi_status())},
      {"retryable", error.retryable()},
      {"data_at_risk", error.data_at_risk()},
      {"paths", std::move(paths)},
      {"outcome", error.outcome() == Outcome::unchanged ? "unchanged" : "unknown"},
  };
}

Json path_object(const PathReport& path) {
  return {
      {"portal", to_string(path.portal)},
      {"target", path.target},
      {"lun", path.lun},
      {"state", path.state},
      {"sid", or_null(path.sid)},
      {"hctl", or_null(path.hctl)},
      {"device", or_null(path.device)},
      {"login_ms", path.login_time ? milliseconds(*path.login_time) : Json(nullptr)},
      {"error", path.error ? error_object(*path.error) : Json(nullptr)},
      {"iface", or_null(path.iface)},
  };
}

Json attachment_object(const Attachment& attachment) {
  Json paths = Json::array();
  for (const PathReport& path : attachment.paths)
    paths.push_back(path_object(path));

  Json json = {
      {"id", attachment.id},
      {"type", "block"},
      {"path", or_null(attachment.path)},
      {"stable_path", or_null(attachment.stable_path)},
  };
  if (attachment.multipath) json["multipath_id"] = attachment.wwid;
  json["scsi_wwn"] = or_null(attachment.wwid);
  json["size"] = attachment.size_bytes;
  json["read_only"] = attachment.read_only;
  json["multipath"] = attachment.multipath;
  json["degraded"] = attachment.degraded;
  json["paths"] = std::move(paths);
  json["warnings"] = attachment.warnings;
  json["elapsed_ms"] = milliseconds(attachment.elapsed);
  json["engine"] = "iscsid";
  json["status"] = attachment.status;
  json["volume_id"] = or_null(attachment.volume_id);
  json["already_attached"] = attachment.already_attached;
  return json;
}

Json detach_object(const DetachReport& report) {
  return {
      {"id", report.id},
      {"detached", true},
      {"flushed", report.flushed},
      {"leftovers", report.leftovers},
      {"warnings", report.warnings},
      {"elapsed_ms", milliseconds(report.elapsed)},
      {"was_attached", report.was_attached},
      {"data_at_risk", report.data_at_risk},
  };
}

Json counters_object(const SessionReport::Counters& counters) {
  return {
      {"tx_bytes", counters.tx_bytes},           {"rx_bytes", counters.rx_bytes},
      {"commands", counters.commands},           {"responses", counters.responses},
      {"digest_errors", counters.digest_errors}, {"timeout_errors", counters.timeout_errors},
  };
}

const char* level_name(Event::Level level) {
  switch (level) {
    case Event::Level::debug: return "debug";
    case Event::Level::info: return "info";
    case Event::Level::warning: return "warning";
    case Event::Level::error: return "error";
  }
  return "error";
}

}  // namespace

std::string to_json(const Error& error) { return dump({{"error", error_object(error)}}); }

std::string to_json(const Attachment& attachment) { return dump(attachment_object(attachment)); }

std::string to_json(const Attachment& attachment, const std::vector<std::string>& notes) {
  Json json = attachment_object(attachment);
  json["notes"] = notes;
  return dump(json);
}

std::string to_json(const std::vector<Attachment>& attachments) {
  Json json = Json::array();
  for (const Attachment& attachment : attachments)
    json.push_back(attachment_object(attachment));
  return dump(json);
}

std::string to_json(const DetachReport& report) { return dump(detach_object(report)); }

std::string to_json_ignored(const std::string& id, const Error& error) {
  const bool is_left = error.outcome() == Outcome::unknown;
  Json json = detach_object({.id = id,
                             .flushed = false,
                             .data_at_risk = error.data_at_risk(),
                             .leftovers = {},
                             .warnings = {error.message()}});
  json["detached"] = false;
  if (is_left) json["leftovers"].push_back("what the log of " + id + " names: run recover");
  json["error"] = error_object(error);
  return dump(json);
}

std::string to_json(const ResizeReport& report) {
  Json paths = Json::array();
  for (const PathReport& path : report.paths)
    paths.push_back(path_object(path));
  return dump({
      {"id", report.id},
      {"old_size", report.old_size_bytes},
      {"size", report.size_bytes},
      {"paths", std::move(paths)},
      {"warnings", report.warnings},
      {"elapsed_ms", milliseconds(report.elapsed)},
  });
}

std::string to_json(const RecoverReport& report) {
  Json failed = Json::array();
  for (const RecoverReport::Failure& failure : report.failed)
    failed.push_back({{"id", failure.id}, {"error", error_object(failure.error)}});
  return dump({
      {"undone", report.undone},
      {"completed", report.completed},
      {"kept", report.kept},
      {"failed", std::move(failed)},
  });
}

std::string to_json(const std::vector<DiscoveredTarget>& targets) {
  Json json = Json::array();
  for (const DiscoveredTarget& target : targets) {
    Json portals = Json::array();
    for (const Portal& portal : target.portals)
      portals.push_back(to_string(portal));
    json.push_back({{"target", target.target}, {"portals", std::move(portals)}});
  }
  return dump(json);
}

std::string to_json(const std::vector<SessionReport>& sessions) {
  Json json = Json::array();
  for (const SessionReport& session : sessions) {
    json.push_back({
        {"sid", session.sid},
        {"target", session.target},
        {"portal", to_string(session.portal)},
        {"iface", or_null(session.iface)},
        {"state", session.state},
        {"devices", session.devices},
        {"counters", session.counters ? counters_object(*session.counters) : Json(nullptr)},
    });
  }
  return dump(json);
}

std::string to_json(const std::vector<std::string>& records) { return dump(Json(records)); }

std::string to_json(const Event& event) {
  return dump({
      {"level", level_name(event.level)},
      {"event", event.name},
      {"text", event.text},
      {"portal", or_null(event.portal)},
  });
}

}  // namespace hawser::tool
