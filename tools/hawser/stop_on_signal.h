#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace hawser::tool {

// What a parent sends its child in place of the SIGINT or SIGTERM that it got itself. Those reach
// the child too if they are sent to the group, and would count twice.
inline constexpr int kForwardedSignal = SIGUSR1;

bool is_ignored(int signal);

enum class Listen { to_everybody, to_parent };

// Turns the first SIGINT or SIGTERM into a stop request; the second one kills, as if nobody had
// looked. Signals that were ignored when the program started (nohup) stay ignored.
//
// Start it before any other thread: threads inherit the mask.
class StopOnSignal {
 public:
  explicit StopOnSignal(Listen listen) : listen_(listen) {}
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal();

  void start();
  std::stop_token token() const { return source_.get_token(); }

 private:
  void watch();

  const Listen listen_;
  std::stop_source source_{};
  sigset_t watched_{};
  std::thread watcher_{};
};

}  // namespace hawser::tool
