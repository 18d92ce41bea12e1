#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hawser/ctx.h"

#include "model/scsi_device.h"
#include "model/session.h"
#include "os/sysfs.h"

namespace hawser {

// SCSI disks of iSCSI sessions, through sysfs. Thread-safe.
// Source: Linux drivers/scsi/scsi_sysfs.c, drivers/scsi/sd.c.
class ScsiSysfs {
 public:
  // `sysfs` outlives this object.
  explicit ScsiSysfs(const Sysfs& sysfs) : sysfs_(sysfs) {}

  // The units of a session that a driver serves, or is about to: disks, tapes. Not what merely
  // answers, as an array's controller does.
  Result<std::vector<Hctl>> units(std::uint32_t sid) const;

  // The disks of a session. One that vanishes while it is read is left out.
  Result<std::vector<ScsiDevice>> devices(std::uint32_t sid) const;

  // One disk, whatever else the session has. nullopt if it is not there, or coming or going.
  Result<std::optional<ScsiDevice>> device(const Hctl& hctl, std::uint32_t sid) const;

  // The SCSI device is there, whether or not its disk is.
  bool exists(const ScsiDevice& device) const;
  // A unit that has been found, and whose disk is still to come: the kernel asks for its size
  // first, in a thread of its own. Source: sd_probe() in Linux drivers/scsi/sd.c.
  Result<bool> is_probing(const Hctl& unit, std::uint32_t sid) const;
  // As the kernel saw it when it was scanned. Errors: protocol, io.
  Result<UnitKind> kind(const Hctl& unit, std::uint32_t sid) const;

  // The kernel's word for how it is: "running". Errors: not_found (it is gone, or another disk is
  // at its address).
  Result<std::string> state(const ScsiDevice& device) const;

  // The disk of this number: an iSCSI one, or of another kind, with a sid of 0 and no more than a
  // name; nullopt if there is none.
  Result<std::optional<ScsiDevice>> find(const DevT& dev) const;

  // Looks for one LUN. The kernel takes the request and does nothing when the session is not logged
  // in, so that is checked before and after. May take as long as the target takes to answer.
  // Errors: unavailable (not logged in), deadline_exceeded (unknown: the scan goes on), io.
  Status scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const;

  // Waits until every scan of this session's host that was begun before has ended. One that is in
  // the middle when its session is lost goes on when that is back, and finds the device then. Looks
  // at the LUN, too, if the session is logged in. Errors: not_found (the host is gone),
  // deadline_exceeded (unknown), io.
  Status finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const;

  // Has the kernel read size and identity anew; with `reads_first` only if the device answers a
  // read, with the errors of probe_read().
  Status rescan(const Ctx& ctx, const ScsiDevice& device, bool reads_first) const;

  // Asks for the device to be deleted, if its name still belongs to it. Gone already is success.
  Status remove(const Ctx& ctx, const ScsiDevice& device) const;
  // The same of what the session has there and, by a look in the same call, is no disk.
  Status remove_unless_disk(const Ctx& ctx, const Hctl& unit, std::uint32_t sid) const;

  // The node of a block device of `name`: "sdb", "dm-3". Errors: not_found.
  Result<DevT> number(const std::string& name) const;
  // What is stacked on a block device.
  Result<std::vector<std::string>> holders(const std::string& name) const;

 private:
  // For a worker, which may outlive us.
  Result<std::shared_ptr<const Sysfs>> own_root() const;
  // Of all that the session has.
  Result<std::vector<Hctl>> addresses(std::uint32_t sid) const;
  Status write(const Ctx& ctx, const std::string& path, const std::string& text) const;
  Status write_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const;

  const Sysfs& sysfs_;
};

}  // namespace hawser
