// The part of a detach that must not lose data. It changes nothing but that a failed path which
// answers again is put back to work, and one that leads to another unit taken out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"

namespace hawser {

// What is detached, as the kernel shows it: a map, or bare devices, or both.
struct Subject {
  std::optional<Map> map{};
  std::vector<ScsiDevice> devices{};

  bool is_there() const { return map || !devices.empty(); }
  // What somebody could have open, or have written to: the map, and devices that are in no map.
  std::vector<std::string> nodes() const;
};

Result<Subject> find_subject(const Ctx& ctx, Operation& operation, const LogState& state);

// Waits for openers that pass, such as udev's probes. What becomes of `subject` meanwhile is seen.
// Paths that lead to another unit by now are taken out first. Errors: busy, naming those who stay;
// data_at_risk if all do.
Status check_unused(const Ctx& ctx, Operation& operation, const LogState& state, Subject& subject);

// Proves a path, then opens, fsyncs and closes. While no path answers it tries again, for as long
// as `ctx` lasts; writes that the kernel says are lost stay lost, and are asked for only once. A
// path that is back as another unit is taken out before anything is written. Errors: data_at_risk,
// cancelled; busy or io if such a path cannot be taken out.
Status flush(const Ctx& ctx, Operation& operation, const LogState& state, const Subject& subject);

// Both, and on failure nothing has been changed. Errors: busy, data_at_risk, cancelled, io.
Status make_safe(const Ctx& ctx, Operation& operation, const LogState& state, Subject& subject);

}  // namespace hawser
