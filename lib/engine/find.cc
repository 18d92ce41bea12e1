#include "engine/find.h"

#include <algorithm>
#include <optional>

namespace hawser {
namespace {

bool names(const VolumeSpec& spec, const LoggedPath& path) {
  return std::any_of(spec.paths.begin(), spec.paths.end(), [&](const PathSpec& wanted) {
    return wanted.target == path.spec.target && wanted.lun == path.spec.lun;
  });
}

// What it leads to and `spec` names as well.
std::optional<std::string> shared_place(const LogState& state, const VolumeSpec& spec) {
  const auto shared = std::find_if(state.paths.begin(), state.paths.end(),
                                   [&](const LoggedPath& path) { return names(spec, path); });
  return shared == state.paths.end() ? std::nullopt : std::optional(place_of(*shared));
}

}  // namespace

Result<std::string> find_attachment(const Ctx& ctx, const Environment& environment,
                                    const VolumeSpec& spec) {
  HAWSER_TRY(validate(spec));
  const std::string wanted = attachment_id(spec);
  HAWSER_TRY_ASSIGN(const std::string boot_id, environment.host.boot_id());
  HAWSER_TRY_ASSIGN(const std::vector<std::string> ids, environment.journal.list());
  std::optional<Error> other;
  for (const std::string& id : ids) {
    HAWSER_TRY(ctx.check());
    // Nobody knows of one that cannot be read; whoever works on it is told why.
    const Result<std::vector<Record>> records = environment.journal.read(id);
    const Result<LogState> state = records ? replay(*records) : records.error();
    if (id == wanted && (!state || state->phase != Phase::idle)) {
      if (state) HAWSER_TRY(check_is_of(id, *state, spec));
      return wanted;
    }
    if (!state || state->phase == Phase::idle || state->boot_id != boot_id) continue;
    const std::optional<std::string> shared = shared_place(*state, spec);
    if (!shared) continue;
    other = Error(Errc::busy, *shared + " is attached as " + id +
                                  ", by other targets than are named now: give this ID instead")
                .with(Stage::preflight);
  }
  if (other) return *std::move(other);
  return wanted;
}

Status check_is_of(const std::string& id, const LogState& state, const VolumeSpec& spec) {
  for (const LoggedPath& path : state.paths) {
    if (names(spec, path)) continue;
    return Error(Errc::identity_mismatch,
                 "the log of " + id + " is that of " + place_of(path) + ", which is not named")
        .with(Stage::preflight);
  }
  return ok();
}

}  // namespace hawser
