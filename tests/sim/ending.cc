#include "sim/ending.h"

#include "engine/detach.h"
#include "engine/join.h"
#include "engine/map_paths.h"
#include "engine/recover.h"
#include "sim/process.h"

namespace hawser {
namespace {

class Ending {
 public:
  Ending(Scene& scene, const Tale& tale, Findings& findings)
      : scene_(scene), world_(scene.world), tale_(tale), findings_(findings) {}

  void run() {
    tale_.tell(world_, "from here on everything works");
    Surroundings::heal(scene_);
    std::set<std::string> attached;
    for (const SimVolume& volume : scene_.volumes) {
      put_back(volume);
      if (is_attached(volume)) attached.insert(volume.id);
    }
    recover_all();
    for (const SimVolume& volume : scene_.volumes) {
      findings_.expect(!attached.contains(volume.id) || is_attached(volume),
                       volume.id + " was attached until a recovery");
      end(volume);
    }
    check_nothing_left();
  }

 private:
  Environment environment(SimProcess& process) const {
    Environment environment = process.environment();
    if (tale_.is_told()) {
      environment.on_event = [this](const Event& event) {
        tale_.tell(world_, "     " + event.portal + " " + event.text);
      };
    }
    return environment;
  }

  // At the places of a volume that is attached there is the unit that was attached.
  void put_back(const SimVolume& volume) {
    const LogState state = state_of(world_, volume.id);
    if (state.phase == Phase::idle || state.identity.empty()) return;
    const auto known = scene_.units.find(map_uuid_of(state.wwid));
    std::string unit = state.identity.serial;
    if (unit.empty() && known != scene_.units.end()) unit = known->second;
    if (unit.empty()) return;
    for (const auto& [target, lun] : volume.places)
      world_.targets[target][lun] = unit;
    const auto map = world_.maps.find(map_uuid_of(state.wwid));
    if (map != world_.maps.end() && world_.sectors_of(unit) < map->second.sectors)
      world_.unit_sectors[unit] = map->second.sectors;
  }

  bool is_attached(const SimVolume& volume) const {
    const LogState state = state_of(world_, volume.id);
    if (state.phase != Phase::attached || state.boot_id != world_.boot_id) return false;
    if (state.is_multipath) return world_.maps.contains(map_uuid_of(state.wwid));
    return std::any_of(world_.devices.begin(), world_.devices.end(),
                       [&](const auto& device) { return state.bare_sid == device.second.sid; });
  }

  void recover_all() {
    SimProcess process(world_);
    const Result<RecoverReport> report = recover(process.ctx(600s), environment(process));
    findings_.expect(report.has_value(), "recover fails in good weather");
    if (!report) return;
    for (const RecoverReport::Failure& failure : report->failed)
      findings_.expect(false, "recover fails in good weather: " + failure.error.message());
  }

  void end(const SimVolume& volume) {
    const std::string unit = state_of(world_, volume.id).identity.serial;
    Result<DetachReport> done = detach_once(volume);
    // That writes were lost is an answer, too; but one that is given once. And a map without a path
    // has to get one first.
    for (int i = 0; i < 2 && !done && done.error().code() == Errc::data_at_risk; ++i) {
      join_all(volume);
      done = detach_once(volume);
    }
    findings_.expect(done.has_value(), "detach fails in good weather: " +
                                           (done ? std::string() : done.error().message()));
    if (!done) return;
    findings_.expect(!done->data_at_risk, "detach gives up data in good weather");
    findings_.expect(!world_.dirty.contains(unit) || !done->was_attached,
                     "detach leaves " + unit + " unflushed");
  }

  Result<DetachReport> detach_once(const SimVolume& volume) {
    SimProcess process(world_);
    return detach(process.ctx(), environment(process), volume.id, {});
  }

  void join_all(const SimVolume& volume) {
    SimProcess process(world_);
    (void)join(process.ctx(), environment(process), volume.id, {});
  }

  void check_nothing_left() {
    for (const auto& [id, records] : world_.logs) {
      const LogState state = state_of(world_, id);
      findings_.expect(state.phase == Phase::idle && !state.identity.empty(), "a log stays: " + id);
    }
    SimWorld left = world_;
    SimWorld right;
    left.logs.clear();
    right.sessions = scene_.foreign.sessions;
    right.devices = scene_.foreign.devices;
    right.maps = scene_.foreign.maps;
    right.wwids = scene_.foreign.wwids;
    right.node_records = scene_.foreign.node_records;
    leave_out_replaced(left);
    findings_.expect(left.picture() == right.picture(), "something stays:\n" + left.picture());
  }

  // Disks that show another unit than the volume had are left alone, and so are their sessions, and
  // the maps that multipathd makes of what they show, which may outlive them.
  void leave_out_replaced(SimWorld& left) const {
    for (const std::uint32_t sid : scene_.abandoned) {
      if (!scene_.foreign.sessions.contains(sid)) left.sessions.erase(sid);
    }
    const bool was_replaced =
        std::any_of(scene_.volumes.begin(), scene_.volumes.end(),
                    [](const SimVolume& volume) { return volume.was_replaced; });
    // Such a session is whoever's for the next attach, which does not end it.
    std::erase_if(left.sessions, [&](const auto& entry) {
      return !scene_.foreign.sessions.contains(entry.first) &&
             std::any_of(scene_.volumes.begin(), scene_.volumes.end(),
                         [&](const SimVolume& volume) {
                           return volume.was_replaced && volume.leads_to(entry.second.target);
                         });
    });
    std::erase_if(left.maps, [&](const auto& map) {
      return was_replaced && map.second.name.starts_with("mpath");
    });
    for (const auto& [name, device] : world_.devices) {
      if (scene_.is_foreign(device)) continue;
      const Session& session = world_.sessions.at(device.sid);
      const std::pair<std::string, std::uint32_t> place{session.target, device.hctl.lun};
      for (const SimVolume& volume : scene_.volumes) {
        if (!volume.was_replaced || !volume.is_at(place)) continue;
        left.devices.erase(name);
        if (!scene_.foreign.sessions.contains(device.sid)) left.sessions.erase(device.sid);
      }
    }
  }

  Scene& scene_;
  SimWorld& world_;
  const Tale& tale_;
  Findings& findings_;
};

}  // namespace

void end_all(Scene scene, const Tale& tale, Findings& findings) {
  Ending(scene, tale, findings).run();
}

}  // namespace hawser
