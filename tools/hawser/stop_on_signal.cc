#include "tools/hawser/stop_on_signal.h"

#include <unistd.h>

#include <initializer_list>
#include <string_view>

namespace hawser::tool {
namespace {

// Ends the watcher's wait. Blocked in the watcher only.
constexpr int kEndWatch = SIGUSR2;

}  // namespace

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void StopOnSignal::start() {
  (void)::sigemptyset(&watched_);
  if (listen_ == Listen::to_parent) {
    (void)::sigaddset(&watched_, kForwardedSignal);
  } else {
    for (const int signal : {SIGINT, SIGTERM}) {
      if (!is_ignored(signal)) (void)::sigaddset(&watched_, signal);
    }
  }
  (void)::pthread_sigmask(SIG_BLOCK, &watched_, nullptr);

  // The watcher inherits its mask, so that the signal that ends it cannot come too early.
  (void)::sigaddset(&watched_, kEndWatch);
  sigset_t before{};
  (void)::pthread_sigmask(SIG_BLOCK, &watched_, &before);
  watcher_ = std::thread([this] { watch(); });
  (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StopOnSignal::~StopOnSignal() {
  if (!watcher_.joinable()) return;
  (void)::pthread_kill(watcher_.native_handle(), kEndWatch);
  watcher_.join();
}

void StopOnSignal::watch() {
  int signal = 0;
  if (::sigwait(&watched_, &signal) != 0 || signal == kEndWatch) return;
  source_.request_stop();
  constexpr std::string_view kNotice = "hawser: stopping; the next signal kills\n";
  // A notice that does not come out changes nothing.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kNotice.data(), kNotice.size());

  if (::sigwait(&watched_, &signal) != 0 || signal == kEndWatch) return;
  sigset_t only{};
  (void)::sigemptyset(&only);
  (void)::sigaddset(&only, signal);
  (void)::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  (void)::raise(signal);  // Its disposition is the default one: this ends the process.
}

}  // namespace hawser::tool
