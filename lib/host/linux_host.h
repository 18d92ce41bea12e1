#pragma once

#include "dm/device_mapper.h"
#include "host/host.h"
#include "iscsid/client.h"
#include "iscsid/node_db.h"
#include "multipathd/client.h"
#include "multipathd/wwids_file.h"
#include "os/sysfs.h"
#include "scsi/device.h"
#include "sysfs/iscsi.h"

namespace hawser {

// This machine. What an outside thing says is a hint here: each call returns by what the kernel
// shows.
class LinuxHost final : public Host {
 public:
  // Errors: not_found (there is no such directory).
  static Result<std::unique_ptr<LinuxHost>> open(const std::string& sysfs = "/sys");

  std::unique_ptr<Crew> crew() override;
  Result<std::string> boot_id() override { return boot_id_; }
  std::int64_t uptime_ms() override;
  std::int64_t wall_time_s() override;
  Status pause(const Ctx& ctx, std::chrono::milliseconds time) override;
  Status check_ready(const Ctx& ctx, Multipath multipath) override;
  Result<std::vector<std::string>> resolve(const Ctx& ctx, const std::string& name) override;
  Status check_iface(const Ctx& ctx, const std::string& name) override;

  Result<std::vector<Session>> sessions(const Ctx& ctx) override;
  Result<std::vector<Session>> sessions_to(const Ctx& ctx, const std::string& target) override;
  Result<std::optional<Session>> session(const Ctx& ctx, std::uint32_t sid) override;
  Result<Session> login(const Ctx& ctx, const LoginRequest& request) override;
  Result<bool> login_in_flight(const Ctx& ctx, const std::string& target) override;
  Status logout(const Ctx& ctx, std::uint32_t sid) override;
  Status set_recovery_timeout(const Ctx& ctx, std::uint32_t sid,
                              std::chrono::seconds timeout) override;
  Result<SessionReport::Counters> counters(const Ctx& ctx, std::uint32_t sid) override;
  Result<std::vector<DiscoveredTarget>> discover(const Ctx& ctx, const Portal& portal,
                                                 const std::optional<Chap>& chap) override;
  Result<bool> has_node_record(const Ctx& ctx, const LoginRequest& request) override;
  Status add_node_record(const Ctx& ctx, const LoginRequest& request) override;
  Status remove_node_record(const Ctx& ctx, const LoginRequest& request) override;

  Status scan(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Status finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Result<std::vector<ScsiDevice>> devices(const Ctx& ctx, std::uint32_t sid) override;
  Result<std::vector<Hctl>> units(const Ctx& ctx, std::uint32_t sid) override;
  Result<std::optional<ScsiDevice>> find_device(const Ctx& ctx, const DevT& dev) override;
  Result<ScsiDevice> wait_for_device(const Ctx& ctx, const Session& session,
                                     std::uint32_t lun) override;
  Status rescan(const Ctx& ctx, const ScsiDevice& device) override;
  Result<UnitKind> unit_kind(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Status remove_unless_disk(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Status remove_device(const Ctx& ctx, const ScsiDevice& device) override;
  Status set_read_only(const Ctx& ctx, const std::string& name, bool is_read_only) override;
  Status probe(const Ctx& ctx, const ScsiDevice& device) override;
  Result<std::string> wwid(const Ctx& ctx, const ScsiDevice& device) override;

  Result<std::optional<Map>> find_map(const Ctx& ctx, const std::string& uuid) override;
  Result<std::vector<Map>> partition_maps(const Ctx& ctx, const std::string& wwid) override;
  Status create_map(const Ctx& ctx, const Map& map) override;
  Status reload_map(const Ctx& ctx, const Map& map, const MapTable& table) override;
  Status resize_map(const Ctx& ctx, const Map& map, const MapTable& table,
                    std::uint64_t sectors) override;
  Status resume_map(const Ctx& ctx, const std::string& uuid) override;
  Status remove_map(const Ctx& ctx, const std::string& uuid) override;
  Status remove_map_if_closed(const Ctx& ctx, const std::string& uuid) override;
  Status remove_map_when_closed(const Ctx& ctx, const std::string& uuid) override;
  Status wipe_map(const Ctx& ctx, const std::string& uuid) override;
  Status reinstate_path(const Ctx& ctx, const std::string& uuid, const DevT& dev) override;
  Status wait_for_udev(const Ctx& ctx, const std::string& uuid) override;
  Status wait_for_udev_gone(const Ctx& ctx, const std::string& uuid) override;
  Status wait_for_udev_to_forget(const Ctx& ctx, const std::vector<ScsiDevice>& devices) override;
  Status wait_for_udev_to_forget_namesake(const Ctx& ctx, const ScsiDevice& device,
                                          TimePoint scanned) override;

  Result<PathVerdict> offer_path(const Ctx& ctx, const ScsiDevice& device) override;
  Status announce_size(const Ctx& ctx, const Map& map) override;
  Result<bool> is_known_to_multipathd(const Ctx& ctx,
                                      const std::vector<ScsiDevice>& devices) override;
  Result<std::vector<std::string>> known_wwids(const Ctx& ctx) override;
  Status remember_wwid(const Ctx& ctx, const std::string& wwid) override;
  Status forget_wwid(const Ctx& ctx, const std::string& wwid) override;
  Result<std::vector<std::string>> claims(const Ctx& ctx, const ScsiDevice& device) override;
  Result<std::vector<std::string>> holders(const Ctx& ctx, const std::string& device) override;
  Result<std::vector<std::string>> stacked_on(const Ctx& ctx, const std::string& device) override;
  Result<std::vector<std::string>> openers(const Ctx& ctx, const std::string& device) override;
  Status wait_until_unused(const Ctx& ctx, const std::string& device) override;
  Result<bool> is_written(const Ctx& ctx, const Map& map,
                          const std::vector<ScsiDevice>& devices) override;
  Status flush(const Ctx& ctx, const std::string& device) override;

 private:
  LinuxHost(Sysfs sysfs, std::string boot_id);

  Result<LoginRequest> with_binding(LoginRequest request) const;
  Result<std::optional<Session>> find_session(const LoginRequest& request) const;
  Result<std::vector<std::string>> parts_of(const std::string& device) const;
  Result<std::vector<DevT>> numbers_of(const std::string& device) const;
  // `do_read` reads from a device that is running, and is tried again while that has no node yet.
  Status read_when_open(const Ctx& ctx, const ScsiDevice& device,
                        const std::function<Status()>& do_read) const;
  Status flush_one(const Ctx& ctx, const std::string& name) const;
  void forget_namesake(const Ctx& ctx, const ScsiDevice& device);
  Result<bool> is_map_unused(const std::string& uuid) const;
  Result<bool> is_disk_unused(const Ctx& ctx, const std::string& device);
  // By a mount, a map or the like: whoever opens it exclusively is refused.
  Result<bool> is_claimed(const Ctx& ctx, const std::string& device, const DevT& dev) const;

  const Sysfs sysfs_;
  const std::string boot_id_;
  const IscsiSysfs iscsi_{sysfs_};
  const ScsiSysfs scsi_{sysfs_};
  IscsidClient iscsid_{};
  const NodeDb nodes_ = system_node_db();
  const DeviceMapper dm_{};
  const MultipathdClient multipathd_{};
  const WwidsFile wwids_{};
};

}  // namespace hawser
