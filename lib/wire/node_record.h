// open-iscsi's node records. Source: open-iscsi usr/idbm.c and idbm_fields.h.
#pragma once

#include <string>

#include "hawser/result.h"

#include "model/login.h"

namespace hawser {

// The text of a record that makes iscsiadm log in as we do; the rest is open-iscsi's own defaults,
// which are ours as well. The secrets are in it: the caller wipes it.
//
// Errors: invalid_argument (a value that a line of the file cannot hold: open-iscsi would read
// something else back).
Result<std::string> encode_node_record(const LoginRequest& request);

// Where it stands below the database's root: "nodes/<target>/<address>,<port>,<group>/<iface>".
// Errors: invalid_argument (a name that could leave its directory).
struct NodeRecordPath {
  std::string target_dir{};  // "nodes/<target>"
  std::string portal_dir{};  // "nodes/<target>/<address>,<port>,<group>"
  std::string file{};
};
Result<NodeRecordPath> node_record_path(const LoginRequest& request);

}  // namespace hawser
