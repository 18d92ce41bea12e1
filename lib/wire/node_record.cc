#include "wire/node_record.h"

#include <algorithm>

namespace hawser {
namespace {

// Without a discovery the group is not known; 1 is what a target with one group has.
constexpr std::uint16_t kGroupUnknown = 1;

bool is_component(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c != '/' && c != 0x7f; });
}

}  // namespace

std::string encode_node_record(const LoginRequest& request) {
  const std::uint16_t group = request.group.value_or(kGroupUnknown);
  std::string text = "# BEGIN RECORD 2.1.8\n";
  const auto add = [&text](const std::string& name, const std::string& value) {
    text += name + " = " + value + "\n";
  };
  add("node.name", request.target);
  add("node.tpgt", std::to_string(group));
  add("node.startup", "manual");
  add("node.leading_login", "No");
  add("iface.iscsi_ifacename", request.iface);
  add("iface.transport_name", "tcp");
  add("node.session.scan", "manual");
  add("node.session.initial_login_retry_max", "1");
  add("node.session.timeo.replacement_timeout", std::to_string(request.recovery_timeout.count()));
  if (request.chap != nullptr) {
    add("node.session.auth.authmethod", "CHAP");
    add("node.session.auth.username", request.chap->username);
    add("node.session.auth.password", std::string(request.chap->password.reveal()));
    if (!request.chap->password_in.empty()) {
      add("node.session.auth.username_in", request.chap->username_in);
      add("node.session.auth.password_in", std::string(request.chap->password_in.reveal()));
    }
  }
  add("node.conn[0].address", request.address);
  add("node.conn[0].port", std::to_string(request.port));
  add("node.conn[0].timeo.login_timeout", std::to_string(request.login_timeout.count()));
  text += "# END RECORD\n";
  return text;
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
