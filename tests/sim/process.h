#pragma once

#include <chrono>
#include <stop_token>

#include "engine/operation.h"
#include "sim/sim_host.h"

namespace hawser {

using namespace std::chrono_literals;

// A process: it is born with a clean memory, and dies with its locks.
class SimProcess {
  GoodWeather fate_{};
  Faults faults_{fate_, 0};

 public:
  // Nothing goes wrong in it.
  explicit SimProcess(SimWorld& world)
      : clock(world.clock), host(world, faults_, stop), journal(world, faults_) {}

  SimProcess(SimWorld& world, Faults& faults, Turns* turns = nullptr)
      : clock(world.clock), host(world, faults, stop, turns), journal(world, faults, turns) {}

  Ctx ctx(std::chrono::nanoseconds time = 60s) const {
    return {.clock = clock, .deadline = clock.now() + time, .stop = stop.get_token()};
  }
  Environment environment() { return {.host = host, .journal = journal}; }

  const Clock& clock;
  std::stop_source stop{};
  SimHost host;
  SimJournal journal;
};

}  // namespace hawser
