#include "os/file_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "os/bounded.h"

namespace hawser {
namespace {

struct flock write_lock(off_t start, off_t bytes) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = bytes;
  return lock;
}

}  // namespace

Status try_lock_file(int file, off_t start, off_t bytes, const std::string& what) {
  struct flock lock = write_lock(start, bytes);
  if (::fcntl(file, F_OFD_SETLK, &lock) == 0) return ok();
  if (errno == EAGAIN || errno == EACCES) {
    return Error(Errc::busy, what + " is held by somebody else");
  }
  return Error::from_errno(errno, "lock " + what);
}

Result<UniqueFd> lock_file(const Ctx& ctx, UniqueFd file, off_t start, off_t bytes,
                           const std::string& what) {
  const Status at_once = try_lock_file(file.get(), start, bytes, what);
  if (at_once) return file;
  if (at_once.error().code() != Errc::busy) return at_once.error();

  // The worker owns the file as well: were it left behind, it would close it when the lock comes.
  const auto shared = std::make_shared<UniqueFd>(std::move(file));
  const Status waited =
      run_bounded(ctx, "wait for " + what, [shared, start, bytes, what]() -> Status {
        struct flock lock = write_lock(start, bytes);
        while (::fcntl(shared->get(), F_OFD_SETLKW, &lock) != 0) {
          if (errno != EINTR) return Error::from_errno(errno, "lock " + what);
        }
        return ok();
      });
  if (waited) return std::move(*shared);
  // A lock that comes yet is freed at once.
  if (waited.error().code() != Errc::deadline_exceeded) {
    return Error(waited.error()).with(Outcome::unchanged);
  }
  return Error(Errc::busy, what + " was held by somebody else until the deadline");
}

}  // namespace hawser
