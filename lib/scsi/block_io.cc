#include "scsi/block_io.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "os/bounded.h"

namespace hawser {
namespace {

constexpr std::size_t kProbeBytes = 4096;  // A multiple of every logical block size in use.

Result<UniqueFd> open_device(const std::string& node, const DevT& dev, int flags) {
  UniqueFd fd(::open(node.c_str(), flags | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "open " + node);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return Error::from_errno(errno, "stat " + node);
  const bool is_right = S_ISBLK(status.st_mode) && ::major(status.st_rdev) == dev.major &&
                        ::minor(status.st_rdev) == dev.minor;
  if (!is_right) {
    return Error(Errc::identity_mismatch, node + " is not device " + to_string(dev));
  }
  return fd;
}

Status sync_and_close(const std::string& node, const DevT& dev) {
  // For reading, which is enough to fsync: the close of a writer would have udev probe the device
  // again, and whoever removes it next would wait for that.
  HAWSER_TRY_ASSIGN(UniqueFd fd, open_device(node, dev, O_RDONLY));
  if (::fsync(fd.get()) != 0) {
    return Error(Errc::data_at_risk,
                 Error::from_errno(errno, "writes were lost: fsync " + node).message());
  }
  if (::close(fd.release()) != 0) return Error::from_errno(errno, "close " + node);
  return ok();
}

}  // namespace

Status read_first_block(const std::string& node, const DevT& dev) {
  HAWSER_TRY_ASSIGN(const UniqueFd fd, open_device(node, dev, O_RDONLY | O_DIRECT));
  const std::unique_ptr<void, decltype(&std::free)> block(
      std::aligned_alloc(kProbeBytes, kProbeBytes), &std::free);
  if (!block) return Error(Errc::exhausted, "out of memory");
  const ssize_t got = ::pread(fd.get(), block.get(), kProbeBytes, 0);
  if (got < 0) return Error::from_errno(errno, "read " + node);
  if (got == 0) return Error(Errc::io, "read " + node + ": it has no data");
  return ok();
}

Status probe_read(const Ctx& ctx, const std::string& node, const DevT& dev) {
  return run_bounded(ctx, "read " + node, [node, dev] { return read_first_block(node, dev); });
}

Status flush_device(const Ctx& ctx, const std::string& node, const DevT& dev) {
  return run_bounded(ctx, "flush " + node, [node, dev] { return sync_and_close(node, dev); });
}

Status set_read_only(const Ctx& ctx, const std::string& node, const DevT& dev, bool is_read_only) {
  const std::string doing = "make " + node + (is_read_only ? " read-only" : " writable");
  return run_bounded(ctx, doing, [node, dev, is_read_only, doing]() -> Status {
    HAWSER_TRY_ASSIGN(const UniqueFd fd, open_device(node, dev, O_RDONLY | O_NONBLOCK));
    const int wanted = is_read_only ? 1 : 0;
    if (::ioctl(fd.get(), BLKROSET, &wanted) == 0) return ok();
    return Error::from_errno(errno, doing);
  });
}

Status try_exclusive(const Ctx& ctx, const std::string& node, const DevT& dev) {
  return run_bounded(ctx, "open " + node, [node, dev]() -> Status {
    HAWSER_TRY(open_device(node, dev, O_RDONLY | O_EXCL));
    return ok();
  });
}

}  // namespace hawser
