#include "engine/run_all.h"

#include <new>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace hawser {

Status run_all(const Ctx& ctx, Host& host, std::vector<std::function<Status(const Ctx&)>> tasks) {
  Mutex mutex;
  std::vector<std::optional<Status>> results(tasks.size());
  const auto run = [&](const Ctx& task_ctx, std::size_t i) {
    try {
      Status result = tasks[i](task_ctx);
      const MutexLock lock(mutex);
      results[i] = std::move(result);
    } catch (const std::bad_alloc&) {
      // It leaves no result, which is seen below.
    }
  };
  Status waited;
  {
    const std::unique_ptr<Crew> crew = host.crew();
    for (std::size_t i = 1; i < tasks.size(); ++i)
      crew->start(ctx, [&run, i](const Ctx& task_ctx) { run(task_ctx, i); });
    if (!tasks.empty()) run(ctx, 0);
    for (;;) {
      const Result<bool> more = crew->wait_one(ctx);
      if (more && *more) continue;
      if (!more) waited = more.error();
      break;
    }
  }  // Waits for all of them: they return by the deadline of ctx, and when it is told to stop.

  const MutexLock lock(mutex);
  for (std::optional<Status>& result : results) {
    if (result && !*result) return std::move(*result);
  }
  for (const std::optional<Status>& result : results) {
    if (!result) {
      if (!waited) return waited;
      return Error(Errc::exhausted, "out of memory");
    }
  }
  return ok();
}

}  // namespace hawser
