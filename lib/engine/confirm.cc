#include "engine/confirm.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/mutex.h"
#include "engine/map_paths.h"
#include "engine/other_logs.h"
#include "engine/run_all.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// A path that takes longer to say what it is, is taken to be lost for now.
constexpr auto kConfirmBudget = 3s;

struct Confirmed {
  std::vector<ScsiDevice> changed{};  // Another unit now than the log says.
  std::vector<ScsiDevice> good{};     // These have answered, and are what was attached.
};

struct Confirming {
  Mutex mutex{};
  Confirmed confirmed HAWSER_GUARDED_BY(mutex){};
};

void confirm_one(const Ctx& ctx, Host& host, const Identity& expected, const ScsiDevice& device,
                 Confirming& confirming) {
  Result<std::optional<ScsiDevice>> now = std::optional(device);
  // One that was lost when the caller looked may be back.
  if (device.state != "running") now = host.find_device(ctx, device.dev);
  if (!now || !*now) return;
  const bool answers = (*now)->state == "running" && host.rescan(ctx, **now);
  now = host.find_device(ctx, device.dev);
  if (!now || !*now || (*now)->identity.empty()) return;
  const bool is_right = same_unit((*now)->identity, expected);
  // One that takes no reads was not asked to.
  const bool is_good = is_right && answers && (*now)->takes_reads() && (*now)->sectors > 0;
  const MutexLock lock(confirming.mutex);
  if (!is_right) confirming.confirmed.changed.push_back(**now);
  if (is_good) confirming.confirmed.good.push_back(**now);
}

// Has the kernel read anew what the devices say they are, side by side. A path that does not answer
// is what it was known as: nothing gets through it, until it is back.
Result<Confirmed> confirm(const Ctx& ctx, Operation& operation, const LogState& state,
                          const std::vector<ScsiDevice>& devices) {
  if (state.identity.empty()) return Confirmed{};
  Confirming confirming;
  std::vector<std::function<Status(const Ctx&)>> tasks;
  for (const ScsiDevice& device : devices) {
    tasks.emplace_back([&operation, &state, &confirming, device](const Ctx& task_ctx) {
      confirm_one(task_ctx.within(kConfirmBudget), operation.host(), state.identity, device,
                  confirming);
      return ok();
    });
  }
  HAWSER_TRY(run_all(ctx, operation.host(), std::move(tasks)));
  const MutexLock lock(confirming.mutex);
  return confirming.confirmed;
}

std::string name_changed(const std::vector<ScsiDevice>& devices, const LogState& state) {
  std::string text;
  for (const ScsiDevice& device : devices) {
    text += (text.empty() ? "" : ", ") + device.name + " (" + to_string(device.hctl) +
            ") is unit " + wwid_of(device.identity) + " now";
  }
  return text + "; attached was " + state.wwid;
}

bool contains(const std::vector<ScsiDevice>& devices, const DevT& dev) {
  return std::any_of(devices.begin(), devices.end(),
                     [&](const ScsiDevice& device) { return device.dev == dev; });
}

// What a bare volume was handed out as, whichever unit that is by now.
Result<std::vector<ScsiDevice>> bare_disk(const Ctx& ctx, Operation& operation,
                                          const LogState& state) {
  if (!state.bare_sid) return std::vector<ScsiDevice>{};
  HAWSER_TRY_ASSIGN(std::vector<ScsiDevice> devices,
                    operation.host().devices(ctx, *state.bare_sid));
  std::erase_if(devices, [&](const ScsiDevice& device) {
    return std::none_of(state.devices.begin(), state.devices.end(), [&](const DeviceEntry& entry) {
      return entry.progress != Progress::ended && entry.sid == device.sid &&
             entry.lun == device.hctl.lun;
    });
  });
  return devices;
}

// Announces it, so that nobody takes the devices for somebody else's when they are out of the map.
Result<std::vector<std::uint32_t>> announce(Operation& operation,
                                            const std::vector<ScsiDevice>& devices) {
  std::vector<std::uint32_t> numbers;
  for (const ScsiDevice& device : devices) {
    HAWSER_TRY_ASSIGN(const std::uint32_t number,
                      operation.intent(step::kExpel, {{"sid", std::to_string(device.sid)},
                                                      {"hctl", to_string(device.hctl)},
                                                      {"name", device.name}}));
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

Status confirm_attached(const Ctx& ctx, Operation& operation, const LogState& state,
                        const std::string& expected_wwid) {
  if (!expected_wwid.empty() && !matches_wwid(state.identity, expected_wwid)) {
    return Error(Errc::identity_mismatch, "attached is unit " + state.wwid + ", expected " +
                                              expected_wwid + "; detach " + operation.id() +
                                              " first")
        .with(Stage::identify);
  }
  HAWSER_TRY_ASSIGN(const Footprint footprint, unit_footprint(ctx, operation, state));
  std::vector<ScsiDevice> devices = footprint.devices;
  // Once the kernel knows that it is another unit, it is no device of the volume's any more.
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> handed_out, bare_disk(ctx, operation, state));
  for (const ScsiDevice& device : handed_out) {
    if (!contains(devices, device.dev)) devices.push_back(device);
  }
  HAWSER_TRY_ASSIGN(const Confirmed confirmed, confirm(ctx, operation, state, devices));
  if (confirmed.changed.empty()) return ok();
  return Error(Errc::identity_mismatch, name_changed(confirmed.changed, state) + "; detach " +
                                            operation.id() + " before the volume is used again")
      .with(Stage::identify);
}

Status check_bare_disk(const Ctx& ctx, Operation& operation, const LogState& state) {
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, bare_disk(ctx, operation, state));
  HAWSER_TRY_ASSIGN(const Confirmed confirmed, confirm(ctx, operation, state, devices));
  if (confirmed.changed.empty()) return ok();
  return Error(Errc::data_at_risk, name_changed(confirmed.changed, state) +
                                       ", and what was not written yet can go nowhere")
      .with(Stage::identify);
}

Result<PathCheck> expel_changed(const Ctx& ctx, Operation& operation, const LogState& state,
                                const Map& map, const std::vector<ScsiDevice>& devices,
                                bool force) {
  Host& host = operation.host();
  std::vector<ScsiDevice> members;
  for (const ScsiDevice& device : devices) {
    if (map.has_path(device.dev)) members.push_back(device);
  }
  HAWSER_TRY_ASSIGN(Confirmed confirmed, confirm(ctx, operation, state, members));
  const std::vector<ScsiDevice>& changed = confirmed.changed;
  if (changed.empty()) return PathCheck{.good = std::move(confirmed.good)};

  const std::string what = name_changed(changed, state);
  const bool is_usable = std::any_of(map.paths.begin(), map.paths.end(), [&](const auto& path) {
    return !contains(changed, path.dev);
  });
  if (!is_usable && !force) {
    return Error(Errc::data_at_risk, "no path leads to the volume any more: " + what +
                                         "; what was not written yet can go nowhere")
        .with(Stage::identify);
  }
  operation.warn("detach.other_unit", what + ": nothing was written there");
  HAWSER_TRY_ASSIGN(const std::vector<std::uint32_t> numbers, announce(operation, changed));
  if (!is_usable) {
    return Error(Errc::data_at_risk, "no path leads to the volume any more: " + what)
        .with(Stage::identify);
  }
  const auto expel = [&]() -> Status {
    HAWSER_TRY(ensure_not_in_map(ctx, host, map.uuid, changed));
    HAWSER_TRY_ASSIGN(const std::vector<LogState> others, other_attachments(ctx, operation));
    for (std::size_t i = 0; i < changed.size(); ++i) {
      // Somebody else's, which a multipathd that lags took for the disk that had its name before.
      const bool is_ours = state.has_brought(changed[i]) && !any_names(others, changed[i]);
      if (is_ours) HAWSER_TRY(host.remove_device(ctx, changed[i]));
      HAWSER_TRY(operation.done(step::kExpel, numbers[i]));
    }
    return ok();
  };
  Status expelled = expel();
  if (!expelled) return std::move(expelled).error().with(Outcome::unknown);
  return PathCheck{.has_expelled = true, .good = std::move(confirmed.good)};
}

}  // namespace hawser
