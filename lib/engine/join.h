#pragma once

#include "hawser/client.h"

#include "engine/path.h"

namespace hawser {

// How missing paths are to be brought up.
struct JoinPlan {
  PathPlan path{};
  std::vector<LoggedPath> more{};                    // Paths that the log may not know of yet.
  std::optional<std::chrono::nanoseconds> budget{};  // For logins and scans; empty: the deadline.
};

// Brings the paths of an attached volume that are not in use into its map, each after the check of
// its identity, and reports. A path that cannot be had is as before, and its report says why; so is
// an attachment that is stale or has no map.
//
// Errors: those of the log and of the questions to the host.
Result<Attachment> join_missing(const Ctx& ctx, Operation& operation, const JoinPlan& plan);

// See Client::join().
Result<Attachment> join(const Ctx& ctx, const Environment& environment, const std::string& id,
                        const JoinOptions& options);

}  // namespace hawser
