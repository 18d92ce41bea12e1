#include "iscsid/node_db.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.h"
#include "os/poll.h"
#include "wire/node_record.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// The lock is a link that somebody made: its going announces itself to nobody. open-iscsi itself
// looks every 10 ms.
constexpr auto kLockInterval = 20ms;

class DbLock {
 public:
  explicit DbLock(std::string path) : path_(std::move(path)) {}
  DbLock(DbLock&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  DbLock& operator=(DbLock&&) = delete;
  ~DbLock() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

 private:
  std::string path_;
};

Status make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return ok();
  return Error::from_errno(errno, "make " + path);
}

Result<DbLock> lock(const Ctx& ctx, const std::string& directory) {
  HAWSER_TRY(make_directory(directory));
  const std::string file = directory + "/lock";
  const std::string link = directory + "/lock.write";
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!fd) return Error::from_errno(errno, "open " + file);
  while (::link(file.c_str(), link.c_str()) != 0) {
    if (errno != EEXIST) return Error::from_errno(errno, "lock " + link);
    const Status waited = pause(ctx, kLockInterval);
    if (waited) continue;
    if (waited.error().code() != Errc::deadline_exceeded) return waited.error();
    return Error(Errc::busy,
                 "open-iscsi's database stayed locked; if no iscsiadm runs, a dead one "
                 "left " +
                     link + " behind: remove it");
  }
  return DbLock(link);
}

Status write_file(const std::string& path, std::string text) {
  const std::string temporary = path + ".hawser";
  ::unlink(temporary.c_str());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return Error::from_errno(errno, "make " + temporary);
  const ssize_t wrote = ::write(fd.get(), text.data(), text.size());
  const bool is_whole = wrote == static_cast<ssize_t>(text.size());
  ::explicit_bzero(text.data(), text.size());  // Secrets.
  if (is_whole && ::fsync(fd.get()) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) {
    return ok();
  }
  const int err = is_whole ? errno : ENOSPC;
  ::unlink(temporary.c_str());
  return Error::from_errno(err, "write " + path);
}

}  // namespace

Result<bool> NodeDb::contains(const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  if (::access((root_ + "/" + path.file).c_str(), F_OK) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return Error::from_errno(errno, "look for " + root_ + "/" + path.file);
}

Status NodeDb::add(const Ctx& ctx, const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  HAWSER_TRY_ASSIGN(const DbLock held, lock(ctx, lock_dir_));
  HAWSER_TRY(make_directory(root_ + "/nodes"));
  HAWSER_TRY(make_directory(root_ + "/" + path.target_dir));
  HAWSER_TRY(make_directory(root_ + "/" + path.portal_dir));
  return write_file(root_ + "/" + path.file, encode_node_record(request));
}

Status NodeDb::remove(const Ctx& ctx, const LoginRequest& request) const {
  HAWSER_TRY_ASSIGN(const NodeRecordPath path, node_record_path(request));
  HAWSER_TRY_ASSIGN(const DbLock held, lock(ctx, lock_dir_));
  if (::unlink((root_ + "/" + path.file).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    return Error::from_errno(errno, "remove " + root_ + "/" + path.file);
  }
  // Those that others still use are not empty, and stay.
  for (const std::string& directory : {path.portal_dir, path.target_dir}) {
    if (::rmdir((root_ + "/" + directory).c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY &&
        errno != EEXIST) {
      return Error::from_errno(errno, "remove " + root_ + "/" + directory);
    }
  }
  return ok();
}

NodeDb system_node_db() {
  const bool is_new = ::access("/var/lib/iscsi/nodes", F_OK) == 0;
  return NodeDb(is_new ? "/var/lib/iscsi" : "/etc/iscsi", "/run/lock/iscsi");
}

}  // namespace hawser
