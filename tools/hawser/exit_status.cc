#include "tools/hawser/exit_status.h"

namespace hawser::tool {

int exit_status(const Error& error) {
  if (error.code() == Errc::data_at_risk) return kExitDataAtRisk;
  if (error.outcome() == Outcome::unknown) return kExitLeft;
  switch (error.code()) {
    case Errc::invalid_argument:
      // EINVAL from the kernel has the same code, and is no fault of the caller.
      return error.stage() == Stage::input ? kExitUsage : kExitFailed;
    case Errc::permission_denied:
      // A target that exports a unit read-only has nothing to do with who we are.
      return error.stage() == Stage::identify ? kExitFailed : kExitNotPermitted;
    case Errc::deadline_exceeded:
    case Errc::cancelled: return kExitStopped;
    default: return kExitFailed;
  }
}

}  // namespace hawser::tool
