#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace hawser::tool {

// Turns the first SIGINT or SIGTERM into a stop request; the second one kills, as if nobody had
// looked. Signals that were ignored when the program started (nohup) stay ignored.
//
// Start it before any other thread: threads inherit the mask.
class StopOnSignal {
 public:
  StopOnSignal() = default;
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal();

  void start();
  std::stop_token token() const { return source_.get_token(); }

 private:
  void watch();

  std::stop_source source_{};
  sigset_t watched_{};
  std::thread watcher_{};
};

}  // namespace hawser::tool
