// Whoever else shows or uses a unit of the same WWID.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"

namespace hawser {

// The disks in a map that are there and are not among `ours`. Those that have vanished cannot
// belong to anybody any more.
Result<std::vector<ScsiDevice>> strangers_in(const Ctx& ctx, Host& host, const Map& map,
                                             const std::vector<ScsiDevice>& ours);

// Keeps other attaches and joins, and whoever undoes one, away from the units at these paths until
// this operation has ended: what both have found there, neither could take back alone. Who holds
// them waits for nobody who wants them.
//
// Errors: those of Journal::lock().
Status hold_places(const Ctx& ctx, Operation& operation, const std::vector<LoggedPath>& paths);

// Fails if another attachment of this boot has a unit of this WWID. Called after our own WWID is in
// the log, so that of two at the same time at least one sees the other.
//
// Errors: busy (it reaches the unit at one of `paths`, so it is the same), identity_mismatch (it
// does not, so it may be another).
Status check_no_rival(const Ctx& ctx, Operation& operation, const std::string& wwid,
                      const std::vector<LoggedPath>& paths);

// Who has laid hands on a disk that is not, or not only, ours, in words for people: another
// attachment of this boot that has it in its log, whoever claims it. Processes that merely have it
// open are not looked for.
Result<std::optional<std::string>> user_of(const Ctx& ctx, Operation& operation,
                                           const ScsiDevice& device);

}  // namespace hawser
