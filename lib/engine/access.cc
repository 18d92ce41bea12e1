#include "engine/access.h"

#include <utility>

#include "engine/budget.h"

namespace hawser {
namespace {

// Whoever writes to it now would find himself refused.
Status check_nobody_writes(const Ctx& ctx, Host& host, const std::string& name) {
  const auto cannot = [&name](const std::string& why) {
    return Error(Errc::busy, name + " was there before and cannot be made read-only: " + why);
  };
  HAWSER_TRY_ASSIGN(const std::vector<std::string> holders, host.holders(ctx, name));
  if (!holders.empty()) return cannot(holders.front());
  const Status unused = host.wait_until_unused(ctx.within(kPassingOpener), name);
  HAWSER_TRY(ctx.check());
  return unused ? ok() : Status(cannot(unused.error().message()));
}

// What is there now of what an entry names: the number of a disk may be another's by now.
Result<bool> is_still_there(const Ctx& ctx, Host& host, const ReadOnlyEntry& entry) {
  if (!entry.map_uuid.empty()) {
    HAWSER_TRY_ASSIGN(const std::optional<Map> map, host.find_map(ctx, entry.map_uuid));
    return map && entry.name == "dm-" + std::to_string(map->minor);
  }
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, entry.sid));
  for (const ScsiDevice& device : devices) {
    if (device.name == entry.name && to_string(device.hctl) == entry.hctl) return true;
  }
  return false;
}

// `theirs` says how to find what was there before; what is ours goes anyway, and needs no undo.
Status set_read_only(const Ctx& ctx, Operation& operation, const std::string& name,
                     std::optional<ReadOnlyEntry> theirs) {
  Host& host = operation.host();
  operation.tell(Event::Level::info, "access.read_only", "making " + name + " read-only");
  if (!theirs) return host.set_read_only(ctx, name, true);
  theirs->name = name;
  HAWSER_TRY(check_nobody_writes(ctx, host, name));
  HAWSER_TRY_ASSIGN(const bool is_there, is_still_there(ctx, host, *theirs));
  if (!is_there) return Error(Errc::busy, name + " was replaced before it was made read-only");
  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation.intent(step::kReadOnly, {{"name", name},
                                                       {"uuid", theirs->map_uuid},
                                                       {"sid", std::to_string(theirs->sid)},
                                                       {"hctl", theirs->hctl}}));
  HAWSER_TRY(host.set_read_only(ctx, name, true));
  return operation.done(step::kReadOnly, number);
}

Error did_not_take(const std::string& name) {
  return Error(Errc::io, name + " did not become read-only");
}

}  // namespace

Status make_read_only(const Ctx& ctx, Operation& operation, Path& path) {
  if (path.device.read_only) return ok();
  std::optional<ReadOnlyEntry> theirs;
  if (path.existed) {
    theirs = ReadOnlyEntry{.sid = path.session.sid, .hctl = to_string(path.device.hctl)};
  }
  HAWSER_TRY(set_read_only(ctx, operation, path.device.name, std::move(theirs)));
  HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> now,
                    operation.host().find_device(ctx, path.device.dev));
  if (!now || !now->read_only) return did_not_take(path.device.name);
  path.device = *std::move(now);
  return ok();
}

Status settle_map_access(const Ctx& ctx, Operation& operation, const std::string& uuid,
                         bool is_ours, bool is_read_only) {
  Host& host = operation.host();
  HAWSER_TRY_ASSIGN(std::optional<Map> map, host.find_map(ctx, uuid));
  if (!map) return Error(Errc::busy, "somebody removed it while it was being built");
  const std::string name = "dm-" + std::to_string(map->minor);
  if (!is_read_only) {
    if (!map->is_read_only) return ok();
    return Error(Errc::permission_denied, name + " is read-only, but access_mode is rw")
        .with(Stage::identify);
  }
  // Also if its table is read-only: the next one that multipathd loads is not.
  std::optional<ReadOnlyEntry> theirs;
  if (!is_ours) theirs = ReadOnlyEntry{.map_uuid = uuid};
  if (is_ours || !map->is_read_only) {
    HAWSER_TRY(set_read_only(ctx, operation, name, std::move(theirs)));
  }
  HAWSER_TRY_ASSIGN(map, host.find_map(ctx, uuid));
  if (!map || !map->is_read_only) return did_not_take(name);
  return ok();
}

Status undo_read_only(const Ctx& ctx, Operation& operation, const LogState& state) {
  for (const ReadOnlyEntry& entry : state.read_only_devices) {
    if (entry.progress == Progress::ended) continue;
    HAWSER_TRY_ASSIGN(const bool is_there, is_still_there(ctx, operation.host(), entry));
    if (is_there) HAWSER_TRY(operation.host().set_read_only(ctx, entry.name, false));
    operation.undone(step::kReadOnly, entry.number);
  }
  return ok();
}

}  // namespace hawser
