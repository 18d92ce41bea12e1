#include "scsi/block_users.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <set>

#include "base/c_ptr.h"
#include "base/number.h"
#include "base/unique_fd.h"
#include "os/bounded.h"
#include "wire/proc_text.h"

namespace hawser {
namespace {

constexpr std::size_t kLinesMax = 65536;
constexpr std::size_t kEntriesMax = 1U << 22U;  // More than the kernel gives pids or descriptors.

bool is_one_of(const std::vector<DevT>& devices, const DevT& dev) {
  return std::find(devices.begin(), devices.end(), dev) != devices.end();
}

void add_unique(std::vector<std::string>& list, std::string value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(std::move(value));
}

// Names in a directory that are numbers. One that is gone is empty.
Result<std::vector<std::string>> numbers_in(const std::string& path) {
  std::vector<std::string> names;
  const CPtr<DIR, &::closedir> directory(::opendir(path.c_str()));
  if (!directory && (errno == ENOENT || errno == ESRCH)) return names;
  if (!directory) return Error::from_errno(errno, "look into " + path);
  while (names.size() < kEntriesMax) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (parse_number<std::uint64_t>(name)) names.push_back(std::move(name));
  }
  return names;
}

// What identifies the mount namespace of a process; empty if we may not know.
std::string mount_namespace(const std::string& process) {
  std::array<char, 64> text{};
  const ssize_t length = ::readlink((process + "/ns/mnt").c_str(), text.data(), text.size());
  return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
}

Status add_mounts(const std::string& process, const std::string& where_seen,
                  const std::vector<DevT>& devices, std::vector<std::string>& users) {
  errno = 0;
  std::ifstream mounts(process + "/mountinfo");
  const bool is_exhausted = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
  if (!mounts && is_exhausted) return Error::from_errno(errno, "open " + process + "/mountinfo");
  std::string line;
  for (std::size_t count = 0; std::getline(mounts, line); ++count) {
    if (count == kLinesMax) return Error(Errc::exhausted, "over 65536 mounts");
    const std::optional<Mount> mount = parse_mount(line);
    if (mount && is_one_of(devices, mount->dev)) {
      add_unique(users, "mounted on " + mount->where + where_seen);
    }
  }
  return ok();
}

std::optional<DevT> number_of(const std::string& node) {
  struct stat status {};
  if (::stat(node.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return std::nullopt;
  return DevT{.major = ::major(status.st_rdev), .minor = ::minor(status.st_rdev)};
}

void add_swaps(const std::string& proc, const std::vector<DevT>& devices,
               std::vector<std::string>& users) {
  std::ifstream swaps(proc + "/swaps");
  std::string line;
  while (std::getline(swaps, line)) {
    const std::optional<std::string> node = parse_swap_node(line);
    if (!node) continue;
    const std::optional<DevT> dev = number_of(*node);
    if (dev && is_one_of(devices, *dev)) add_unique(users, "swapped on as " + *node);
  }
}

// Whether a descriptor is open on one of `devices`. The link is followed to the open file itself,
// and nothing is asked of a file system, so that no dead file server can hold us up.
bool is_open_on(const std::string& link, const std::vector<DevT>& devices) {
  struct statx status {};
  constexpr int kFlags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
  if (::statx(AT_FDCWD, link.c_str(), kFlags, STATX_TYPE, &status) != 0) return false;
  return S_ISBLK(status.stx_mode) &&
         is_one_of(devices, {.major = status.stx_rdev_major, .minor = status.stx_rdev_minor});
}

std::string process_name(const std::string& process) {
  std::ifstream file(process + "/comm");
  std::string name;
  return std::getline(file, name) && !name.empty() ? name : "a process";
}

}  // namespace

Result<std::vector<std::string>> mounts_of(const Ctx& ctx, const std::string& proc,
                                           const std::vector<DevT>& devices) {
  std::vector<std::string> users;
  const std::string self = proc + "/self";
  if (::access((self + "/mountinfo").c_str(), R_OK) != 0) {
    return Error::from_errno(errno, "read " + self + "/mountinfo");
  }
  HAWSER_TRY(add_mounts(self, "", devices, users));
  add_swaps(proc, devices, users);
  std::set<std::string> seen{mount_namespace(self), ""};
  HAWSER_TRY_ASSIGN(const std::vector<std::string> pids, numbers_in(proc));
  for (const std::string& pid : pids) {
    HAWSER_TRY(ctx.check());
    const std::string process = proc + "/" + pid;
    if (!seen.insert(mount_namespace(process)).second) continue;
    const std::string whose =
        " in the mount namespace of " + process_name(process) + " (pid " + pid + ")";
    HAWSER_TRY(add_mounts(process, whose, devices, users));
  }
  return users;
}

Result<std::vector<std::string>> openers_of(const Ctx& ctx, const std::string& proc,
                                            const std::vector<DevT>& devices) {
  std::vector<std::string> users;
  HAWSER_TRY_ASSIGN(const std::vector<std::string> pids, numbers_in(proc));
  for (const std::string& pid : pids) {
    HAWSER_TRY(ctx.check());
    const std::string process = proc + "/" + pid;
    HAWSER_TRY_ASSIGN(const std::vector<std::string> numbers, numbers_in(process + "/fd"));
    for (const std::string& number : numbers) {
      std::string link = process;
      link += "/fd/";
      link += number;
      if (!is_open_on(link, devices)) continue;
      users.push_back(process_name(process) + " (pid " + pid + ")");
      break;
    }
  }
  return users;
}

// The kernel asks the file system of the file that it is over, which may be dead; a block device's
// is not. The file's name would say less: a device has as many as somebody gave it.
Result<bool> is_loop_over(const Ctx& ctx, const std::string& loop,
                          const std::vector<DevT>& devices) {
  const auto backing = std::make_shared<std::uint64_t>(0);
  HAWSER_TRY(run_bounded(ctx, "ask " + loop, [loop, backing]() -> Status {
    const UniqueFd fd(::open(loop.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return Error::from_errno(errno, "open " + loop);
    loop_info64 info{};
    if (::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) {
      return Error::from_errno(errno, "ask " + loop);
    }
    *backing = info.lo_rdevice;
    return ok();
  }));
  return is_one_of(devices, {.major = ::major(*backing), .minor = ::minor(*backing)});
}

}  // namespace hawser
