#include "os/bounded.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <new>
#include <optional>
#include <system_error>
#include <thread>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "os/block_signals.h"
#include "os/poll.h"

namespace hawser {
namespace {

// Shared by the caller and the worker; goes away with the last of them.
struct Handover {
  UniqueFd done;
  Mutex mutex{};
  bool has_begun HAWSER_GUARDED_BY(mutex) = false;
  bool is_left HAWSER_GUARDED_BY(mutex) = false;  // The caller has gone on.
  std::optional<Status> result HAWSER_GUARDED_BY(mutex){};
};

void run(Handover& handover, const std::function<Status()>& call) {
  {
    const MutexLock lock(handover.mutex);
    if (handover.is_left) return;
    handover.has_begun = true;
  }
  Status result;
  try {
    result = call();
  } catch (const std::bad_alloc&) {
    result = Error(Errc::exhausted, "out of memory");
  }
  {
    const MutexLock lock(handover.mutex);
    handover.result = std::move(result);
  }
  (void)::eventfd_write(handover.done.get(), 1);  // Cannot fail: the counter is far from full.
}

}  // namespace

Status run_bounded(const Ctx& ctx, const std::string& doing, std::function<Status()> call) {
  HAWSER_TRY(ctx.check());
  const auto handover = std::make_shared<Handover>();
  handover->done.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!handover->done) return Error::from_errno(errno, "eventfd");
  try {
    const BlockSignals while_starting;
    std::thread([handover, call = std::move(call)] { run(*handover, call); }).detach();
  } catch (const std::system_error& e) {
    return Error(Errc::exhausted, doing + ": no thread: " + e.code().message());
  }

  const Status waited = wait_readable(ctx, handover->done.get());
  const MutexLock lock(handover->mutex);
  if (handover->result) return std::move(*handover->result);
  handover->is_left = true;
  return Error(waited.error())
      .with(doing)
      .with(handover->has_begun ? Outcome::unknown : Outcome::unchanged);
}

}  // namespace hawser
