#pragma once

#include <string>

#include "hawser/result.h"

#include "model/login.h"

namespace hawser {

// What the iface `name` of open-iscsi's database stands for. `root` holds "ifaces"; if it has no
// such record, `other_root` is looked at. "default" and "iser" need no record.
//
// Errors: not_found (names the file), those of parse_iface_record(), io; at Stage::preflight.
Result<IfaceBinding> find_iface(const std::string& root, const std::string& other_root,
                                const std::string& name);

}  // namespace hawser
