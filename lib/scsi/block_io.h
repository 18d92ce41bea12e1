// The little I/O that hawser does itself. All of it can hang in the kernel for as long as a path is
// lost, so it runs on workers that may be left behind.
#pragma once

#include <string>
#include <vector>

#include "hawser/ctx.h"

#include "model/scsi_device.h"

namespace hawser {

// Reads the first block past the page cache: proof that the device answers.
// Errors: io, not_found, identity_mismatch (the node is another device), deadline_exceeded.
Status probe_read(const Ctx& ctx, const std::string& node, const DevT& dev);

// Opens, fsyncs and closes. The first fsync after a lost write is the only one that tells.
// Errors: io (writes were lost), deadline_exceeded (outcome unknown), as above.
Status flush_device(const Ctx& ctx, const std::string& node, const DevT& dev);

// Makes a block device read-only, or writable again, for whoever writes through its node, whatever
// others say of it afterwards. Errors: io, not_found, identity_mismatch, deadline_exceeded.
Status set_read_only(const Ctx& ctx, const std::string& node, const DevT& dev, bool is_read_only);

// Where a block device is mounted or swapped on, in words. `proc` is /proc.
Result<std::vector<std::string>> users_of(const std::string& proc, const DevT& dev);

}  // namespace hawser
