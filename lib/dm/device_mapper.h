#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hawser/ctx.h"

#include "model/map.h"

namespace hawser {

// What removing a map does while somebody has it open.
enum class WhenOpen { refuse, defer };

// Multipath maps through libdevmapper. Thread-safe: one lock for the whole process, since the
// library keeps state for the whole process.
//
// Nothing here waits for udev: libdevmapper's own wait has no time-out, and hangs in another IPC
// namespace. The flags that udev's rules need are sent with each change all the same.
class DeviceMapper {
 public:
  DeviceMapper();

  // Errors: permission_denied, unsupported (no device-mapper, or no multipath target; says what to
  // load).
  Status check_available() const;

  // nullopt if there is no map of this uuid.
  Result<std::optional<Map>> find(const std::string& uuid) const;

  // Maps whose uuid ends with `suffix` and does not start with it: partitions of a map.
  Result<std::vector<Map>> stacked_on(const std::string& suffix) const;

  // Errors: already_exists (name or uuid is taken), busy (a path is claimed by somebody else, or a
  // map of this uuid is closing), io; deadline_exceeded (unknown: a path does not let itself be
  // opened, and the map is there without a table, and cannot be removed until it does).
  // Nothing is left of any other map that could not be completed.
  Status create(const Ctx& ctx, const Map& map) const;

  // Loads a table and switches to it. That opens the paths and waits for I/O in flight, so it runs
  // on a worker; a map is not left suspended, and a table that is loaded too late is dropped.
  // Whoever switches it at the same moment may win, which is no error: look at what is loaded.
  // Errors: deadline_exceeded (unknown), io.
  Status reload(const Ctx& ctx, const Map& map, const MapTable& table) const;

  // As reload(), with another length: what is in flight is flushed, and udev looks at all of it
  // anew.
  Status resize(const Ctx& ctx, const Map& map, const MapTable& table, std::uint64_t sectors) const;

  // Resumes a suspended map with the table that it has.
  Status resume(const Ctx& ctx, const std::string& uuid) const;

  // Errors: busy (it is open), io, deadline_exceeded (unknown: a load is under way, or the handler
  // of its paths). A map that is not there is success; so is one that is left to go when its last
  // opener closes it, which find() shows as closing.
  Status remove(const Ctx& ctx, const std::string& uuid,
                WhenOpen when_open = WhenOpen::refuse) const;

  // Replaces the table by one that fails all I/O, also when that is late. A map that is not there
  // is success. Errors: busy (somebody keeps loading other tables), io, deadline_exceeded.
  Status wipe(const Ctx& ctx, const std::string& uuid) const;

  // To the target of a map. Errors: not_found, invalid_argument (it does not know the message),
  // deadline_exceeded (unknown).
  Status message(const Ctx& ctx, const std::string& uuid, const std::string& text) const;
};

}  // namespace hawser
