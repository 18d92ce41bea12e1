#include "journal/file_journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/c_ptr.h"
#include "os/file_lock.h"

namespace hawser {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr const char* kLocksFile = "locks";
constexpr std::size_t kIdBytesMax = 64;
constexpr std::size_t kLogsMax = 65536;

Error at_journal(Error error) { return std::move(error).with(Stage::journal); }

Error sys_error(const std::string& doing) {
  const int err = errno;
  return at_journal(Error::from_errno(err, doing));
}

std::string directory_text(const std::string& directory) {
  return "state directory " + directory + (::geteuid() == 0 ? "" : ", not as root");
}

Status check_id(const std::string& id) {
  const bool is_good =
      !id.empty() && id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (is_good) return ok();
  return Error(Errc::invalid_argument, "'" + id + "' is no attachment id").with(Stage::input);
}

Error unsafe(const std::string& path, const std::string& why) {
  return Error(Errc::permission_denied, "state directory " + path + " " + why).with(Stage::journal);
}

Result<std::string> read_all(int file, const std::string& name) {
  std::string text;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t got = ::pread(file, chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read " + name);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kLogBytesMax) {
      return at_journal(Error(Errc::corrupt, name + " is larger than 16 MiB"));
    }
  }
}

std::int64_t wall_time_s() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

// What is in the log, after its torn end was cut off.
Result<std::vector<Record>> read_whole(int file, const std::string& name) {
  HAWSER_TRY_ASSIGN(const std::string text, read_all(file, name));
  std::size_t torn_bytes = 0;
  Result<std::vector<Record>> records = decode_log(text, &torn_bytes);
  if (!records) return std::move(records).error().with(name);
  const auto end = static_cast<off_t>(text.size() - torn_bytes);
  if (torn_bytes != 0 && ::ftruncate(file, end) != 0) return sys_error("truncate " + name);
  return records;
}

class File final : public LogFile {
 public:
  File(std::string name, int directory, UniqueFd file, std::vector<Record> records)
      : name_(std::move(name)),
        directory_(directory),
        file_(std::move(file)),
        records_(std::move(records)) {}

  Status append(Record record, Durability durability) override {
    if (is_broken_) return broken();
    record.seq = records_.size() + 1;
    record.time_s = wall_time_s();
    const std::string line = encode(record);
    if (line.size() > kRecordBytesMax) {
      return at_journal(Error(Errc::exhausted, name_ + ": a record of over 64 KiB"));
    }
    is_broken_ = true;  // Until all of it went well.
    const ssize_t wrote = ::write(file_.get(), line.data(), line.size());
    if (wrote < 0) return sys_error("append to " + name_).with(Outcome::unknown);
    if (static_cast<std::size_t>(wrote) != line.size()) {
      return at_journal(Error(Errc::io, "append to " + name_ + ": the disk is full"))
          .with(Outcome::unknown);
    }
    if (durability == Durability::disk) HAWSER_TRY(sync());
    is_broken_ = false;
    records_.push_back(std::move(record));
    return ok();
  }

  Status mend() override {
    if (!is_broken_) return ok();
    HAWSER_TRY_ASSIGN(records_, read_whole(file_.get(), name_));
    is_broken_ = false;
    return ok();
  }

  const std::vector<Record>& records() const override { return records_; }

  Status take_back(std::size_t count) override {
    if (is_broken_) return broken();
    HAWSER_TRY_ASSIGN(const std::string text, read_all(file_.get(), name_));
    std::size_t end = 0;
    for (std::size_t i = 0; i < count; ++i)
      end = text.find('\n', end) + 1;
    is_broken_ = true;  // Until all of it went well.
    if (::ftruncate(file_.get(), static_cast<off_t>(end)) != 0) {
      return sys_error("truncate " + name_).with(Outcome::unknown);
    }
    HAWSER_TRY(sync());
    is_broken_ = false;
    records_.erase(records_.begin() + static_cast<std::ptrdiff_t>(count), records_.end());
    return ok();
  }

  Status remove() override {
    if (::unlinkat(directory_, name_.c_str(), 0) != 0 && errno != ENOENT) {
      return sys_error("remove " + name_);
    }
    if (::fsync(directory_) != 0) return sys_error("sync the state directory");
    return ok();
  }

 private:
  Error broken() const {
    return at_journal(Error(Errc::io, name_ + ": an earlier write failed, its end is unknown"));
  }

  Status sync() {
    if (::fsync(file_.get()) != 0) return sys_error("sync " + name_).with(Outcome::unknown);
    // The name is as important as the bytes.
    if (::fsync(directory_) != 0) return sys_error("sync the state directory");
    return ok();
  }

  const std::string name_;
  const int directory_;  // The journal's.
  const UniqueFd file_;
  std::vector<Record> records_;
  bool is_broken_ = false;
};

class FileLock final : public NamedLock {
 public:
  explicit FileLock(UniqueFd file) : file_(std::move(file)) {}

 private:
  UniqueFd file_;  // Closing it frees the lock.
};

}  // namespace

Result<std::unique_ptr<FileJournal>> FileJournal::open(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return sys_error("make " + directory_text(directory));
  }
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOTDIR) {
    return unsafe(directory, "is a symbolic link or no directory; give the directory itself");
  }
  if (!fd) return sys_error("open " + directory_text(directory));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return sys_error("stat state directory " + directory);
  if (status.st_uid != ::geteuid()) {
    return unsafe(directory, "belongs to uid " + std::to_string(status.st_uid) +
                                 "; run as that user, or chown it");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return unsafe(directory, "can be written by others; run chmod 0700 on it");
  }
  return std::unique_ptr<FileJournal>(new FileJournal(directory, std::move(fd)));
}

Result<UniqueFd> FileJournal::open_file(const std::string& name, int flags) const {
  UniqueFd file(
      ::openat(directory_.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  if (!file && errno == ELOOP) return unsafe(path_, "has a symbolic link " + name);
  if (!file) return sys_error("open " + path_ + "/" + name);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return sys_error("stat " + path_ + "/" + name);
  const bool is_ours = S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
                       status.st_nlink <= 1 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!is_ours) {
    return unsafe(path_, "has a file " + name + " that is not a plain file of ours alone");
  }
  return file;
}

// Whoever held the log may have removed it while we waited for it.
bool FileJournal::is_current(const std::string& name, int file) const {
  struct stat named {};
  struct stat held {};
  return ::fstatat(directory_.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstat(file, &held) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev;
}

Result<std::unique_ptr<LogFile>> FileJournal::adopt(const std::string& id, UniqueFd file) const {
  const std::string name = id + std::string(kSuffix);
  Result<std::vector<Record>> records = read_whole(file.get(), name);
  if (!records) return std::move(records).error().with(path_);
  return std::unique_ptr<LogFile>(
      std::make_unique<File>(name, directory_.get(), std::move(file), *std::move(records)));
}

Result<std::unique_ptr<LogFile>> FileJournal::open(const Ctx& ctx, const std::string& id) {
  HAWSER_TRY(check_id(id));
  const std::string name = id + std::string(kSuffix);
  for (;;) {
    HAWSER_TRY_ASSIGN(UniqueFd file, open_file(name, O_RDWR | O_APPEND | O_CREAT));
    HAWSER_TRY_ASSIGN(file, lock_file(ctx, std::move(file), 0, 0, "the log of " + id));
    if (is_current(name, file.get())) return adopt(id, std::move(file));
  }
}

Result<std::unique_ptr<LogFile>> FileJournal::try_open(const std::string& id) {
  HAWSER_TRY(check_id(id));
  const std::string name = id + std::string(kSuffix);
  HAWSER_TRY_ASSIGN(UniqueFd file, open_file(name, O_RDWR | O_APPEND));
  HAWSER_TRY(try_lock_file(file.get(), 0, 0, "the log of " + id));
  if (!is_current(name, file.get())) return Error(Errc::not_found, "the log of " + id + " is gone");
  return adopt(id, std::move(file));
}

Result<std::vector<Record>> FileJournal::read(const std::string& id) {
  HAWSER_TRY(check_id(id));
  const std::string name = id + std::string(kSuffix);
  Result<UniqueFd> file = open_file(name, O_RDONLY);
  if (!file && file.error().code() == Errc::not_found) {
    return at_journal(Error(Errc::not_found, id + " is not attached (no log in " + path_ + ")"));
  }
  if (!file) return std::move(file).error();
  // Somebody may take records back and write others while we read.
  for (bool is_second = false;; is_second = true) {
    HAWSER_TRY_ASSIGN(const std::string text, read_all(file->get(), name));
    Result<std::vector<Record>> records = decode_log(text);
    if (records) return records;
    if (is_second) return std::move(records).error().with(path_ + "/" + name);
  }
}

Result<std::vector<std::string>> FileJournal::list() {
  UniqueFd fd(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return sys_error("open state directory " + path_);
  const CPtr<DIR, &::closedir> directory(::fdopendir(fd.get()));
  if (!directory) return sys_error("read state directory " + path_);
  (void)fd.release();  // The DIR owns it now.
  std::vector<std::string> ids;
  for (;;) {
    errno = 0;
    // One DIR, one thread: readdir() is safe here.
    const dirent* entry = ::readdir(directory.get());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (!name.ends_with(kSuffix)) continue;
    std::string id(name.substr(0, name.size() - kSuffix.size()));
    if (check_id(id)) ids.push_back(std::move(id));
    if (ids.size() > kLogsMax) {
      return at_journal(Error(Errc::exhausted, path_ + " has over 65536 logs"));
    }
  }
  if (errno != 0) return sys_error("read state directory " + path_);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// One byte of one file for each name, found by a hash of 62 bits: nothing is left behind for a
// lock. Two names that meet on a byte wait for each other; that an operation holds both is too
// unlikely to matter.
Result<std::unique_ptr<NamedLock>> FileJournal::lock(const Ctx& ctx, const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits.
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  const auto offset = static_cast<off_t>(hash >> 2);  // Positive, with room for the length.
  HAWSER_TRY_ASSIGN(UniqueFd file, open_file(kLocksFile, O_RDWR | O_CREAT));
  HAWSER_TRY_ASSIGN(file, lock_file(ctx, std::move(file), offset, 1, "the lock of " + name));
  return std::unique_ptr<NamedLock>(std::make_unique<FileLock>(std::move(file)));
}

}  // namespace hawser
