#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/path.h"

namespace hawser {

// What is said of an attach that should have had a map, and has none because of `why`.
std::string bare_device_warning(const std::string& why);

// The logical unit that an attach hands out: which one it is, the paths that were found to lead to
// it, and the map over them. Used by one thread.
class Unit {
 public:
  // `wwids` are those that the list of multipath-tools had before anything was scanned.
  Unit(Operation& operation, const VolumeSpec& spec, Multipath multipath, Identity known,
       std::vector<std::string> wwids)
      : operation_(operation),
        spec_(spec),
        multipath_(multipath),
        known_(std::move(known)),
        wwids_before_(std::move(wwids)) {}

  // Takes a path in, if it shows the unit; the first path says which one that is.
  //
  // Errors: identity_mismatch (this path is refused; others may be good), busy, io. With
  // `is_fatal()` afterwards, no path can succeed.
  Status admit(const Ctx& ctx, Path path);

  // Brings into the map what somebody else's reload may have dropped from it, except for paths that
  // are lost by now if it has others, and sees that it can be written to, or cannot, as was asked
  // for.
  // Errors: busy, io, permission_denied, identity_mismatch; unsupported if multipathd has removed
  // the map because its configuration says so.
  Status settle(const Ctx& ctx);

  // After a map was given up: the paths that a bare device has no use for. The unit loses them.
  std::vector<LoggedPath> drop_spare_paths();

  bool is_fatal() const { return is_fatal_; }
  const std::vector<Path>& paths() const { return paths_; }
  bool has_map() const { return has_map_; }
  std::string map_uuid() const { return map_uuid_of(wwid_); }

 private:
  Status identify(const Ctx& ctx, Path& path);
  Status compare(const Path& path) const;
  Status check_access(const Path& path) const;
  Status learn(const Ctx& ctx, const Path& path);
  Status check_claimed(const Ctx& ctx, const Path& path);
  Status use_bare(const Ctx& ctx, Path& path);
  Error claimed(const Path& path, const Map& map);
  Status keep_bare(const Ctx& ctx, const Path& path);
  Status release(const Ctx& ctx, const Path& path);
  Status remember_wwid(const Ctx& ctx);
  Status forget_wwid(const Ctx& ctx);
  Status refuse_map(const Ctx& ctx, const std::string& why);
  Status check_not_stacked(const Ctx& ctx, const Path& path);
  Status add_to_map(const Ctx& ctx, const Path& path);
  Status check_in_map(const Ctx& ctx, const Path& path);
  Status create_map(const Ctx& ctx, const Path& path);
  Status grow_map(const Ctx& ctx, const Path& path);
  Result<bool> check_members(const Ctx& ctx, const Map& map, const Path& path);
  Status check_stranger(const Ctx& ctx, const ScsiDevice& device, const Path& path);
  Status bring_all_in(const Ctx& ctx);
  Result<std::vector<Error>> bring_in(const Ctx& ctx);
  Result<bool> has_lost(const Ctx& ctx, const Path& path) const;
  Status settle_access(const Ctx& ctx);

  Operation& operation_;
  const VolumeSpec& spec_;
  const Multipath multipath_;
  const Identity known_;  // From an earlier attachment of this volume; may be empty.
  const std::vector<std::string> wwids_before_;
  std::vector<Path> paths_{};
  std::string wwid_{};
  std::optional<std::uint32_t> wwid_step_{};  // Of the log, if the list of WWIDs is ours to undo.
  std::optional<std::uint32_t> map_step_{};
  bool wants_map_ = true;  // False once multipathd refused the unit and a bare device will do.
  bool has_map_ = false;
  bool is_map_ours_ = false;  // We made it, and so did what is said of it.
  bool is_fatal_ = false;
  std::optional<Error> hung_{};  // A load for the map that was left behind.
};

}  // namespace hawser
