#pragma once

#include <deque>
#include <functional>
#include <stop_token>
#include <utility>

#include "host/host.h"
#include "sim/faults.h"
#include "sim/turns.h"

namespace hawser {

// One task after the other: each runs to its end when somebody waits.
class SimCrew final : public Crew {
 public:
  void start(const Ctx& ctx, std::function<void(const Ctx&)> task) override {
    tasks_.push_back([this, ctx, task = std::move(task)] {
      const std::stop_callback forward(ctx.stop, [this] { stop_.request_stop(); });
      task({.clock = ctx.clock, .deadline = ctx.deadline, .stop = stop_.get_token()});
    });
  }
  Result<bool> wait_one(const Ctx& ctx) override {
    HAWSER_TRY(ctx.check());
    if (tasks_.empty()) return false;
    run_first();
    return true;
  }
  // Those that had not got far see it soon.
  void request_stop() override {
    stop_.request_stop();
    while (!tasks_.empty())
      run_first();
  }

 private:
  void run_first() {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }

  std::stop_source stop_{};
  std::deque<std::function<void()>> tasks_{};
};

// Tasks side by side, in turns. When one of them crashes, so does the process.
class TurnCrew final : public Crew {
 public:
  TurnCrew(Turns& turns, Faults& faults) : turns_(turns), faults_(faults) {}
  // A crash in the task that started these is the end of them, too.
  ~TurnCrew() override {
    if (faults_.has_crashed()) faults_.kill();
    turns_.wait(TimePoint::max(), [this] { return running_ == 0; });
  }
  TurnCrew(const TurnCrew&) = delete;
  TurnCrew& operator=(const TurnCrew&) = delete;

  void start(const Ctx& ctx, std::function<void(const Ctx&)> task) override {
    ++running_;
    turns_.start([this, ctx, task = std::move(task)] {
      run(ctx, task);
      --running_;
      ++unreported_;
    });
  }
  Result<bool> wait_one(const Ctx& ctx) override {
    turns_.wait(ctx.deadline, [&] {
      return unreported_ > 0 || running_ == 0 || ctx.stop.stop_requested() || faults_.is_dead();
    });
    faults_.check_alive();
    if (unreported_ > 0) {
      --unreported_;
      return true;
    }
    if (running_ > 0) HAWSER_TRY(ctx.check());
    return false;
  }
  void request_stop() override { stop_.request_stop(); }

 private:
  void run(const Ctx& ctx, const std::function<void(const Ctx&)>& task) {
    const std::stop_callback forward(ctx.stop, [this] { stop_.request_stop(); });
    try {
      task({.clock = ctx.clock, .deadline = ctx.deadline, .stop = stop_.get_token()});
    } catch (const SimCrash&) {
      faults_.kill();
    }
  }

  Turns& turns_;
  Faults& faults_;
  std::stop_source stop_{};
  unsigned running_ = 0;
  unsigned unreported_ = 0;
};

}  // namespace hawser
