// Changes of a map that may wait in the kernel for a path that is lost: to load a table opens the
// paths, to switch to it waits for I/O, a map is removed when no load is under way and the handlers
// of its paths are done, and a message waits for those, too. Each runs on a worker and on a
// descriptor of its own, so it holds up nobody else, and returns by the deadline: deadline_exceeded
// or cancelled, unknown, when it was left behind.
#pragma once

#include <cstdint>
#include <string>

#include "hawser/ctx.h"

namespace hawser {

struct TableChange {
  std::string uuid{};
  std::uint64_t sectors = 0;
  std::string type{};  // Of the one target.
  std::string params{};
  bool is_read_only = false;
  bool flushes = false;        // Else what is in flight is kept, and goes through the new table.
  std::uint32_t event_nr = 0;  // For udev's rules: see libdevmapper's dm_task_set_cookie().
};

// Loads a table and switches to it. Whoever switches the map at the same moment may win, which is
// no error. A map is not left suspended, and a table that is loaded too late is dropped. `doing` is
// a verb. Errors: not_found (no such map), io, busy; unknown if the map is left suspended.
Status change_table(const Ctx& ctx, const std::string& doing, TableChange change);

// Resumes a suspended map with the table that it has; one that is only loaded is dropped.
Status resume_map(const Ctx& ctx, const std::string& uuid, std::uint32_t event_nr);

// `when_closed`: one that is open is left to go when its last opener closes it.
// Errors: busy. A map that is not there is success.
Status remove_map(const Ctx& ctx, const std::string& uuid, bool when_closed,
                  std::uint32_t event_nr);

// Errors: not_found; invalid_argument (the target does not know it).
Status message_map(const Ctx& ctx, const std::string& uuid, const std::string& text);

}  // namespace hawser
