#pragma once

#include <chrono>
#include <functional>
#include <optional>

namespace hawser::tool {

// Runs `work` in a child process, which prints what there is to print, and returns its exit status.
// A process with a thread that is stuck in the kernel cannot end; one that waits for it can. The
// child is left behind when it has its status and does not end, or has none after `patience`: then
// the result is nullopt. It dies, as soon as the kernel lets it, with the caller.
//
// SIGINT and SIGTERM reach the child as kForwardedSignal, once each. To be called before any thread
// is started. If no process can be had, the work is done in this one.
std::optional<int> run_in_own_process(std::chrono::nanoseconds patience,
                                      const std::function<int(bool is_child)>& work);

}  // namespace hawser::tool
