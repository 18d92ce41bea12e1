#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "journal/journal.h"

namespace hawser {

// Logs as files of a state directory, one `<id>.log` each, and one file `locks` for named locks.
// The format is in docs/journal_format.md.
class FileJournal final : public Journal {
 public:
  // Makes the directory (0700) if it is not there. `owner` is who may own it: us.
  //
  // Errors: permission_denied (a symbolic link, somebody else's, or writable by others; says what
  // to do), io.
  static Result<std::unique_ptr<FileJournal>> open(const std::string& directory);

  Result<std::unique_ptr<LogFile>> open(const Ctx& ctx, const std::string& id) override;
  Result<std::unique_ptr<LogFile>> try_open(const std::string& id) override;
  Result<std::vector<Record>> read(const std::string& id) override;
  Result<std::vector<std::string>> list() override;
  Result<std::unique_ptr<NamedLock>> lock(const Ctx& ctx, const std::string& name) override;

 private:
  explicit FileJournal(std::string path, UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  Result<UniqueFd> open_file(const std::string& name, int flags) const;
  Result<std::unique_ptr<LogFile>> adopt(const std::string& id, UniqueFd file) const;
  bool is_current(const std::string& name, int file) const;

  const std::string path_;
  const UniqueFd directory_;
};

}  // namespace hawser
