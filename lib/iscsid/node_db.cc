#include "iscsid/node_db.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.h"
#include "os/file_lock.h"
#include "os/poll.h"
#include "wire/node_record.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// open-iscsi's lock is a name that somebody made: its going announces itself to nobody. open-iscsi
// looks every 10 ms.
constexpr auto kLockInterval = 20ms;

constexpr const char* kOwnLock = "lock.hawser";
constexpr const char* kIscsiadmLock = "lock.write";

// Where a record is written before it gets its name: beside "nodes", since open-iscsi takes every
// file below it for a record.
constexpr std::string_view kTemporary = "/.hawser-record";

Status make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return ok();
  return Error::from_errno(errno, "make " + path);
}

// Anybody may make a directory in /run/lock, and lead us elsewhere from there.
Status check_ours(const std::string& path, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Error::from_errno(errno, "stat " + path);
  if (status.st_uid == ::geteuid() && (status.st_mode & S_IWOTH) == 0) return ok();
  return Error(Errc::permission_denied, path + " belongs to uid " + std::to_string(status.st_uid) +
                                            " or can be written by everybody; remove it");
}

// Made by us or by iscsiadm, which lets its group write as well.
Result<UniqueFd> open_lock_directory(const std::string& path) {
  HAWSER_TRY(make_directory(path));
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOTDIR) {
    return Error(Errc::permission_denied, path + " is a symbolic link or no directory; remove it");
  }
  if (!fd) return Error::from_errno(errno, "open " + path);
  HAWSER_TRY(check_ours(path, fd.get()));
  return fd;
}

// Holds the database. open-iscsi's protocol is a link(2) to "lock.write", which tells nobody when
// its owner has died. So ours links a file that is locked as well: if we hold the file and the link
// to it stands, then a dead process of ours left the link, and it is ours now.
class DbLock {
 public:
  static Result<DbLock> take(const Ctx& ctx, const std::string& directory) {
    HAWSER_TRY_ASSIGN(UniqueFd opened, open_lock_directory(directory));
    const std::string own = directory + "/" + kOwnLock;
    UniqueFd fd(::openat(opened.get(), kOwnLock,
                         O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd) return Error::from_errno(errno, "open " + own);
    HAWSER_TRY_ASSIGN(UniqueFd held, lock_file(ctx, std::move(fd), 0, 0, own));
    const std::string link = directory + "/" + kIscsiadmLock;
    while (::linkat(opened.get(), kOwnLock, opened.get(), kIscsiadmLock, 0) != 0) {
      if (errno != EEXIST) return Error::from_errno(errno, "make " + link);
      if (is_same_file(held.get(), opened.get())) break;
      HAWSER_TRY(wait_a_little(ctx, link));
    }
    return DbLock(std::move(held), std::move(opened));
  }

  DbLock(DbLock&& other) noexcept
      : file_(std::move(other.file_)), directory_(std::move(other.directory_)) {}
  DbLock& operator=(DbLock&&) = delete;
  DbLock(const DbLock&) = delete;
  DbLock& operator=(const DbLock&) = delete;
  ~DbLock() {
    if (directory_) ::unlinkat(directory_.get(), kIscsiadmLock, 0);
  }

 private:
  DbLock(UniqueFd file, UniqueFd directory)
      : file_(std::move(file)), directory_(std::move(directory)) {}

  static bool is_same_file(int fd, int directory) {
    struct stat ours {};
    struct stat theirs {};
    return ::fstat(fd, &ours) == 0 &&
           ::fstatat(directory, kIscsiadmLock, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
  }

  static Status wait_a_little(const Ctx& ctx, const std::string& link) {
    Status waited = pause(ctx, kLockInterval);
    if (waited || waited.error().code() != Errc::deadline_exceeded) return waited;
    return Error(Errc::busy, "open-iscsi's database stayed locked: " + link +
                                 ": if no iscsiadm runs, a dead one left it: remove it");
  }

  UniqueFd file_;  // Closed, and so unlocked, after the link is gone.
  UniqueFd directory_;
};

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno != EINTR) return Error::from_errno(errno, "write");
    if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fsync(fd) != 0) return Error::from_errno(errno, "fsync");
  return ok();
}

// Never replaces a file that is there.
Status publish(const std::string& temporary, const std::string& path, std::string_view text) {
  ::unlink(temporary.c_str());  // A dead process may have left it.
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return Error::from_errno(errno, "make " + temporary);
  Status written = write_all(fd.get(), text);
  if (written && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    written = Error::from_errno(errno, "make " + path);
  }
  ::unlink(temporary.c_str());
  return written;
}

// Those that others still use are not empty, and stay.
Status remove_if_empty(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) {
    return ok();
  }
  return Error::from_errno(errno, "remove " + directory);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<bool> NodeDb::contains(const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  const std::string file = root_ + "/" + path.file;
  if (exists(file)) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return Error::from_errno(errno, "look for " + file);
}

Status NodeDb::add(const Ctx& ctx, const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  HAWSER_TRY_ASSIGN(const DbLock held, DbLock::take(ctx, lock_dir_));
  HAWSER_TRY_ASSIGN(std::string text, encode_node_record(request));
  const std::string target_dir = root_ + "/" + path.target_dir;
  const std::string portal_dir = root_ + "/" + path.portal_dir;
  Status made = make_directory(root_ + "/nodes");
  if (made) made = make_directory(target_dir);
  if (made) made = make_directory(portal_dir);
  if (made) made = publish(root_ + std::string(kTemporary), root_ + "/" + path.file, text);
  ::explicit_bzero(text.data(), text.size());
  if (made) return ok();
  (void)remove_if_empty(portal_dir);  // The first error is the one to report.
  (void)remove_if_empty(target_dir);
  return std::move(made).error().with("add a node record");
}

Status NodeDb::remove(const Ctx& ctx, const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  HAWSER_TRY_ASSIGN(const DbLock held, DbLock::take(ctx, lock_dir_));
  ::unlink((root_ + std::string(kTemporary)).c_str());  // A dead process may have left it.
  const std::string file = root_ + "/" + path.file;
  if (::unlink(file.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    return Error::from_errno(errno, "remove node record " + file);
  }
  HAWSER_TRY(remove_if_empty(root_ + "/" + path.portal_dir));
  return remove_if_empty(root_ + "/" + path.target_dir);
}

NodeDb system_node_db(const std::string& prefix) {
  const std::string newer = prefix + "/var/lib/iscsi";
  const std::string older = prefix + "/etc/iscsi";
  // /etc/iscsi is there with any release, for its configuration.
  const bool is_older = exists(older + "/nodes") || !exists(newer);
  const bool is_newer = exists(newer + "/nodes") || !is_older;
  return NodeDb(is_newer ? newer : older, prefix + "/run/lock/iscsi");
}

}  // namespace hawser
