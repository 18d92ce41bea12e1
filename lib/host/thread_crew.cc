#include "host/thread_crew.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "os/block_signals.h"
#include "os/poll.h"

namespace hawser {

// A semaphore: each read takes one. Without a descriptor the first wait reports it.
ThreadCrew::ThreadCrew() : finished_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {}

ThreadCrew::~ThreadCrew() = default;  // The threads join, and their tasks end by their Ctx.

void ThreadCrew::run(const Ctx& ctx, const std::function<void(const Ctx&)>& task) {
  const std::stop_callback forward(ctx.stop, [this] { stop_.request_stop(); });
  try {
    task({.clock = ctx.clock, .deadline = ctx.deadline, .stop = stop_.get_token()});
  } catch (const std::bad_alloc&) {
    // The task leaves no result; its owner sees that.
  }
  (void)::eventfd_write(finished_.get(), 1);
}

void ThreadCrew::start(const Ctx& ctx, std::function<void(const Ctx&)> task) {
  ++unreported_;
  try {
    const BlockSignals while_starting;
    threads_.emplace_back([this, ctx, task] { run(ctx, task); });
  } catch (const std::system_error&) {
    run(ctx, task);  // No more threads to be had: this one does the work.
  }
}

Result<bool> ThreadCrew::wait_one(const Ctx& ctx) {
  if (!finished_) return Error(Errc::exhausted, "no descriptor to wait on");
  if (unreported_ == 0) return false;
  for (;;) {
    eventfd_t one = 0;
    if (::eventfd_read(finished_.get(), &one) == 0) {
      --unreported_;
      return true;
    }
    if (errno != EAGAIN && errno != EINTR) return Error::from_errno(errno, "wait for a task");
    HAWSER_TRY(wait_readable(ctx, finished_.get()));
  }
}

}  // namespace hawser
