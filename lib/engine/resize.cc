#include "engine/resize.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "engine/map_paths.h"
#include "engine/mend.h"
#include "engine/recover.h"
#include "engine/report.h"
#include "engine/run_all.h"
#include "engine/take_down.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSectorBytes = 512;

// A path that does not answer for this long is left out.
constexpr auto kPathBudget = 5s;

// Controllers of one array learn of a new size one after the other.
constexpr auto kAgreeBudget = 10s;
constexpr auto kAgreeInterval = 200ms;

constexpr auto kMendBudget = 10s;

// multipathd may reload the map at the same moment.
constexpr int kSwitchTries = 3;

std::string bytes(std::uint64_t sectors) { return std::to_string(sectors * kSectorBytes); }

// One path of the volume: as it was, and what looking at it anew gave.
struct Member {
  ScsiDevice before{};
  Result<ScsiDevice> now = Error(Errc::internal, "not looked at yet");
};

class Resize {
 public:
  Resize(Operation& operation, const LogState& state, const ResizeOptions& options)
      : operation_(operation), state_(state), options_(options) {}

  Result<ResizeReport> run(const Ctx& ctx);

 private:
  Status find_members(const Ctx& ctx);
  Status look_anew(const Ctx& ctx);
  Result<ScsiDevice> look_at(const Ctx& ctx, const ScsiDevice& device) const;
  Result<std::uint64_t> agree(const Ctx& ctx);
  std::set<std::uint64_t> sizes() const;
  Error no_path() const;
  Error disagreement() const;
  Status check_shrink(std::uint64_t sectors) const;
  Status take_out(const Ctx& ctx, std::uint64_t sectors);
  Status switch_map(const Ctx& ctx, std::uint64_t sectors);
  Status load(const Ctx& ctx, const Map& map, std::uint64_t sectors);
  Status offer_refused(const Ctx& ctx);
  bool is_good(const DevT& dev) const;
  std::vector<DevT> left_out(const Map& map) const;
  Status ensure_usable(const Ctx& ctx, const Map& map);
  Result<ResizeReport> describe(const Ctx& ctx, std::uint64_t sectors);

  Host& host() const { return operation_.host(); }

  Operation& operation_;
  const LogState& state_;
  const ResizeOptions& options_;
  const std::string uuid_ = map_uuid_of(state_.wwid);
  std::optional<Map> map_{};
  std::vector<Member> members_{};
  std::uint64_t old_sectors_ = 0;
  bool has_switched_ = false;
};

Result<ResizeReport> Resize::run(const Ctx& ctx) {
  HAWSER_TRY(find_members(ctx));
  HAWSER_TRY_ASSIGN(const std::uint64_t sectors, agree(ctx));
  HAWSER_TRY(check_shrink(sectors));
  const auto take_over = [&]() -> Result<ResizeReport> {
    HAWSER_TRY(take_out(ctx, sectors));
    if (map_ && sectors != old_sectors_) HAWSER_TRY(switch_map(ctx, sectors));
    return describe(ctx, sectors);
  };
  Result<ResizeReport> done = take_over();
  if (done || !has_switched_) return done;
  return std::move(done).error().with(Outcome::unknown);
}

Status Resize::find_members(const Ctx& ctx) {
  HAWSER_TRY_ASSIGN(const Attachment attachment, report(ctx, host(), operation_.id(), state_));
  if (attachment.status != "attached") {
    return Error(Errc::not_found, operation_.id() + " is gone from the kernel: attach it anew");
  }
  HAWSER_TRY_ASSIGN(const Footprint footprint, unit_footprint(ctx, operation_, state_));
  if (attachment.multipath) {
    HAWSER_TRY_ASSIGN(map_, host().find_map(ctx, uuid_));
  }
  for (const ScsiDevice& device : footprint.devices) {
    // Of a volume without a map, one device was handed out.
    if (map_ || "/dev/" + device.name == attachment.path) members_.push_back({.before = device});
  }
  if (members_.empty()) {
    return Error(Errc::unavailable, "no device of the volume is there").with(Stage::scan);
  }
  old_sectors_ = map_ ? map_->sectors : members_.front().before.sectors;
  return ok();
}

Result<ScsiDevice> Resize::look_at(const Ctx& ctx, const ScsiDevice& device) const {
  // Commands to a device whose session is lost would wait for its recovery.
  if (device.state != "running") {
    return Error(Errc::unavailable, device.name + " is " + device.state);
  }
  HAWSER_TRY(host().rescan(ctx, device));
  HAWSER_TRY_ASSIGN(const std::optional<ScsiDevice> now, host().find_device(ctx, device.dev));
  if (!now) return Error(Errc::unavailable, device.name + " is gone");
  // Also if the path is lost since: it must not stay in the map until it is back.
  if (!same_unit(now->identity, state_.identity)) {
    return Error(Errc::identity_mismatch, device.name + " is unit " + wwid_of(now->identity) +
                                              ", but the volume is " + wwid_of(state_.identity))
        .with(Stage::identify);
  }
  // A rescan that got no answer says nothing of it.
  HAWSER_TRY(host().probe(ctx, device));
  return *now;
}

// Every path by itself, side by side: one that is down must not keep the others waiting.
Status Resize::look_anew(const Ctx& ctx) {
  std::vector<std::function<Status(const Ctx&)>> tasks;
  for (Member& member : members_) {
    tasks.emplace_back([this, &member](const Ctx& task_ctx) {
      member.now = look_at(task_ctx.within(kPathBudget), member.before);
      return ok();
    });
  }
  return run_all(ctx, host(), std::move(tasks));
}

std::set<std::uint64_t> Resize::sizes() const {
  std::set<std::uint64_t> sizes;
  for (const Member& member : members_) {
    if (member.now) sizes.insert(member.now->sectors);
  }
  return sizes;
}

Result<std::uint64_t> Resize::agree(const Ctx& ctx) {
  const Ctx agree_ctx = ctx.within(kAgreeBudget);
  for (;;) {
    HAWSER_TRY(look_anew(ctx));
    const std::set<std::uint64_t> seen = sizes();
    if (seen.empty()) return no_path();
    if (seen.size() == 1) return *seen.begin();
    const Status paused = host().pause(agree_ctx, kAgreeInterval);
    if (paused) continue;
    HAWSER_TRY(ctx.check());
    if (paused.error().code() != Errc::deadline_exceeded) return paused.error();
    return disagreement();
  }
}

Error Resize::no_path() const {
  std::vector<Error> errors;
  std::string details;
  bool is_other_unit = true;
  for (const Member& member : members_) {
    const Error& error = member.now.error();
    is_other_unit = is_other_unit && error.code() == Errc::identity_mismatch;
    details += "; " + error.message();
    errors.push_back(error);
  }
  return Error(is_other_unit ? Errc::identity_mismatch : Errc::unavailable,
               "no path answers, the size stays as it is" + details)
      .with(Stage::scan)
      .with_paths(std::move(errors));
}

Error Resize::disagreement() const {
  std::string details;
  for (const Member& member : members_) {
    if (member.now) details += "; " + member.before.name + " has " + bytes(member.now->sectors);
  }
  return Error(Errc::unavailable, "the paths do not agree on a size" + details + " bytes")
      .with(Stage::scan);
}

Status Resize::check_shrink(std::uint64_t sectors) const {
  if (sectors >= old_sectors_ || options_.allow_shrink) return ok();
  const std::string what = map_ ? "the map stays as it is" : "the kernel shows it already";
  return Error(Errc::data_at_risk, "the volume has shrunk from " + bytes(old_sectors_) + " to " +
                                       bytes(sectors) + " bytes: what lies beyond is lost; " + what)
      .with(Stage::scan);
}

// Whatever its size, what leads to another unit must not be written to; and a path that is down and
// was too small is not to be used before it is looked at again. When the size changes it is the
// switch that leaves it out, or it stays with the old size if that fails.
Status Resize::take_out(const Ctx& ctx, std::uint64_t sectors) {
  for (const Member& member : members_) {
    if (!map_ || member.now) continue;
    const bool is_stranger = member.now.error().code() == Errc::identity_mismatch;
    const bool is_small = sectors == old_sectors_ && member.before.sectors < sectors;
    if (is_stranger || is_small) {
      HAWSER_TRY(ensure_not_in_map(ctx, host(), uuid_, {member.before}));
    }
  }
  if (!map_) return ok();
  HAWSER_TRY_ASSIGN(map_, host().find_map(ctx, uuid_));
  if (map_) return ok();
  return Error(Errc::busy, "somebody removed map " + uuid_).with(Stage::map);
}

bool Resize::is_good(const DevT& dev) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const Member& member) { return member.now && member.now->dev == dev; });
}

std::vector<DevT> Resize::left_out(const Map& map) const {
  std::vector<DevT> out;
  for (const MapPathStatus& path : map.paths) {
    if (!is_good(path.dev)) out.push_back(path.dev);
  }
  return out;
}

// What is queued fails when the map is flushed, unless it has a path by which it goes; that a disk
// answers does not say that its path is one. Source: multipath_presuspend() in Linux
// drivers/md/dm-mpath.c.
Status Resize::ensure_usable(const Ctx& ctx, const Map& map) {
  const MapPathStatus* failed = nullptr;
  for (const MapPathStatus& path : map.paths) {
    if (!is_good(path.dev)) continue;
    if (path.is_active) return ok();
    failed = &path;
  }
  if (failed == nullptr) {
    return Error(Errc::unavailable, "no path of map " + uuid_ +
                                        " answers, and none that does is in it: join them first")
        .with(Stage::map);
  }
  return host().reinstate_path(ctx.within(kPathBudget), uuid_, failed->dev);
}

// The kernel takes no table that one of its paths is too small for.
Status Resize::load(const Ctx& ctx, const Map& map, std::uint64_t sectors) {
  HAWSER_TRY(ensure_usable(ctx, map));
  HAWSER_TRY_ASSIGN(const std::uint32_t number,
                    operation_.intent(step::kResize, {{"uuid", uuid_},
                                                      {"old_sectors", std::to_string(map.sectors)},
                                                      {"sectors", std::to_string(sectors)}}));
  operation_.tell(Event::Level::info, "map.resize",
                  "map " + uuid_ + ": " + bytes(map.sectors) + " to " + bytes(sectors) + " bytes");
  Status switched = host().resize_map(ctx, map, without_paths(map.table, left_out(map)), sectors);
  has_switched_ = has_switched_ || switched;
  if (switched) return operation_.done(step::kResize, number);

  Error error = std::move(switched).error().with(Stage::map);
  const Status resumed = host().resume_map(ctx.for_undo(kMendBudget), uuid_);
  if (!resumed) return std::move(error).with(resumed.error().message()).with(Outcome::unknown);
  // One that may still happen is looked at again by whoever comes next.
  if (error.outcome() == Outcome::unchanged) {
    HAWSER_TRY(operation_.failed(step::kResize, number, error));
  }
  return error;
}

Status Resize::switch_map(const Ctx& ctx, std::uint64_t sectors) {
  for (int i = 0; i < kSwitchTries; ++i) {
    HAWSER_TRY(load(ctx, *map_, sectors));
    HAWSER_TRY_ASSIGN(const std::optional<Map> now, host().find_map(ctx, uuid_));
    if (!now) return Error(Errc::busy, "somebody removed map " + uuid_).with(Stage::map);
    if (now->sectors != sectors) {  // Somebody loaded the old length again.
      map_ = now;
      continue;
    }
    const Status told = host().announce_size(ctx, *now);
    if (!told) operation_.tell(Event::Level::info, "map.announce", told.error().message());
    return offer_refused(ctx);
  }
  return Error(Errc::busy, "somebody keeps loading the old size into map " + uuid_)
      .with(Stage::map);
}

// multipathd, when it comes to know of a path that has the new size already, refuses it for its
// map, which it loads without it. It looks at it again when it is told to, and not before.
Status Resize::offer_refused(const Ctx& ctx) {
  HAWSER_TRY_ASSIGN(const std::optional<Map> now, host().find_map(ctx, uuid_));
  for (const Member& member : members_) {
    if (!now || !member.now || now->has_path(member.now->dev)) continue;
    HAWSER_TRY(host().offer_path(ctx, *member.now));
  }
  return ok();
}

Result<ResizeReport> Resize::describe(const Ctx& ctx, std::uint64_t sectors) {
  HAWSER_TRY_ASSIGN(Attachment now, report(ctx, host(), operation_.id(), state_));
  ResizeReport done{.id = operation_.id(),
                    .old_size_bytes = old_sectors_ * kSectorBytes,
                    .size_bytes = sectors * kSectorBytes};
  for (PathReport& path : now.paths) {
    const std::string portal = to_string(path.portal);
    const auto member = std::find_if(members_.begin(), members_.end(), [&](const Member& m) {
      return m.before.name == path.device && m.before.sid == path.sid;
    });
    if (member != members_.end() && !member->now) path.error = member->now.error();
    if (member == members_.end() && map_ && !path.error) {
      path.error = Error(Errc::unavailable, "has no device").with(Stage::scan);
    }
    if (map_ && path.error) {
      operation_.warn(
          "resize.left_out",
          portal + ": left out: " + path.error->message() + "; join the path when it works again",
          portal);
    }
  }
  done.paths = std::move(now.paths);
  done.warnings = operation_.warnings();
  return done;
}

}  // namespace

Result<ResizeReport> resize(const Ctx& ctx, const Environment& environment, const std::string& id,
                            const ResizeOptions& options) {
  const TimePoint start = ctx.clock.now();
  HAWSER_TRY_ASSIGN(const auto operation, open_attached(ctx, environment, id));
  HAWSER_TRY_ASSIGN(LogState state, operation->state());
  HAWSER_TRY(mend(ctx, *operation, state));
  HAWSER_TRY_ASSIGN(state, operation->state());
  HAWSER_TRY_ASSIGN(ResizeReport report, Resize(*operation, state, options).run(ctx));
  report.elapsed = ctx.clock.now() - start;
  return report;
}

}  // namespace hawser
