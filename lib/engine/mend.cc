#include "engine/mend.h"

#include <algorithm>
#include <set>

#include "engine/budget.h"
#include "engine/map_paths.h"
#include "engine/other_logs.h"
#include "engine/path.h"
#include "engine/rivals.h"
#include "engine/sessions.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

bool is_step_of(const SessionEntry& session, const JoinEntry& join) {
  return session.key == join.key && session.number > join.number &&
         session.progress != Progress::ended;
}

bool is_login_pending(const LogState& state, const JoinEntry& join) {
  return std::any_of(state.sessions.begin(), state.sessions.end(), [&](const SessionEntry& s) {
    return s.key == join.key && s.progress == Progress::intended;
  });
}

// Sessions that the path has run through; the join may have found one that was there.
std::set<std::uint32_t> sids_of(const LogState& state, const SessionKey& key) {
  std::set<std::uint32_t> sids;
  for (const SessionEntry& session : state.sessions) {
    if (session.key == key && session.sid) sids.insert(*session.sid);
  }
  return sids;
}

// Waits until nobody uses the disk, and takes away the map that multipathd may have made of it.
// Errors: busy.
Status clear(const Ctx& ctx, Operation& operation, const std::string& uuid,
             const ScsiDevice& device) {
  Host& host = operation.host();
  const std::string own = map_uuid_of(wwid_of(device.identity));
  HAWSER_TRY(check_disks_unused(ctx, operation, [&](const Ctx&) -> Result<Footprint> {
    return Footprint{.devices = {device}, .map_uuids = {uuid, own}};
  }));
  if (own == uuid) return ok();
  HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, own));
  if (!map || !map->has_path(device.dev)) return ok();
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> others, strangers_in(ctx, host, *map, {device}));
  return others.empty() ? host.remove_map_if_closed(ctx, own)
                        : ensure_not_in_map(ctx, host, own, {device});
}

// Undoes one device step of a join, unless the device is in use. True if it is.
Result<bool> settle_device(const Ctx& ctx, Operation& operation, const LogState& state,
                           const DeviceEntry& entry) {
  Host& host = operation.host();
  const std::string uuid = map_uuid_of(state.wwid);
  HAWSER_TRY(finish_scan(ctx, operation, entry));
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, entry.sid));
  for (const ScsiDevice& device : devices) {
    if (device.hctl.lun != entry.lun) continue;
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, uuid));
    const bool is_in_map = map && map->has_path(device.dev);
    if (is_in_map && same_unit(device.identity, state.identity)) return true;
    // multipathd may have put it in without a look at what it is.
    HAWSER_TRY(ensure_not_in_map(ctx, host, uuid, {device}));
    if (entry.existed || entry.is_of_other_unit(device)) continue;
    HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
    if (any_names(others, device)) continue;
    const Status is_free = clear(ctx, operation, uuid, device);
    const bool is_stray = !same_unit(device.identity, state.identity);
    if (is_stray && !is_free && is_free.error().code() == Errc::busy) {
      operation.warn("join.left", device.name + " is another unit, and is left to who uses it: " +
                                      is_free.error().message());
      continue;
    }
    HAWSER_TRY(is_free);
    HAWSER_TRY_ASSIGN(const std::optional<Map> now, host.find_map(ctx, uuid));
    if (now && now->has_path(device.dev) && !is_stray) return true;
    HAWSER_TRY(host.remove_device(ctx, device));
  }
  if (!entry.existed) operation.undone(step::kDevice, entry.number);
  return false;
}

Result<bool> mend_some(const Ctx& ctx, Operation& operation, const LogState& state,
                       bool with_pending) {
  bool is_mended = false;
  HAWSER_TRY_ASSIGN(const std::string boot_id, operation.host().boot_id());
  if (boot_id != state.boot_id) return false;  // There is nothing of it in this kernel.
  for (const ResizeEntry& resize : state.resizes) {
    if (resize.progress != Progress::intended) continue;
    // The map has its old length or its new one, and either is whole; but it may be suspended.
    HAWSER_TRY(operation.host().resume_map(ctx, map_uuid_of(state.wwid)));
    HAWSER_TRY(operation.done(step::kResize, resize.number));
    is_mended = true;
  }
  for (const JoinEntry& join : state.joins) {
    if (join.progress != Progress::intended) continue;
    if (!with_pending && is_login_pending(state, join)) continue;
    const Status alone =
        hold_places(ctx.within(at_most(ctx, kPlacesBudget)), operation, state.paths);
    if (!alone && alone.error().code() == Errc::busy && !with_pending) {
      operation.warn("join.left", "a path that a dead process was joining is left for later: " +
                                      alone.error().message());
      continue;
    }
    HAWSER_TRY(alone);
    HAWSER_TRY(settle_join(ctx, operation, state, join));
    is_mended = true;
  }
  return is_mended;
}

}  // namespace

Result<bool> settle_join(const Ctx& ctx, Operation& operation, const LogState& state,
                         const JoinEntry& join) {
  const std::set<std::uint32_t> sids = sids_of(state, join.key);
  for (const DeviceEntry& entry : state.devices) {
    const bool is_ours =
        entry.number > join.number && entry.progress != Progress::ended && sids.contains(entry.sid);
    if (!is_ours) continue;
    HAWSER_TRY_ASSIGN(const bool is_used, settle_device(ctx, operation, state, entry));
    if (!is_used) continue;
    HAWSER_TRY(operation.done(step::kJoin, join.number));
    return true;
  }
  for (const SessionEntry& session : state.sessions) {
    if (is_step_of(session, join)) HAWSER_TRY(release_session(ctx, operation, session));
  }
  operation.undone(step::kJoin, join.number);
  return false;
}

Status mend(const Ctx& ctx, Operation& operation, const LogState& state) {
  const Result<bool> mended = mend_some(ctx, operation, state, false);
  return mended ? ok() : mended.error();
}

Result<bool> mend_all(const Ctx& ctx, Operation& operation, const LogState& state) {
  return mend_some(ctx, operation, state, true);
}

}  // namespace hawser
