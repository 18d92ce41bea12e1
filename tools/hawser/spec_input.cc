#include "spec_input.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

namespace hawser::cli {
namespace {

Error invalid(const std::string& what, const std::string& why) {
  return Error(Errc::invalid_argument, what + ": " + why).with(Stage::input);
}

// A file descriptor, for as long as this lives.
struct File {
  explicit File(int opened) : fd(opened) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd > STDIN_FILENO) ::close(fd);
  }
  int fd;
};

// One byte more than what is allowed is enough to know.
Result<std::string> read_up_to(int fd, std::size_t bytes_max, const std::string& name) {
  std::string text;
  std::array<char, 65536> chunk{};
  while (text.size() <= bytes_max) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read " + name).with(Stage::input);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return invalid("specification", "is larger than 1 MiB");
}

Error cannot_open(const std::string& path) {
  Error error = Error::from_errno(errno, "open " + path);
  return invalid("--spec or --chap-file", error.message());
}

std::string_view trim(std::string_view text) {
  const std::size_t start = std::min(text.find_first_not_of(" \t\r"), text.size());
  text.remove_prefix(start);
  const std::size_t end = text.find_last_not_of(" \t\r");
  return end == text.npos ? std::string_view() : text.substr(0, end + 1);
}

Status set_chap(Chap& chap, std::string_view name, std::string_view value,
                const std::string& path) {
  if (name == "username") {
    chap.username = value;
  } else if (name == "password") {
    chap.password = Secret(value);
  } else if (name == "username_in") {
    chap.username_in = value;
  } else if (name == "password_in") {
    chap.password_in = Secret(value);
  } else {
    return invalid(path, "no such setting '" + std::string(name) + "'");
  }
  return ok();
}

Result<VolumeSpec> from_document(const std::string& path) {
  const bool is_stdin = path == "-";
  const File file(is_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return cannot_open(path);
  HAWSER_TRY_ASSIGN(std::string text, read_up_to(file.fd, kSpecBytesMax, path));
  Result<VolumeSpec> spec = parse_volume_spec(text);
  ::explicit_bzero(text.data(), text.size());
  return spec;
}

}  // namespace

Result<std::optional<Chap>> read_chap_file(const std::string& path) {
  if (path.empty()) return std::optional<Chap>{};
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return cannot_open(path);
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) return cannot_open(path);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return invalid(path, "can be read by others; run chmod 0600 on it");
  }
  HAWSER_TRY_ASSIGN(std::string text, read_up_to(file.fd, 65536, path));
  Chap chap;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = trim(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == rest.npos ? rest.size() : rest.find('\n') + 1));
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t equals = line.find('=');
    if (equals == line.npos) return invalid(path, "a line without '='");
    HAWSER_TRY(set_chap(chap, trim(line.substr(0, equals)), trim(line.substr(equals + 1)), path));
  }
  ::explicit_bzero(text.data(), text.size());
  return {std::move(chap)};
}

Result<VolumeSpec> read_spec(const SpecOptions& options) {
  const bool has_parts =
      !options.target.empty() || !options.portals.empty() || !options.lun.empty();
  if (!options.file.empty() && has_parts) {
    return invalid("--spec", "cannot be combined with --target, --portal and --lun");
  }
  if (!options.file.empty()) return from_document(options.file);
  if (!has_parts) return invalid("--spec", "missing; or give --target, --portal and --lun");
  if (options.target.empty()) return invalid("--target", "missing");
  if (options.portals.empty()) return invalid("--portal", "missing");

  VolumeSpec spec;
  std::uint16_t lun = 0;
  const char* end = options.lun.data() + options.lun.size();
  const auto [stop, error] = std::from_chars(options.lun.data(), end, lun);
  if (options.lun.empty() || error != std::errc{} || stop != end || lun > kLunMax) {
    return invalid("--lun", "'" + options.lun + "' is no LUN from 0 to 16383");
  }
  for (const std::string& text : options.portals) {
    Result<Portal> portal = parse_portal(text);
    if (!portal) return invalid("--portal", portal.error().message());
    spec.paths.push_back({.portal = *std::move(portal), .target = options.target, .lun = lun});
  }
  HAWSER_TRY_ASSIGN(spec.chap, read_chap_file(options.chap_file));
  HAWSER_TRY(validate(spec));
  return spec;
}

}  // namespace hawser::cli
