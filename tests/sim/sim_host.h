#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/host.h"
#include "journal/journal.h"
#include "sim/faults.h"
#include "sim/sim_world.h"
#include "sim/turns.h"

namespace hawser {

// A host in memory that behaves as the kernel, iscsid and multipathd do, and goes wrong on demand.
class SimHost : public Host {
 public:
  // With `turns`, others are at work at the same time.
  SimHost(SimWorld& world, Faults& faults, std::stop_source& stop, Turns* turns = nullptr)
      : world_(world), faults_(faults), stop_(stop), turns_(turns) {}

  std::unique_ptr<Crew> crew() override;
  Result<std::string> boot_id() override { return world_.boot_id; }
  std::int64_t uptime_ms() override { return world_.uptime_ms; }
  std::int64_t wall_time_s() override { return world_.wall_time_s; }
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
  Result<UnitKind> unit_kind(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Status remove_unless_disk(const Ctx& ctx, const Session& session, std::uint32_t lun) override;
  Result<std::optional<ScsiDevice>> find_device(const Ctx& ctx, const DevT& dev) override;
  Result<ScsiDevice> wait_for_device(const Ctx& ctx, const Session& session,
                                     std::uint32_t lun) override;
  Status rescan(const Ctx& ctx, const ScsiDevice& device) override;
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
  Status enter(const Ctx& ctx);
  // Between what was done and the log that says so, others are at work, too.
  template <class Effect>
  Status change(Effect&& effect) {
    Status done = faults_.change([&]() -> Status {
      Status effected = effect();
      ++world_.changes;
      if (turns_ != nullptr) turns_->step();
      return effected;
    });
    if (turns_ != nullptr) turns_->yield();
    faults_.check_alive();
    return done;
  }
  // Until `is_over`, the deadline or a stop request.
  void wait(const Ctx& ctx, const std::function<bool()>& is_over);
  void wait_for_ever(const Ctx& ctx);
  void sleep(const Ctx& ctx, std::chrono::milliseconds time);
  bool is_taken(const LoginRequest& request) const;
  bool is_in_flight(std::uint32_t sid) const;
  void bring_back();
  bool is_logged_in(std::uint32_t sid) const;
  Status wait_for_scan(const Ctx& ctx, const Session& session, std::uint32_t lun);
  void lose_what_is_queued(const Map& map);
  Status open_paths(const std::vector<MapPathStatus>& paths, const Map* loaded) const;
  Status check_loads(const Ctx& ctx, const std::string& uuid, const MapTable& table);
  bool is_open(const std::string& node) const;
  bool look_if_open(const std::string& node);  // As part of what the engine asks for.
  std::vector<Map> partitions_of(const std::string& uuid) const;
  Status tell_lost(const std::string& unit);
  void erase_map(const std::string& uuid);
  Status remove_closed(const std::string& uuid);

  SimWorld& world_;
  Faults& faults_;
  std::stop_source& stop_;
  Turns* const turns_;
  std::map<std::string, unsigned> proven_{};  // Device: portal changes when it answered last.
};

// Logs in the world's memory.
class SimJournal final : public Journal {
 public:
  SimJournal(SimWorld& world, Faults& faults, Turns* turns = nullptr)
      : world_(world), faults_(faults), turns_(turns) {}

  Result<std::unique_ptr<LogFile>> open(const Ctx& ctx, const std::string& id) override;
  Result<std::unique_ptr<LogFile>> try_open(const std::string& id) override;
  Result<std::vector<Record>> read(const std::string& id) override;
  Result<std::vector<std::string>> list() override;
  Result<std::unique_ptr<NamedLock>> lock(const Ctx& ctx, const std::string& name) override;

  // Ids of the logs that this process has open.
  const std::set<std::string>& open_logs() const { return open_logs_; }

 private:
  Status enter(const Ctx& ctx);
  Status take(const Ctx& ctx, const std::string& lock);

  SimWorld& world_;
  Faults& faults_;
  Turns* const turns_;
  std::set<std::string> open_logs_{};
};

}  // namespace hawser
