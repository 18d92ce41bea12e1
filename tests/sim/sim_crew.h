#pragma once

#include <deque>
#include <functional>
#include <stop_token>
#include <utility>

#include "host/host.h"

namespace hawser {

// Takes turns: each task runs to its end when somebody waits.
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

}  // namespace hawser
