#pragma once

#include <optional>

#include "engine/operation.h"
#include "engine/sessions.h"

namespace hawser {

// A path whose device is there; not yet compared with the others.
struct Path {
  LoggedPath logged{};
  Session session{};
  ScsiDevice device{};
  bool existed = false;    // The device was there before this attachment.
  std::string doubt{};     // Why a device that existed is not to be trusted; empty if it is.
  bool is_silent = false;  // It did not answer, that is the doubt.
  std::chrono::milliseconds login_time{0};
};

// How paths are to be brought up. Outlives the paths.
struct PathPlan {
  const Chap* chap = nullptr;
  std::chrono::seconds login_timeout{15};
  std::uint32_t login_tries = 1;
  std::uint32_t scan_tries = 1;
  std::chrono::milliseconds scan_interval{1000};
  bool node_record = false;
};

// Errors: invalid_argument.
Status check_login_timeout(std::chrono::seconds timeout);

// A path is brought up in two steps. Each thing that is done is in the log before. What was done
// stays, for undo_attach(). Errors name portal, target and LUN.

// Has a session for the path, and a node record if one is planned.
// Errors: those of login; Outcome::unknown if it is still pending.
Result<Acquired> log_in(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                        const PathPlan& plan);

// Scans exactly one LUN, waits for the disk, and reads a little from it.
// Errors: those of scan.
Result<Path> find_device(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                         const PathPlan& plan, const Acquired& acquired);

// Both.
Result<Path> bring_up(const Ctx& ctx, Operation& operation, const LoggedPath& path,
                      const PathPlan& plan);

// Reads anew what the kernel knows of a device that existed, and sets the doubt.
Status examine(const Ctx& ctx, Host& host, Path& path);

// Deletes the device and scans anew: for one that shows another unit than it should, which is what
// an old device at a reused LUN number does. The new one is this attachment's.
//
// Errors: busy (it was there before, and somebody has a claim on it: it is left alone); those of
// deletion and scan.
Result<Path> bring_up_again(const Ctx& ctx, Operation& operation, Path path);

// Waits for the scan of a device step that was left behind when its path was told to stop, or its
// process died: what it brings could not be taken back before. What is no disk is deleted; in a
// detach a tape only if it has come just now.
// The step is done then, whatever has come.
// Errors: deadline_exceeded, cancelled, io, protocol.
Status finish_scan(const Ctx& ctx, Operation& operation, const DeviceEntry& entry);

// Those of all device steps, side by side.
Status finish_scans(const Ctx& ctx, Operation& operation);

}  // namespace hawser
