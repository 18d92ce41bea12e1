// Kills a hawser with SIGKILL right before or right after the N-th change of its transaction log: a
// record that is written, or the file that is removed. It is loaded into the command as it ships,
// which knows nothing of it:
//
//   LD_PRELOAD=libcrash_at_record.so HAWSER_CRASH=before:7 hawser attach ...
//
// With "stop:7" it is stopped after the change, and goes on at a SIGCONT. Says on stderr where it
// did so, or, of a process that was not killed, how many changes there were.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kLogSuffix = ".log";

enum class When { never, before, after, stop };

struct Order {
  When when = When::never;
  long number = 0;
};

// Read when it is needed: whoever is preloaded may be called before its constructors.
Order order() {
  const char* text = std::getenv("HAWSER_CRASH");  // NOLINT(concurrency-mt-unsafe)
  if (text == nullptr) return {};
  const std::string_view word(text);
  const std::size_t colon = word.find(':');
  if (colon == word.npos) return {};
  return {.when = word.starts_with("before") ? When::before
                  : word.starts_with("stop") ? When::stop
                                             : When::after,
          .number = std::strtol(text + colon + 1, nullptr, 10)};
}

std::atomic<long> changes{0};

void say(const std::string& text) {
  const std::string line = "crash: " + text + "\n";
  (void)::syscall(SYS_write, STDERR_FILENO, line.data(), line.size());
}

// A log that was removed already has another name there.
bool is_log(int file) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return length > 0 &&
         std::string_view(path.data(), static_cast<std::size_t>(length)).ends_with(kLogSuffix);
}

// "intent session" of a whole line of the log: its fourth and fifth word.
std::string_view name_of(std::string_view record) {
  for (int word = 0; word < 3; ++word)
    record.remove_prefix(std::min(record.size(), record.find(' ') + 1));
  const std::size_t type_end = record.find(' ');
  return record.substr(0, record.find(' ', type_end + 1));
}

template <class Change>
auto change_log(std::string_view what, Change change) {
  const Order order = ::order();
  const bool is_it = order.when != When::never && ++changes == order.number;
  const auto raise_at = [&](When when, int signal, const std::string& text) {
    if (!is_it || order.when != when) return;
    say(text + std::to_string(order.number) + ": " + std::string(what));
    (void)::kill(::getpid(), signal);
  };
  raise_at(When::before, SIGKILL, "before ");
  const auto result = change();
  raise_at(When::after, SIGKILL, "after ");
  raise_at(When::stop, SIGSTOP, "process " + std::to_string(::getpid()) + " stopped after ");
  return result;
}

__attribute__((destructor)) void say_how_many() {
  if (changes > 0) say("none in " + std::to_string(changes));
}

}  // namespace

// In place of the C library's, for everybody in the process.
extern "C" __attribute__((visibility("default"))) ssize_t write(int file, const void* data,
                                                                size_t size) {
  const auto plain = [&] { return ::syscall(SYS_write, file, data, size); };
  if (!is_log(file)) return plain();
  return change_log(name_of({static_cast<const char*>(data), size}), plain);
}

extern "C" __attribute__((visibility("default"))) int unlinkat(int directory, const char* name,
                                                               int flags) {
  const auto plain = [&] {
    return static_cast<int>(::syscall(SYS_unlinkat, directory, name, flags));
  };
  if (!std::string_view(name).ends_with(kLogSuffix)) return plain();
  return change_log("the log is removed", plain);
}
