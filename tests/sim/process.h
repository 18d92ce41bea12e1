#pragma once

#include <chrono>
#include <stop_token>

#include "engine/operation.h"
#include "sim/sim_host.h"

namespace hawser {

using namespace std::chrono_literals;

// A process: it is born with a clean memory, and dies with its locks. `HostType` is a SimHost, or
// one that does something else besides.
template <class HostType>
class SimProcessOn {
  GoodWeather fate_{};
  Faults faults_{fate_, 0};

 public:
  // Nothing goes wrong in it.
  explicit SimProcessOn(SimWorld& world)
      : clock(world.clock), host(world, faults_, stop), journal(world, faults_) {}

  SimProcessOn(SimWorld& world, Faults& faults, Turns* turns = nullptr)
      : clock(world.clock), host(world, faults, stop, turns), journal(world, faults, turns) {}

  Ctx ctx(std::chrono::nanoseconds time = 60s) const {
    return {.clock = clock, .deadline = clock.now() + time, .stop = stop.get_token()};
  }
  Environment environment() { return {.host = host, .journal = journal}; }

  const Clock& clock;
  std::stop_source stop{};
  HostType host;
  SimJournal journal;
};

using SimProcess = SimProcessOn<SimHost>;

}  // namespace hawser
