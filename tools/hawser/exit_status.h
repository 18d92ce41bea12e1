#pragma once

#include "hawser/error.h"

namespace hawser::tool {

// The exit statuses of the command line's contract.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;      // The host is as it was.
inline constexpr int kExitLeft = 2;        // Something is left; `recover` deals with it.
inline constexpr int kExitDataAtRisk = 3;  // Refused: data could be lost.
inline constexpr int kExitStopped = 4;     // Deadline or cancelled; the host is as it was.
inline constexpr int kExitUsage = 64;
inline constexpr int kExitNotPermitted = 77;

int exit_status(const Error& error);

}  // namespace hawser::tool
