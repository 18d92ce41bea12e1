// Taking a volume's devices off the host: shared by rollback, detach and recovery.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/operation.h"

namespace hawser {

// Devices of one unit, and the maps that are, or might be, over them.
struct Footprint {
  std::vector<ScsiDevice> devices{};
  std::vector<std::string> map_uuids{};
  std::vector<std::string> shared_map_uuids{};  // These have devices of others, too, and stay.
  std::vector<ScsiDevice> strays{};             // Brought by a scan of ours, but of another unit.
  std::vector<ScsiDevice> spared{};  // Of `devices`, somebody else's: these only leave the map.
  bool has_session = true;  // To a target of the unit: somebody's scan may bring a device again.
};

// What this attachment itself put on the host: devices that it scanned, and maps that hold nothing
// but those. What was there before, or is shared with others, is left out.
Result<Footprint> own_footprint(const Ctx& ctx, Operation& operation, const LogState& state);

// Every device of the unit on the targets of this attachment, recorded or late, and its map. A
// device at a recorded address that shows another unit is left out, with a warning, unless it has
// shown that since this attachment brought it and nobody uses it. So is a map of the same WWID that
// has only devices of others.
//
// Errors: identity_mismatch (the map has devices of this volume and of others).
Result<Footprint> unit_footprint(const Ctx& ctx, Operation& operation, const LogState& state);

// What is there of a volume now. Asked again and again, since things come back.
using Look = std::function<Result<Footprint>(const Ctx&)>;

// A map that is in use cannot be removed, but the kernel deletes a disk under whoever uses it.
// Looks for mounts and for what is stacked on the disks. Errors: busy, naming who.
Status check_not_held(const Ctx& ctx, Operation& operation, const Footprint& footprint);

// The same, and those that no map has claimed are not open either: udev's probes are waited for.
Status check_disks_unused(const Ctx& ctx, Operation& operation, const Look& look);

enum class Removal {
  if_closed,  // A map that is open is refused at once: whoever has it open may have written.
  if_unused,  // It is waited for, and then refused.
  by_force,   // Whoever has it open, or is stuck on it, gets errors; what fails is a warning.
};

// Removes maps, then devices side by side, and looks again until both stay away and multipathd
// shows none of them either. `meanwhile` is called once, when there is nothing to be seen for the
// first time, and uses the time for which that has to last; when it ends the last session, nothing
// can come back and that time is over.
// Errors: busy (a map is open), io, deadline_exceeded; Outcome::unknown once anything was removed.
Status take_down(
    const Ctx& ctx, Operation& operation, const Look& look, Removal removal,
    const std::function<void()>& meanwhile = [] {});

// Names what of this is on the host still.
std::vector<std::string> what_is_left(const Ctx& ctx, Host& host, const Footprint& there);

// Names what of this attachment is on the host still: maps, devices, sessions.
std::vector<std::string> what_is_left(const Ctx& ctx, Operation& operation, const LogState& state);

// Undoes the steps in the log that live on disk: wwids entry, node records.
Status undo_on_disk(const Ctx& ctx, Operation& operation);

// Releases every session of this attachment, side by side. By force not for longer than a minute,
// whatever the deadline.
Status release_sessions(const Ctx& ctx, Operation& operation, const LogState& state,
                        Removal removal);

// All of it, for an attach that did not commit: afterwards the host is as it was. What is left is
// an error, busy, that names it, also by force.
Status undo_attach(const Ctx& ctx, Operation& operation, const LogState& state,
                   Removal removal = Removal::if_unused);

}  // namespace hawser
