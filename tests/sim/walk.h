// Walks every way in which an operation can go wrong, and checks what it leaves.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "engine/attach.h"
#include "engine/detach.h"
#include "engine/inventory.h"
#include "engine/recover.h"
#include "sim/process.h"

namespace hawser {

inline constexpr const char* kTarget = "iqn.2026-11.org.example:t1";
inline constexpr const char* kUnit = "our-unit";

inline VolumeSpec sim_spec(int portals, std::uint16_t lun = 1) {
  VolumeSpec spec;
  spec.discovery = false;  // These are all; also if it is one.
  for (int i = 1; i <= portals; ++i) {
    spec.paths.push_back(
        {.portal = {.host = "10.0." + std::to_string(i) + ".2"}, .target = kTarget, .lun = lun});
  }
  return spec;
}

inline SimWorld sim_world() {
  SimWorld world;
  world.targets[kTarget] = {{1, kUnit}, {2, "neighbour"}};
  return world;
}

// Runs `work` in a process of its own that may fail and crash, up to `budget` times, and a recovery
// in another with what is left of the budget; stop requests and deadlines count
// as well, if `is_interrupted`; then hands the world to `check` in good weather.
// Returns how many runs that took.
inline int walk(const SimWorld& start, int budget,
                const std::function<void(SimProcess&, SimWorld&)>& work,
                const std::function<void(SimWorld&, bool crashed)>& check,
                bool is_interrupted = false) {
  int runs = 0;
  Choices choices;
  while (choices.next_run()) {
    ++runs;
    SimWorld world = start;
    Faults faults(choices, budget, is_interrupted);
    bool crashed = false;
    try {
      SimProcess process(world, faults);
      work(process, world);
    } catch (const SimCrash&) {
      crashed = true;
      try {
        SimProcess process(world, faults);
        (void)recover(process.ctx(), process.environment());
      } catch (const SimCrash&) {
      }
    }
    check(world, crashed);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "in run " << runs;
      return runs;
    }
  }
  return runs;
}

// Work in a process of its own, which may be killed; `meanwhile` is called whenever it asks the
// host.
inline void in_turns(SimWorld& world, const std::function<void(Faults&)>& meanwhile,
                     const std::function<void(SimProcess&)>& work) {
  GoodWeather weather;
  Faults faults(weather, 0);
  Turns turns(world, weather, 0);
  turns.meanwhile([&] {
    if (meanwhile) meanwhile(faults);
  });
  SimProcess process(world, faults, &turns);
  turns.start([&] {
    try {
      work(process);
    } catch (const SimCrash&) {
    }
  });
  turns.run();
}

// Each in a process of its own, with nothing in its way but what the world has.
inline Result<Attachment> attach_once(SimWorld& world, const VolumeSpec& spec,
                                      const AttachOptions& options = {}) {
  SimProcess process(world);
  return attach(process.ctx(), process.environment(), spec, options);
}

inline Result<DetachReport> detach_once(SimWorld& world, const std::string& id,
                                        const DetachOptions& options = {}) {
  SimProcess process(world);
  return detach(process.ctx(), process.environment(), id, options);
}

inline Result<RecoverReport> recover_once(SimWorld& world) {
  SimProcess process(world);
  return recover(process.ctx(), process.environment());
}

// In good weather: recovers, and says whether the volume is attached.
inline bool recover_in_good_weather(SimWorld& world, const std::string& id) {
  SimProcess process(world);
  const Result<RecoverReport> report = recover(process.ctx(), process.environment());
  EXPECT_TRUE(report && report->failed.empty())
      << (report ? report->failed.front().error.message() : report.error().message());
  const Result<Attachment> shown = show(process.ctx(), process.environment(), id);
  const bool is_attached = shown && shown->status == "attached";
  if (report) {
    const auto names = [&id](const std::vector<std::string>& ids) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    EXPECT_FALSE(is_attached && (names(report->undone) || names(report->completed)));
    EXPECT_FALSE(!is_attached && names(report->kept));
  }
  return is_attached;
}

inline void detach_in_good_weather(SimWorld& world, const std::string& id) {
  const Result<DetachReport> report = detach_once(world, id);
  EXPECT_TRUE(report) << report.error().message();
}

inline void attach_in_good_weather(SimWorld& world, const VolumeSpec& spec,
                                   const AttachOptions& options) {
  const Result<Attachment> made = attach_once(world, spec, options);
  ASSERT_TRUE(made) << made.error().message();
}

}  // namespace hawser
