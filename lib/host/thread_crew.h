#pragma once

#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "host/host.h"

namespace hawser {

// A thread for each task: there are as many as a volume has paths.
class ThreadCrew final : public Crew {
 public:
  ThreadCrew();
  ~ThreadCrew() override;

  void start(const Ctx& ctx, std::function<void(const Ctx&)> task) override;
  Result<bool> wait_one(const Ctx& ctx) override;
  void request_stop() override { stop_.request_stop(); }

 private:
  void run(const Ctx& ctx, const std::function<void(const Ctx&)>& task);

  std::stop_source stop_{};
  UniqueFd finished_;           // Counts tasks that have returned.
  std::size_t unreported_ = 0;  // Of the one thread that starts and waits.
  std::vector<std::jthread> threads_{};
};

}  // namespace hawser
