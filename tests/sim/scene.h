// What a random walk begins with, and whatever happens to it that is none of our doing.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hawser/client.h"

#include "engine/log_state.h"
#include "sim/dice.h"
#include "sim/sim_world.h"

namespace hawser {

// What happened, in order, for whoever has to find out why a run went wrong.
class Tale {
 public:
  explicit Tale(bool is_told) : is_told_(is_told) {}

  bool is_told() const { return is_told_; }
  void tell(const SimWorld& world, const std::string& text) const;

 private:
  const bool is_told_;
};

// What the log of a volume says; idle if there is none.
LogState state_of(const SimWorld& world, const std::string& id);

struct SimVolume {
  VolumeSpec spec{};
  AttachOptions options{};
  std::string id{};
  std::vector<std::pair<std::string, std::uint32_t>> places{};  // Target and LUN.
  bool was_replaced = false;  // There was another unit, or none, at one of them.

  bool is_at(const std::pair<std::string, std::uint32_t>& place) const {
    return std::find(places.begin(), places.end(), place) != places.end();
  }
  bool leads_to(const std::string& target) const {
    return std::any_of(places.begin(), places.end(),
                       [&](const auto& place) { return place.first == target; });
  }
};

// What is on the host and is not ours; it must be there at all times.
struct Foreign {
  std::map<std::uint32_t, Session> sessions{};
  std::map<std::string, ScsiDevice> devices{};
  std::map<std::string, Map> maps{};
  std::set<std::string> wwids{};
  std::set<std::string> node_records{};
};

struct Scene {
  SimWorld world{};
  std::vector<SimVolume> volumes{};
  Foreign foreign{};
  std::vector<std::string> portals{};          // Addresses.
  std::set<std::uint32_t> abandoned{};         // Sessions with a disk that turned into another's.
  std::map<std::string, std::string> units{};  // Map uuid: the unit that has it by right.
  std::set<std::pair<std::string, DevT>> taken_by_multipathd{};  // Map uuid and path.
  std::set<DevT> dropped_by_multipathd{};                        // Paths.

  void add_unit(const std::string& unit);
  // What was handed out of a volume: "dm-0", or the name of a disk; empty if there is nothing.
  std::string node_of(const SimVolume& volume) const;
  bool is_handed_out(const ScsiDevice& device) const;
  // Nobody misses it in its map then, and a join that was cut short takes its disk back.
  bool is_dropped(const DevT& dev) const { return dropped_by_multipathd.contains(dev); }
  bool is_foreign(const ScsiDevice& device) const { return foreign.devices.contains(device.name); }
};

Scene draw_scene(Random& random);

// Storage, network, daemons and applications. They change things while operations run, and more of
// them in between.
class Surroundings {
 public:
  Surroundings(Scene& scene, Random& random, const Tale& tale);

  // Once an instant. Time may jump, by what is added to `jumped`.
  void meanwhile();
  // Between two operations, when nobody is at work.
  void between();
  // From now on everything works, and nobody is in the way.
  static void heal(Scene& scene);

  std::chrono::milliseconds jumped() const { return jumped_; }

 private:
  void tell(const std::string& text) const { tale_.tell(scene_.world, text); }
  const std::string& any_portal() { return scene_.portals[random_.below(portal_count_)]; }
  void fail_or_mend_portal();
  void act_as_multipathd();
  void drop_as_multipathd(const ScsiDevice& device);
  void slow_down();
  void let_udev_wait();
  void let_time_jump();
  void open_or_close();
  void close(const std::string& closed);
  void write();
  void scan_for_another();
  void change_unit();
  void replace_unit(SimVolume& volume);
  void reboot();

  Scene& scene_;
  Random& random_;
  const Tale& tale_;
  const unsigned portal_count_;
  const unsigned calm_;        // Once in so many instants something happens.
  const unsigned multipathd_;  // Likewise, multipathd.
  std::chrono::milliseconds jumped_{0};
};

}  // namespace hawser
