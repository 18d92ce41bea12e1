// The transaction logs of a state directory, one file an attachment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hawser/ctx.h"

#include "wire/journal_record.h"

namespace hawser {

enum class Durability {
  process,  // Outlives this process: the page cache has it.
  disk,     // Outlives the machine: fsynced before append() returns.
};

// One log, held exclusively: as long as this object lives, no other process or thread has one for
// the same id. A crash frees it. Not thread-safe.
class LogFile {
 public:
  virtual ~LogFile() = default;

  // Sets seq and time of `record`, and writes it. After a failure the tail is unknown and every
  // further append fails until mend() has found out.
  virtual Status append(Record record, Durability durability) = 0;

  // After a failed append: reads what is there, and cuts off what is torn. records() may have the
  // record that failed then. Does nothing if no append has failed. Errors: corrupt, io.
  virtual Status mend() = 0;

  // What is in the log, in order.
  virtual const std::vector<Record>& records() const = 0;

  // Removes all but the first `count` records, durably. After a failure it is not known what is
  // left, as after that of an append. Errors: io.
  virtual Status take_back(std::size_t count) = 0;

  // Deletes the file. It stays locked until the object goes away.
  virtual Status remove() = 0;
};

// A lock that is freed when the object goes away, or the process dies.
class NamedLock {
 public:
  virtual ~NamedLock() = default;
};

// A seam: files in production, memory that fails at will in the simulation. Thread-safe.
class Journal {
 public:
  virtual ~Journal() = default;

  // Opens the log, or makes an empty one; waits until nobody else holds it.
  // Errors: busy (held until the deadline), corrupt, permission_denied, io.
  virtual Result<std::unique_ptr<LogFile>> open(const Ctx& ctx, const std::string& id) = 0;

  // Opens an existing log without waiting. Errors: not_found, busy (a live owner), corrupt, io.
  virtual Result<std::unique_ptr<LogFile>> try_open(const std::string& id) = 0;

  // Reads without locking: another process may be appending. Errors: not_found, corrupt, io.
  virtual Result<std::vector<Record>> read(const std::string& id) = 0;

  // Ids of every log, sorted.
  virtual Result<std::vector<std::string>> list() = 0;

  // Mutual exclusion between processes and threads by name ("target iqn.x"), leaving nothing
  // behind. Errors: busy (held until the deadline), io.
  virtual Result<std::unique_ptr<NamedLock>> lock(const Ctx& ctx, const std::string& name) = 0;
};

}  // namespace hawser
