#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "hawser/ctx.h"

#include "model/session.h"
#include "os/sysfs.h"

namespace hawser {

// iSCSI sessions as the kernel shows them.
// Source: Linux drivers/scsi/scsi_transport_iscsi.c. Thread-safe.
class IscsiSysfs {
 public:
  // `sysfs` outlives this object.
  explicit IscsiSysfs(const Sysfs& sysfs) : sysfs_(sysfs) {}

  // Every session; one that vanishes while it is read is left out.
  // Errors: protocol, naming the attribute; io.
  Result<std::vector<Session>> sessions() const;

  // Those to one target. Of all others, which a host may have many of, only the name is read.
  Result<std::vector<Session>> sessions_to(const std::string& target) const;

  // nullopt if it is not there, or not whole: just vanishing, or iscsid is making it, or, after it
  // was restarted itself, its connection anew.
  Result<std::optional<Session>> session(std::uint32_t sid) const;

  bool exists(std::uint32_t sid) const;
  // Whether one to the target is there that is not whole. One that has no name yet is nobody's.
  Result<bool> has_unfinished(const std::string& target) const;

  // Written through sysfs, the value survives a restart of iscsid.
  Status set_recovery_timeout(std::uint32_t sid, std::chrono::seconds timeout) const;

  // The kernel's handle of iscsi_tcp, which netlink requests about its sessions carry: the kernel
  // takes it at its word, and one of another driver would read what is not there. Source:
  // iscsi_if_get_stats() in Linux drivers/scsi/scsi_transport_iscsi.c.
  // Errors: unsupported (the session is another driver's).
  Result<std::uint64_t> tcp_handle_of(const Session& session) const;

 private:
  Result<std::vector<std::uint32_t>> sids() const;
  Result<std::optional<Session>> read(std::uint32_t sid, const std::string* target) const;
  std::string address(const std::string& connection, const std::string& written) const;

  const Sysfs& sysfs_;
};

}  // namespace hawser
