// dm-multipath maps: what is loaded and what the kernel says of it.
// Source: Linux Documentation/admin-guide/device-mapper/, drivers/md/dm-mpath.c.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/scsi_device.h"

namespace hawser {

inline constexpr std::string_view kMapUuidPrefix = "mpath-";

inline std::string map_uuid_of(const std::string& wwid) {
  return std::string(kMapUuidPrefix) + wwid;
}

// As the kernel and udev's links spell it: libdevmapper turns all but few characters into \xNN.
// Source: libdevmapper 1.02.185, libdm/libdm-common.c, mangle_string().
std::string kernel_uuid(const std::string& uuid);

struct MapTablePath {
  DevT dev{};
  std::vector<std::string> selector_args{};

  bool operator==(const MapTablePath&) const = default;
};

struct MapTableGroup {
  std::string selector = "service-time 0";  // Name, number of group arguments, arguments.
  std::vector<MapTablePath> paths{};

  bool operator==(const MapTableGroup&) const = default;
};

// The parameters of one "multipath" target.
struct MapTable {
  std::vector<std::string> features{};    // Words: {"queue_if_no_path"}, ...
  std::vector<std::string> hw_handler{};  // Words: {"1", "alua"} without the count.
  unsigned initial_group = 1;
  std::vector<MapTableGroup> groups{};

  bool operator==(const MapTable&) const = default;
};

struct MapPathStatus {
  DevT dev{};
  bool is_active = false;  // dm's 'A'; else 'F'.
  std::uint32_t fail_count = 0;

  bool operator==(const MapPathStatus&) const = default;
};

// A map, as device-mapper shows it.
struct Map {
  std::string name{};  // A hint: multipathd renames maps at will.
  std::string uuid{};  // "mpath-<WWID>": the identity.
  std::uint32_t minor = 0;
  std::uint64_t sectors = 0;
  int open_count = 0;
  bool is_suspended = false;
  bool is_read_only = false;
  bool is_closing = false;    // It goes when its last opener closes it.
  std::string target_type{};  // "multipath", or "error" after a wipe; empty: no table.
  MapTable table{};           // Meaningful if target_type is "multipath".
  std::vector<MapPathStatus> paths{};

  bool queues() const;  // queue_if_no_path is on.
  bool has_path(const DevT& dev) const;
  std::string node() const { return "/dev/dm-" + std::to_string(minor); }
};

// A table of one service-time group, without queueing, over `paths`.
MapTable simple_table(const std::vector<DevT>& paths);

// `table` with `dev` added to its first group, in the manner of the paths that are there.
MapTable with_path(MapTable table, const DevT& dev);

// `table` without some paths, and without groups that would be empty.
MapTable without_paths(MapTable table, const std::vector<DevT>& devs);

}  // namespace hawser
