// What others have on the host, and targets beside ours.
#pragma once

#include <cstdio>
#include <set>
#include <string>

#include "sim/walk.h"

namespace hawser {

inline constexpr const char* kOther = "iqn.2026-11.org.example:t2";

// A session that is not ours, with a device for one LUN on it.
inline Session add_foreign(SimWorld& world, const std::string& target, const std::string& address,
                           std::uint32_t lun) {
  SimProcess process(world);
  const Ctx ctx = process.ctx();
  const Result<Session> session = process.host.login(ctx, {.target = target, .address = address});
  HAWSER_ASSERT(session);
  HAWSER_ASSERT(process.host.scan(ctx, *session, lun));
  return *session;
}

inline void map_foreign(SimWorld& world, const std::string& unit, const DevT& dev) {
  const std::string uuid = std::string(kMapUuidPrefix) + wwid_of(sim_identity(unit));
  world.maps[uuid] = {.name = "theirs",
                      .uuid = uuid,
                      .minor = world.next_minor++,
                      .sectors = 2048,
                      .target_type = "multipath",
                      .table = simple_table({dev}),
                      .paths = {{.dev = dev, .is_active = true}}};
}

inline ScsiDevice only_device(const SimWorld& world) {
  HAWSER_ASSERT(world.devices.size() == 1);
  return world.devices.begin()->second;
}

inline VolumeSpec spec_of(const char* target, std::uint16_t lun = 1) {
  VolumeSpec spec;
  spec.paths.push_back({.portal = {.host = "10.0.1.2"}, .target = target, .lun = lun});
  return spec;
}

// One path by each of two targets.
inline VolumeSpec spec_of_both() {
  VolumeSpec spec = spec_of(kTarget);
  spec.paths.push_back({.portal = {.host = "10.0.2.2"}, .target = kOther, .lun = 1});
  return spec;
}

inline SimWorld two_targets(const std::string& second_unit) {
  SimWorld world = sim_world();
  world.targets[kOther] = {{1, second_unit}};
  return world;
}

inline std::string without_devices(SimWorld world) {
  world.devices.clear();
  return world.picture();
}

// Attaches with one fault. Afterwards the world is as one of `rests`, or the volume is attached as
// a whole.
inline void run_attach(const char* name, const SimWorld& start, const VolumeSpec& spec,
                       const AttachOptions& options, const std::set<std::string>& rests) {
  SCOPED_TRACE(name);
  int attached = 0;
  const int runs = walk(
      start, 1,
      [&](SimProcess& process, SimWorld& world) {
        const Result<Attachment> made = attach(process.ctx(), process.environment(), spec, options);
        if (!made && made.error().outcome() == Outcome::unchanged) {
          EXPECT_TRUE(rests.contains(world.picture())) << world.picture();
        }
      },
      [&](SimWorld& world, bool) {
        if (recover_in_good_weather(world, attachment_id(spec))) {
          ++attached;
          for (const auto& [uuid, map] : world.maps) {
            for (const auto& [device_name, device] : world.devices) {
              EXPECT_TRUE(!map.has_path(device.dev) || device.identity == sim_identity(kUnit));
            }
          }
          detach_in_good_weather(world, attachment_id(spec));
        }
        EXPECT_TRUE(rests.contains(world.picture())) << world.picture();
      });
  std::printf("%-28s %7d runs, attached in %d\n", name, runs, attached);
  EXPECT_GT(runs, 50);
  EXPECT_GT(attached, 0);
  EXPECT_LT(attached, runs);
}

}  // namespace hawser
