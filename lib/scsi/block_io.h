// The little I/O that hawser does itself. All of it can hang in the kernel for as long as a path is
// lost, so it runs on workers that may be left behind.
#pragma once

#include <string>

#include "hawser/ctx.h"

#include "model/scsi_device.h"

namespace hawser {

// Reads the first block past the page cache: proof that the device answers.
// Errors: io, not_found, identity_mismatch (the node is another device), deadline_exceeded.
Status probe_read(const Ctx& ctx, const std::string& node, const DevT& dev);
// The same, for whoever is on such a worker already.
Status read_first_block(const std::string& node, const DevT& dev);

// Opens, fsyncs and closes. The first fsync after a lost write is the only one that tells.
// Errors: data_at_risk (the device has lost writes: to ask again would be to hear of nothing),
// deadline_exceeded and cancelled (outcome unknown: the flush goes on, and what it hears of lost
// writes nobody hears), as above.
Status flush_device(const Ctx& ctx, const std::string& node, const DevT& dev);

// Makes a block device read-only, or writable again, for whoever writes through its node, whatever
// others say of it afterwards. Errors: io, not_found, identity_mismatch, deadline_exceeded.
Status set_read_only(const Ctx& ctx, const std::string& node, const DevT& dev, bool is_read_only);

// Opens for exclusive use and closes: what is mounted, swapped on or part of another device cannot
// be opened so, whoever did it, and however hidden. Nothing is read or written.
// Errors: busy (somebody claims it), and as above.
Status try_exclusive(const Ctx& ctx, const std::string& node, const DevT& dev);

}  // namespace hawser
