#include "tools/hawser/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace hawser::tool {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ > STDERR_FILENO) (void)::close(fd_);  // It was only read.
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

Error invalid(const std::string& message) {
  return Error(Errc::invalid_argument, message).with(Stage::input);
}

// A file that is not there, or a directory, is wrong input, whatever its errno means elsewhere.
Error open_error(Error error) {
  const bool is_wrong_file = error.sys_errno() == ENOENT || error.sys_errno() == ENOTDIR ||
                             error.sys_errno() == EISDIR || error.sys_errno() == EINVAL;
  if (is_wrong_file) return invalid(error.message());
  return std::move(error).with(Stage::input);
}

Status wait_readable(const Ctx& ctx, int fd) {
  while (true) {
    HAWSER_TRY(ctx.check());
    // Rounded up, so that the deadline has passed when it times out.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(ctx.left()).count();
    struct pollfd wanted {
      .fd = fd, .events = POLLIN, .revents = 0
    };
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, INT_MAX)));
    if (ready > 0) return ok();
    if (ready < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
  }
}

Status check_private(int fd, const std::string& what) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Error::from_errno(errno, what).with(Stage::input);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return ok();
  return invalid(what + ": group or others may access it and it holds a secret; chmod 600");
}

}  // namespace

InputText::InputText(InputText&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

InputText::~InputText() { ::explicit_bzero(bytes_.data(), bytes_.size()); }

Status InputText::fill_from(const Ctx& ctx, int fd) {
  while (!is_full()) {
    HAWSER_TRY(wait_readable(ctx, fd));
    const ssize_t count = ::read(fd, bytes_.data() + size_, bytes_.size() - size_);
    if (count == 0) break;
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return Error::from_errno(errno, "read");
    size_ += static_cast<std::size_t>(count);
  }
  return ok();
}

Result<InputText> read_input(const Ctx& ctx, const std::string& option, const std::string& path,
                             std::size_t bytes_max, Privacy privacy) {
  const bool is_stdin = path == "-";
  const std::string what = option + ": " + (is_stdin ? "stdin" : path);
  // Without O_NONBLOCK the open of a pipe would wait for its writer, and know no deadline.
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const File file(is_stdin ? STDIN_FILENO : ::open(path.c_str(), flags));
  if (file.fd() < 0) return open_error(Error::from_errno(errno, what));
  if (privacy == Privacy::owner_only && !is_stdin) HAWSER_TRY(check_private(file.fd(), what));

  InputText input(bytes_max + 1);
  Status filled = input.fill_from(ctx, file.fd());
  if (!filled) return open_error(std::move(filled).error().with(what));
  if (input.is_full()) {
    return invalid(what + ": longer than " + std::to_string(bytes_max) + " bytes");
  }
  return input;
}

}  // namespace hawser::tool
