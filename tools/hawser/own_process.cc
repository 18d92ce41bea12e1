#include "tools/hawser/own_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "tools/hawser/exit_status.h"
#include "tools/hawser/stop_on_signal.h"

namespace hawser::tool {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

// Between its status and its end a child has nothing to do, unless it is stuck.
constexpr auto kEndBudget = 1s;

sigset_t signals_to_forward() {
  sigset_t set{};
  (void)::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM}) {
    if (!is_ignored(signal)) (void)::sigaddset(&set, signal);
  }
  return set;
}

// As if the signal had come to us. A core, if there is to be one, is the child's.
[[noreturn]] void die_of(int signal) {
  (void)::prctl(PR_SET_DUMPABLE, 0);
  sigset_t only{};
  (void)::sigemptyset(&only);
  (void)::sigaddset(&only, signal);
  (void)::signal(signal, SIG_DFL);
  (void)::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  (void)::raise(signal);
  std::_Exit(kExitLeft);
}

class Parent {
 public:
  Parent(pid_t child, int status_fd, int signal_fd)
      : child_(child), status_fd_(status_fd), signal_fd_(signal_fd) {}

  std::optional<int> wait(std::chrono::nanoseconds patience) {
    SteadyClock::time_point end = SteadyClock::now() + patience;
    while (!has_ended_) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(end - SteadyClock::now()).count();
      std::array<pollfd, 2> fds{{{.fd = status_fd_, .events = POLLIN, .revents = 0},
                                 {.fd = signal_fd_, .events = POLLIN, .revents = 0}}};
      const int timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
      const int ready = ::poll(fds.data(), fds.size(), timeout);
      if (ready == 0) return status_;
      if (ready < 0) continue;  // Stopped and continued.
      if (fds[1].revents != 0) forward();
      if (fds[0].revents != 0 && take_status()) end = SteadyClock::now() + kEndBudget;
    }
    return status_of_the_dead();
  }

 private:
  void forward() {
    signalfd_siginfo info{};
    if (::read(signal_fd_, &info, sizeof info) != sizeof info) return;
    last_signal_ = static_cast<int>(info.ssi_signo);
    (void)::kill(child_, kForwardedSignal);
  }

  bool take_status() {
    unsigned char byte = 0;
    const ssize_t got = ::read(status_fd_, &byte, 1);
    if (got == 1) status_ = byte;
    has_ended_ = got == 0;
    return got == 1;
  }

  // Its descriptors are closed, so it is about to be dead if it is not yet.
  std::optional<int> status_of_the_dead() const {
    int how = 0;
    while (::waitpid(child_, &how, 0) < 0) {
      if (errno != EINTR) return status_;
    }
    if (WIFEXITED(how)) return WEXITSTATUS(how);
    const int signal = WTERMSIG(how);
    die_of(signal == kForwardedSignal ? last_signal_ : signal);
  }

  const pid_t child_;
  const int status_fd_;
  const int signal_fd_;
  std::optional<int> status_{};
  int last_signal_ = SIGTERM;
  bool has_ended_ = false;
};

[[noreturn]] void be_the_child(pid_t parent, int status_fd, const std::function<int(bool)>& work) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) std::_Exit(kExitLeft);  // It died before.
  const int status = work(true);
  const auto byte = static_cast<unsigned char>(status);
  // Nobody may be there to hear it.
  [[maybe_unused]] const ssize_t written = ::write(status_fd, &byte, 1);
  std::exit(status);
}

}  // namespace

std::optional<int> run_in_own_process(std::chrono::nanoseconds patience,
                                      const std::function<int(bool is_child)>& work) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return work(false);
  const sigset_t forwarded = signals_to_forward();
  sigset_t before{};
  (void)::pthread_sigmask(SIG_BLOCK, &forwarded, &before);
  const int signal_fd = ::signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK);
  const pid_t parent = ::getpid();
  const pid_t child = signal_fd < 0 ? -1 : ::fork();
  if (child == 0) {
    (void)::close(pipe[0]);
    (void)::close(signal_fd);
    be_the_child(parent, pipe[1], work);
  }
  (void)::close(pipe[1]);
  std::optional<int> status;
  if (child > 0) {
    status = Parent(child, pipe[0], signal_fd).wait(patience);
  } else {
    (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    status = work(false);
  }
  (void)::close(pipe[0]);
  if (signal_fd >= 0) (void)::close(signal_fd);
  return status;
}

}  // namespace hawser::tool
