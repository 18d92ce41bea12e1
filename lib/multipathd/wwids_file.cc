#include "multipathd/wwids_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "os/file_lock.h"
#include "wire/wwids_text.h"

namespace hawser {
namespace {

constexpr std::size_t kFileBytesMax = 16 * 1024 * 1024;

Status check_wwid(const std::string& wwid) {
  if (is_wwids_entry(wwid)) return ok();
  return Error(Errc::invalid_argument, "'" + wwid + "' cannot be a WWID");
}

Result<UniqueFd> open_locked(const Ctx& ctx, const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Error::from_errno(errno, "open " + path);
  return lock_file(ctx, std::move(fd), 0, 0, path);
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const ssize_t got = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read " + path);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kFileBytesMax) return Error(Errc::exhausted, path + " is over 16 MiB");
  }
}

Status write_at(int fd, std::string_view text, std::size_t offset, const std::string& path) {
  const ssize_t wrote = ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset));
  if (wrote < 0) return Error::from_errno(errno, "write " + path);
  if (static_cast<std::size_t>(wrote) != text.size()) {
    return Error(Errc::io, "write " + path + ": only a part was taken").with(Outcome::unknown);
  }
  return ok();
}

}  // namespace

Result<std::vector<std::string>> WwidsFile::list(const Ctx& ctx) const {
  Result<UniqueFd> fd = open_locked(ctx, path_, O_RDWR);
  if (!fd && fd.error().code() == Errc::not_found) return std::vector<std::string>{};
  if (!fd) return std::move(fd).error();
  HAWSER_TRY_ASSIGN(const std::string text, read_all(fd->get(), path_));
  return parse_wwids(text);
}

Status WwidsFile::add(const Ctx& ctx, const std::string& wwid) const {
  HAWSER_TRY(check_wwid(wwid));
  const std::string directory = path_.substr(0, path_.rfind('/'));
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return Error::from_errno(errno, "make " + directory);
  }
  HAWSER_TRY_ASSIGN(const UniqueFd fd, open_locked(ctx, path_, O_RDWR | O_CREAT));
  HAWSER_TRY_ASSIGN(const std::string text, read_all(fd.get(), path_));
  if (find_wwids_line(text, wwid)) return ok();
  // Nobody else takes dead lines up again, and the file would grow with every attach.
  const std::optional<std::size_t> dead = find_dead_wwids_line(text, wwid.size());
  if (dead) return write_at(fd.get(), "/" + wwid + "/", *dead, path_);
  return write_at(fd.get(), added_wwids_line(text, wwid), text.size(), path_);
}

Status WwidsFile::remove(const Ctx& ctx, const std::string& wwid) const {
  HAWSER_TRY(check_wwid(wwid));
  Result<UniqueFd> fd = open_locked(ctx, path_, O_RDWR);
  if (!fd && fd.error().code() == Errc::not_found) return ok();
  if (!fd) return std::move(fd).error();
  HAWSER_TRY_ASSIGN(const std::string text, read_all(fd->get(), path_));
  const std::optional<std::size_t> at = find_wwids_line(text, wwid);
  if (!at) return ok();
  // At the end of the file the line can go for good, so that nothing is left of it.
  const bool is_last = *at + wwid.size() + 3 == text.size();
  if (!is_last) return write_at(fd->get(), "#", *at, path_);
  const std::size_t end = dead_wwids_lines_before(text, *at);
  if (::ftruncate(fd->get(), static_cast<off_t>(end)) == 0) return ok();
  return Error::from_errno(errno, "truncate " + path_);
}

}  // namespace hawser
