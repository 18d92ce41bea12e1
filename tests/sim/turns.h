// Several simulated processes, and the tasks of each, at work at the same time. Each job runs on a
// stack of its own, one at a time, and hands over only where it asks the host for something. Who
// goes on then is a decision of the Fate, so that a run can be repeated.
#pragma once

#include <ucontext.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "sim/choices.h"
#include "sim/sim_world.h"

namespace hawser {

class Turns {
 public:
  using Job = std::function<void()>;

  // At most `switches` times somebody else goes on before whoever is at work waits for something.
  Turns(SimWorld& world, Fate& fate, unsigned switches);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // A job, which begins when it is its turn. It must not throw. Jobs that it starts have its owner.
  void start(Job job, int owner = 0);

  // Something that happens by itself, in no job. May be called from anywhere.
  void at(TimePoint time, Job event) { events_.emplace(time, std::move(event)); }

  // Called after every step of a job, and after every change that it makes.
  void watch(Job watcher) { watcher_ = std::move(watcher); }

  // Called whenever a job lets others go on.
  void meanwhile(Job happening) { happening_ = std::move(happening); }

  // Runs until every job has returned. What was to happen later does not.
  void run();

  // --- for the job that is at work --------------------------------------------------------------

  int owner() const;

  // Has the watcher look.
  void step() const {
    if (watcher_) watcher_();
  }

  // Others may go on.
  void yield();

  // Others go on, until `is_over` or the time has come.
  void wait(TimePoint until, std::function<bool()> is_over);

 private:
  struct Fiber;

  static void enter(unsigned high, unsigned low);
  void leave();
  void resume(Fiber& fiber);
  void run_events();
  bool is_ready(const Fiber& fiber) const;
  std::vector<Fiber*> ready() const;
  void pass_time();

  SimWorld& world_;
  Fate& fate_;
  unsigned switches_;
  Job watcher_{};
  Job happening_{};
  std::multimap<TimePoint, Job> events_{};
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* current_ = nullptr;
  std::unique_ptr<Fiber> main_;
};

}  // namespace hawser
