// open-iscsi's iface records: which NIC, and as which initiator, sessions are made through.
// Source: open-iscsi usr/iface.c, usr/idbm.c idbm_recinfo_config().
#pragma once

#include <string>
#include <string_view>

#include "hawser/result.h"

#include "model/login.h"

namespace hawser {

// Largest record that is read; open-iscsi writes about 2 KiB at most.
inline constexpr std::size_t kIfaceRecordBytesMax = 64 * 1024;

// Reads the record of the iface `name`. Keys that are for offload cards are passed over, except
// those without which the login would go another way than the record says.
//
// Errors: invalid_argument (no such record, or a value that cannot be), unsupported (an offload
// card's transport, or a source address, which iscsid cannot bind to over tcp); Stage::preflight.
Result<IfaceBinding> parse_iface_record(std::string_view text, const std::string& name);

}  // namespace hawser
