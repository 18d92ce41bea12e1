#include "wire/node_record.h"

#include <algorithm>
#include <string_view>

namespace hawser {
namespace {

// Without a discovery the group is not known; 1 is what a target with one group has.
constexpr std::uint16_t kGroupUnknown = 1;

// More than any record has. Reserved at once: a buffer that grows leaves secrets behind it.
constexpr std::size_t kRecordBytesMax = 8192;

bool is_component(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c != '/' && c != 0x7f; });
}

class RecordText {
 public:
  RecordText() { text_.reserve(kRecordBytesMax); }

  void line(std::string_view text) { text_.append(text).append("\n"); }
  void add(std::string_view key, std::string_view value) {
    text_.append(key).append(" = ").append(value).append("\n");
  }
  void add(std::string_view key, std::int64_t value) {
    add(key, std::string_view(std::to_string(value)));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_{};
};

// open-iscsi ends a value at the end of the line and strips blanks around it.
// Source: usr/idbm.c, idbm_recinfo_config().
Status check_value(const std::string& what, std::string_view value) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  const bool is_plain = std::none_of(value.begin(), value.end(), is_control) &&
                        !value.starts_with(' ') && !value.ends_with(' ');
  if (is_plain && value.size() < 256) return ok();
  return Error(Errc::invalid_argument, "write a node record: " + what +
                                           ": a control character, a blank at its end, or more "
                                           "than 255 bytes, which the file cannot hold");
}

Status check_chap(const Chap& chap) {
  HAWSER_TRY(check_value("CHAP username", chap.username));
  HAWSER_TRY(check_value("CHAP password", chap.password.reveal()));
  HAWSER_TRY(check_value("incoming CHAP username", chap.username_in));
  return check_value("incoming CHAP password", chap.password_in.reveal());
}

void add_binding(RecordText& record, const IfaceBinding& binding) {
  record.add("iface.transport_name", binding.transport);
  if (!binding.netdev.empty()) record.add("iface.net_ifacename", binding.netdev);
  if (!binding.hwaddress.empty()) record.add("iface.hwaddress", binding.hwaddress);
  if (!binding.initiator_name.empty()) record.add("iface.initiatorname", binding.initiator_name);
}

void add_chap(RecordText& record, const Chap& chap) {
  record.add("node.session.auth.authmethod", "CHAP");
  record.add("node.session.auth.username", chap.username);
  record.add("node.session.auth.password", chap.password.reveal());
  if (chap.password_in.empty()) return;
  record.add("node.session.auth.username_in", chap.username_in);
  record.add("node.session.auth.password_in", chap.password_in.reveal());
}

}  // namespace

Result<std::string> encode_node_record(const LoginRequest& request) {
  HAWSER_TRY(node_record_path(request));
  HAWSER_TRY(check_value("transport", request.binding.transport));
  HAWSER_TRY(check_value("NIC", request.binding.netdev));
  HAWSER_TRY(check_value("hardware address", request.binding.hwaddress));
  HAWSER_TRY(check_value("initiator", request.binding.initiator_name));
  if (request.chap != nullptr) HAWSER_TRY(check_chap(*request.chap));
  RecordText record;
  record.line("# BEGIN RECORD 2.1.8");  // A comment to open-iscsi.
  record.add("node.name", request.target);
  record.add("node.tpgt", request.group.value_or(kGroupUnknown));
  record.add("node.startup", "manual");  // Nobody but us logs in, and not at boot.
  record.add("node.leading_login", "No");
  record.add("iface.iscsi_ifacename", request.iface);
  add_binding(record, request.binding);
  record.add("node.discovery_type", "static");
  record.add("node.session.scan", "manual");
  record.add("node.session.initial_login_retry_max", 1);
  record.add("node.session.timeo.replacement_timeout", request.recovery_timeout.count());
  if (request.chap != nullptr) add_chap(record, *request.chap);
  record.add("node.conn[0].address", request.address);
  record.add("node.conn[0].port", request.port);
  record.add("node.conn[0].timeo.login_timeout", request.login_timeout.count());
  record.line("# END RECORD");
  return record.take();
}

Result<NodeRecordPath> node_record_path(const LoginRequest& request) {
  for (const std::string* name : {&request.target, &request.address, &request.iface}) {
    if (!is_component(*name)) {
      return Error(Errc::invalid_argument,
                   "'" + *name + "' cannot be part of a node record's path");
    }
  }
  NodeRecordPath path;
  path.target_dir = "nodes/" + request.target;
  path.portal_dir = path.target_dir + "/" + request.address + "," + std::to_string(request.port) +
                    "," + std::to_string(request.group.value_or(kGroupUnknown));
  path.file = path.portal_dir + "/" + request.iface;
  return path;
}

}  // namespace hawser
