// What the tests of detach start from: a volume that is attached, with something written.
#pragma once

#include <string>
#include <utility>

#include "sim/walk.h"

namespace hawser {

struct Attached {
  SimWorld before;
  SimWorld world;
  std::string id;
};

inline Attached attached(SimWorld before, const VolumeSpec& spec, const AttachOptions& options) {
  Attached made{.before = before, .world = std::move(before), .id = attachment_id(spec)};
  attach_in_good_weather(made.world, spec, options);
  made.world.dirty = {kUnit};
  return made;
}

inline void cut_all_paths(SimWorld& world) {
  for (const auto& [sid, session] : world.sessions)
    world.dead_portals.insert(session.address);
  for (auto& [uuid, map] : world.maps) {
    for (MapPathStatus& path : map.paths)
      path.is_active = false;
  }
}

}  // namespace hawser
