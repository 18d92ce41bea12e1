#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace hawser::cli {

// Turns SIGINT and SIGTERM into a stop request, so that what was begun is undone. The second one
// ends the process: then `hawser recover` has to do it.
class StopSignals {
 public:
  StopSignals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGUSR1);  // Ours, to end the thread.
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] { wait(); });
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() {
    ::pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }

  std::stop_token token() const { return stop_.get_token(); }

 private:
  void wait() {
    int signal = 0;
    ::sigwait(&signals_, &signal);
    if (signal == SIGUSR1) return;
    stop_.request_stop();
    ::sigwait(&signals_, &signal);
    if (signal == SIGUSR1) return;
    ::signal(signal, SIG_DFL);
    ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    ::raise(signal);
  }

  sigset_t signals_{};
  std::stop_source stop_{};
  std::thread thread_{};
};

}  // namespace hawser::cli
