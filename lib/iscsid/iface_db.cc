#include "iscsid/iface_db.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.h"
#include "wire/iface_record.h"

namespace hawser {
namespace {

Result<std::string> read_record(const std::string& path) {
  // Whatever lies there, the open must not wait for it.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return Error::from_errno(errno, "read " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return Error::from_errno(errno, "read " + path);
  if (!S_ISREG(status.st_mode)) return Error(Errc::invalid_argument, path + " is no file");

  std::string text(kIfaceRecordBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read " + path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

// A name that leads out of the directory, or could not be a file's.
bool is_component(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](char c) { return c == '/' || c == '\0'; });
}

}  // namespace

Result<IfaceBinding> find_iface(const std::string& root, const std::string& other_root,
                                const std::string& name) {
  if (name == "default") return IfaceBinding{};
  if (!is_component(name)) {
    return Error(Errc::invalid_argument, "'" + name + "' is no iface name").with(Stage::preflight);
  }
  for (const std::string& directory : {root, other_root}) {
    const Result<std::string> text = read_record(directory + "/ifaces/" + name);
    if (text) return parse_iface_record(*text, name);
    if (text.error().code() == Errc::not_found) continue;
    return Error(text.error()).with("iface '" + name + "'").with(Stage::preflight);
  }
  if (name == "iser") return IfaceBinding{.transport = "iser"};
  return Error(Errc::not_found, "iface '" + name + "': there is no " + root + "/ifaces/" + name +
                                    "; make it with iscsiadm -m iface")
      .with(Stage::preflight);
}

}  // namespace hawser
