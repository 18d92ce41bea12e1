// One process that attaches, uses, grows and detaches many volumes at random for as long as it is
// told, as a storage agent would over months. It knows what has to be on each of them. What it
// calls and what it is told of goes to standard error.
//
//   soak --seed N --workers N --portal HOST... --volume TARGET,LUN,LOOP,FILE...
//
// LOOP is the loop device that the target exports, over FILE. Each line on standard input is
// answered with a JSON document: "work SECONDS" with what was called and what was not as it has to
// be, "rest" detaches everything and says what this process holds of memory, descriptors and
// threads.
#include <fcntl.h>
#include <linux/loop.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "hawser/client.h"

#include "base/unique_fd.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

constexpr std::size_t kBlockSize = 4096;
constexpr std::size_t kBlocks = 16;
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kSizeMin = 16 * kMiB;
constexpr std::uint64_t kSizeMax = 32 * kMiB;

const SystemClock kClock;

struct alignas(kBlockSize) Block {
  std::array<char, kBlockSize> bytes{};
  bool operator==(const Block&) const = default;
};

struct Volume {
  std::string target{};
  std::uint16_t lun = 0;
  std::string loop{};
  std::string file{};

  VolumeSpec spec{};
  std::string id{};
  bool is_known = true;  // Else a call failed in its middle, and what became of it has to be asked.
  bool is_attached = false;
  std::string device{};  // Empty while it is attached in name only: somebody took away the map.
  std::string wwid{};    // What the device has to be.
  std::uint64_t size = kSizeMin;
  std::uint64_t generation = 0;
  // What each block was last written with. Empty: never, or it is not known whether that arrived.
  std::array<std::optional<std::uint64_t>, kBlocks> written{};
};

Block content_of(const Volume& volume, std::size_t block, std::uint64_t generation) {
  const std::string word = volume.target + " lun " + std::to_string(volume.lun) + " block " +
                           std::to_string(block) + " generation " + std::to_string(generation) +
                           "\n";
  Block content;
  for (std::size_t i = 0; i < kBlockSize; ++i)
    content.bytes[i] = word[i % word.size()];
  return content;
}

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

void tell(const std::string& text) {
  static std::mutex mutex;
  const std::chrono::duration<double> now = kClock.now().time_since_epoch();
  const std::lock_guard lock(mutex);
  std::cerr << std::fixed << now.count() << ' ' << ::gettid() << ' ' << text << '\n';
}

// What happened since it was taken last. Thread-safe.
class Tally {
 public:
  void count(const std::string& call, std::string_view outcome, std::chrono::nanoseconds late) {
    const std::lock_guard lock(mutex_);
    ++calls_[call][std::string(outcome)];
    late_ = std::max(late_, late);
  }
  void count_blocks(int written, int checked) {
    const std::lock_guard lock(mutex_);
    written_ += written;
    checked_ += checked;
  }
  void problem(std::string text) {
    const std::lock_guard lock(mutex_);
    problems_.push_back(std::move(text));
  }
  Json take() {
    const std::lock_guard lock(mutex_);
    Json document{
        {"calls", std::exchange(calls_, {})},
        {"blocks_written", std::exchange(written_, 0)},
        {"blocks_checked", std::exchange(checked_, 0)},
        {"late_ms",
         std::chrono::duration_cast<std::chrono::milliseconds>(std::exchange(late_, 0ns)).count()},
        {"problems", std::exchange(problems_, {})},
    };
    return document;
  }

 private:
  std::mutex mutex_{};
  std::map<std::string, std::map<std::string, int>> calls_{};
  std::chrono::nanoseconds late_ = 0ns;
  int written_ = 0;
  int checked_ = 0;
  std::vector<std::string> problems_{};
};

// Requests a stop after a while, unless it has gone by then.
class Canceller {
 public:
  explicit Canceller(std::chrono::milliseconds delay)
      : thread_([this, delay](const std::stop_token& gone) {
          std::unique_lock lock(mutex_);
          std::condition_variable_any wake;
          wake.wait_for(lock, gone, delay, [] { return false; });
          if (!gone.stop_requested()) source_.request_stop();
        }) {}
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::mutex mutex_{};
  std::stop_source source_{};
  std::jthread thread_;
};

// Faults of the network and of a daemon end calls with these, and so do we.
bool is_of_a_fault(Errc code) {
  switch (code) {
    case Errc::busy:
    case Errc::unavailable:
    case Errc::deadline_exceeded:
    case Errc::cancelled:
    case Errc::io:
    case Errc::data_at_risk: return true;
    default: return false;
  }
}

// Works on some volumes, which nobody else works on.
class Worker {
 public:
  Worker(Client& client, Tally& tally, std::vector<Volume*> volumes, std::uint32_t seed)
      : client_(client), tally_(tally), volumes_(std::move(volumes)), random_(seed) {}

  void work(TimePoint until) {
    while (kClock.now() < until)
      step(*volumes_[below(volumes_.size())]);
  }

  // With the network, the daemons and the target in order nothing of it may fail for long.
  void rest() {
    can_stop_ = false;
    for (Volume* volume : volumes_) {
      if (!is_detached(*volume)) read_all(*volume);
      for (int n = 0; n < kTries && !is_detached(*volume); ++n) {
        if (!volume->is_known) settle(*volume);
        if (volume->is_known && volume->is_attached) detach(*volume, false);
      }
      if (!is_detached(*volume)) problem(*volume, "is not detached after all");
    }
    can_stop_ = true;
  }

 private:
  static constexpr int kTries = 5;

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  static bool is_detached(const Volume& volume) { return volume.is_known && !volume.is_attached; }

  void problem(const Volume& volume, const std::string& text) {
    tally_.problem(volume.target + " lun " + std::to_string(volume.lun) + " " + text);
  }

  auto call_for(const Volume& volume, const std::string& name, auto&& function) {
    return call(name, volume.target + " lun " + std::to_string(volume.lun), function);
  }

  // A call with a deadline: usually a generous one, sometimes far too short, or it is cancelled.
  auto call(const std::string& name, const std::string& what, auto&& function) {
    const TimePoint start = kClock.now();
    auto budget = std::chrono::milliseconds(60s);
    std::optional<Canceller> canceller;
    if (can_stop_ && one_in(16)) budget = std::chrono::milliseconds(100 + below(3000));
    TimePoint end = start + budget;
    if (can_stop_ && one_in(16)) {
      const auto delay = std::chrono::milliseconds(below(3000));
      canceller.emplace(delay);
      end = std::min(end, start + delay);
    }
    const Ctx ctx{.clock = kClock,
                  .deadline = start + budget,
                  .stop = canceller ? canceller->token() : std::stop_token{}};
    tell(name + " " + what);
    auto result = function(ctx);
    tell(name + " " + what + ": " + (result ? "done" : result.error().message()));
    const auto late = std::max(kClock.now() - end, std::chrono::nanoseconds(0));
    tally_.count(name, result ? "done" : to_string(result.error().code()), late);
    return result;
  }

  void step(Volume& volume) {
    if (!volume.is_known) return settle(volume);
    if (!volume.is_attached) return attach(volume);
    if (volume.device.empty()) return one_in(2) ? attach(volume) : detach(volume, false);
    switch (below(16)) {
      case 0:
      case 1: return join(volume);
      case 2: return resize(volume);
      case 3: return attach(volume);
      case 4: return look_around();
      case 5:
      case 6:
      case 7:
      case 8:
      case 9: return detach(volume, one_in(20));
      default: return write(volume);
    }
  }

  // Whether it stays as it was, or has to be asked for, after an error.
  void take_error(Volume& volume, const std::string& name, const Error& error) {
    if (!is_of_a_fault(error.code())) problem(volume, name + ": " + error.message());
    if (error.data_at_risk()) volume.written = {};
    volume.is_known = false;
  }

  void attach(Volume& volume) {
    AttachOptions options;
    if (one_in(10)) options.multipath = Multipath::required;
    if (!volume.is_attached && one_in(10)) options.multipath = Multipath::off;
    if (one_in(4)) options.min_paths = 4;
    options.login_timeout = std::chrono::seconds(5 + below(10));
    const auto attached = call_for(volume, "attach", [&](const Ctx& ctx) {
      return client_.attach(ctx, volume.spec, options);
    });
    if (!attached) {
      const Error& error = attached.error();
      if (error.code() != Errc::not_found) take_error(volume, "attach", error);  // Else: unmapped.
      volume.is_known = error.outcome() == Outcome::unchanged;
      return;
    }
    if (attached->id != volume.id) problem(volume, "has got the id " + attached->id);
    take_device(volume, *attached);
  }

  void detach(Volume& volume, bool force) {
    if (one_in(2)) write_unsynced(volume);
    const auto detached = call_for(volume, "detach", [&](const Ctx& ctx) {
      return client_.detach(ctx, volume.id, {.force = force});
    });
    if (!detached) return take_error(volume, "detach", detached.error());
    if (!detached->flushed || detached->data_at_risk) volume.written = {};
    volume.is_known = detached->leftovers.empty();
    if (volume.is_known) take_detached(volume);
  }

  void join(Volume& volume) {
    const auto joined =
        call_for(volume, "join", [&](const Ctx& ctx) { return client_.join(ctx, volume.id, {}); });
    if (!joined) return take_error(volume, "join", joined.error());
    check(volume);
  }

  void resize(Volume& volume) {
    if (volume.size < kSizeMax) set_size(volume, volume.size + kMiB);
    const auto resized = call_for(
        volume, "resize", [&](const Ctx& ctx) { return client_.resize(ctx, volume.id, {}); });
    if (!resized) return take_error(volume, "resize", resized.error());
    if (resized->size_bytes != volume.size)
      problem(volume, "has " + std::to_string(resized->size_bytes) + " bytes, and not " +
                          std::to_string(volume.size));
    check(volume);
  }

  void look_around() {
    const auto listed = call("list", "", [&](const Ctx& ctx) { return client_.list(ctx); });
    if (!listed && !is_of_a_fault(listed.error().code()))
      tally_.problem("list: " + listed.error().message());
    const auto seen = call("sessions", "", [&](const Ctx& ctx) { return client_.sessions(ctx); });
    if (!seen && !is_of_a_fault(seen.error().code()))
      tally_.problem("sessions: " + seen.error().message());
    recover();
  }

  // While others attach and detach: what they work on is spared.
  void recover() {
    const auto recovered =
        call("recover", "", [&](const Ctx& ctx) { return client_.recover(ctx); });
    if (!recovered && !is_of_a_fault(recovered.error().code()))
      tally_.problem("recover: " + recovered.error().message());
  }

  void settle(Volume& volume) {
    recover();
    const auto shown =
        call_for(volume, "show", [&](const Ctx& ctx) { return client_.show(ctx, volume.id); });
    if (!shown && shown.error().code() == Errc::not_found) {
      take_detached(volume);
    } else if (!shown) {
      take_error(volume, "show", shown.error());
    } else if (shown->status == "attached" || shown->status == "stale") {
      take_device(volume, *shown);
    }
  }

  void take_device(Volume& volume, const Attachment& attachment) {
    volume.is_known = true;
    volume.is_attached = true;
    volume.device = attachment.path;
    volume.wwid = attachment.wwid;
    check(volume);
  }

  void take_detached(Volume& volume) {
    volume.is_known = true;
    volume.is_attached = false;
    volume.device.clear();
    set_size(volume, kSizeMin);
  }

  void set_size(Volume& volume, std::uint64_t size) {
    if (volume.size == size) return;
    const UniqueFd loop(::open(volume.loop.c_str(), O_RDWR | O_CLOEXEC));
    if (::truncate(volume.file.c_str(), static_cast<off_t>(size)) != 0 || !loop ||
        ::ioctl(loop.get(), LOOP_SET_CAPACITY, 0) != 0) {
      return problem(volume, volume.loop + " cannot be resized: " + std::strerror(errno));
    }
    volume.size = size;
  }

  // Writes some blocks. False, and they may have anything on them, if it failed.
  bool write_blocks(Volume& volume, int fd) {
    const std::uint64_t generation = ++volume.generation;
    const std::size_t first = below(kBlocks);
    const std::size_t end = std::min(kBlocks, first + 1 + below(4));
    bool is_written = true;
    for (std::size_t n = first; n < end; ++n) {
      const Block block = content_of(volume, n, generation);
      const ssize_t wrote =
          ::pwrite(fd, block.bytes.data(), kBlockSize, static_cast<off_t>(n * kBlockSize));
      is_written = is_written && wrote == static_cast<ssize_t>(kBlockSize);
      volume.written[n] = generation;
    }
    if (is_written) tally_.count_blocks(static_cast<int>(end - first), 0);
    return is_written;
  }

  // What nobody has open multipathd may take away, and its number may be another volume's then;
  // what is open stays what it is. Nothing if it cannot be opened: its paths may all be lost.
  static UniqueFd open_device(Volume& volume, int flags) {
    UniqueFd fd(::open(volume.device.c_str(), flags | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) return UniqueFd();
    const std::string sysfs = "/sys/dev/block/" + std::to_string(major(status.st_rdev)) + ':' +
                              std::to_string(minor(status.st_rdev));
    const std::string bare_wwid = volume.wwid.empty() ? "" : "naa." + volume.wwid.substr(1);
    const bool is_it = first_line(sysfs + "/dm/uuid") == "mpath-" + volume.wwid ||
                       first_line(sysfs + "/device/wwid") == bare_wwid;
    if (is_it) return fd;
    tell(volume.device + " is not " + volume.wwid + " any more");
    volume.is_known = false;
    return UniqueFd();
  }

  void write(Volume& volume) {
    const UniqueFd fd = open_device(volume, O_RDWR | (one_in(2) ? O_DIRECT : 0));
    if (!fd) return;
    if (!write_blocks(volume, fd.get()) || ::fsync(fd.get()) != 0) volume.written = {};
    check(volume);
  }

  // What a detach that comes next has to bring to the target, or to say that it cannot.
  void write_unsynced(Volume& volume) {
    const UniqueFd fd = open_device(volume, O_RDWR);
    if (fd && !write_blocks(volume, fd.get())) volume.written = {};
  }

  // With all in order each block that was written can be read, once its paths are back.
  void read_all(Volume& volume) {
    constexpr auto kPathsReturn = 5s;
    for (int n = 0; n < kTries; ++n) {
      if (n > 0) std::this_thread::sleep_for(kPathsReturn);
      if (!volume.is_known) settle(volume);
      if (is_detached(volume)) return;
      if (volume.device.empty()) {
        attach(volume);
      } else if (volume.is_known) {
        join(volume);
      }
      if (volume.is_known && check(volume)) return;
    }
    problem(volume, "cannot be read");
  }

  // False if a block could not be read: its paths may all be lost.
  bool check(Volume& volume) {
    const UniqueFd fd = open_device(volume, O_RDONLY | O_DIRECT);
    if (!fd) return false;
    bool is_read = true;
    int checked = 0;
    for (std::size_t n = 0; n < kBlocks; ++n) {
      if (!volume.written[n]) continue;
      Block block;
      const ssize_t got =
          ::pread(fd.get(), block.bytes.data(), kBlockSize, static_cast<off_t>(n * kBlockSize));
      is_read = got == static_cast<ssize_t>(kBlockSize);
      if (!is_read) break;
      ++checked;
      if (block == content_of(volume, n, *volume.written[n])) continue;
      problem(volume, "block " + std::to_string(n) + " should be of generation " +
                          std::to_string(*volume.written[n]) + ", and is '" +
                          std::string(block.bytes.data(), 80) + "'");
      volume.written[n].reset();
    }
    tally_.count_blocks(0, checked);
    return is_read;
  }

  Client& client_;
  Tally& tally_;
  const std::vector<Volume*> volumes_;
  std::mt19937 random_;
  bool can_stop_ = true;
};

// --- this process
// -----------------------------------------------------------------------------------

std::int64_t status_field(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::stoll(line.substr(name.size() + 1));
  }
  return -1;
}

Json figures() {
  // A thread that the kernel kept ends once its path is back.
  for (int n = 0; n < 600 && status_field("Threads") > 1; ++n)
    std::this_thread::sleep_for(100ms);
  ::malloc_trim(0);
  const auto descriptors = std::filesystem::directory_iterator("/proc/self/fd");
  const struct mallinfo2 heap = ::mallinfo2();
  return {{"heap_kib", (heap.uordblks + heap.hblkhd) / 1024},
          {"rss_kib", status_field("VmRSS")},
          {"fds", std::distance(begin(descriptors), end(descriptors))},
          {"threads", status_field("Threads")}};
}

class Soak {
 public:
  Soak(Client client, std::vector<Volume> volumes, std::size_t workers, std::uint32_t seed)
      : client_(std::move(client)), volumes_(std::move(volumes)), workers_(workers), seed_(seed) {}

  Json work(std::chrono::seconds time) {
    const TimePoint until = kClock.now() + time;
    side_by_side([&](Worker& worker) { worker.work(until); });
    return tally_.take();
  }

  Json rest() {
    side_by_side([](Worker& worker) { worker.rest(); });
    const auto recovered = client_.recover({.clock = kClock, .deadline = kClock.now() + 60s});
    if (!recovered) tally_.problem("recover: " + recovered.error().message());
    if (recovered) {
      for (const RecoverReport::Failure& failure : recovered->failed)
        tally_.problem("recover: " + failure.id + ": " + failure.error.message());
    }
    Json document = tally_.take();
    document["figures"] = figures();
    return document;
  }

 private:
  template <class F>
  void side_by_side(F&& function) {
    std::vector<std::jthread> threads;
    for (std::size_t n = 0; n < workers_; ++n) {
      std::vector<Volume*> own;
      for (std::size_t i = n; i < volumes_.size(); i += workers_)
        own.push_back(&volumes_[i]);
      threads.emplace_back([this, &function, own = std::move(own), seed = seed_++] {
        Worker worker(client_, tally_, own, seed);
        function(worker);
      });
    }
  }

  Client client_;
  Tally tally_{};
  std::vector<Volume> volumes_;
  const std::size_t workers_;
  std::uint32_t seed_;
};

Result<Volume> parse_volume(const std::string& text, const std::vector<std::string>& portals) {
  std::istringstream words(text);
  Volume volume;
  std::string lun;
  std::getline(words, volume.target, ',');
  std::getline(words, lun, ',');
  std::getline(words, volume.loop, ',');
  std::getline(words, volume.file, ',');
  volume.lun = static_cast<std::uint16_t>(std::stoul(lun));
  for (const std::string& text_of_portal : portals) {
    HAWSER_TRY_ASSIGN(Portal portal, parse_portal(text_of_portal));
    volume.spec.paths.push_back(
        {.portal = std::move(portal), .target = volume.target, .lun = volume.lun});
  }
  volume.spec.discovery = false;
  HAWSER_TRY(validate(volume.spec));
  volume.id = attachment_id(volume.spec);
  return volume;
}

int run(int argc, char** argv) {
  std::uint32_t seed = 1;
  std::size_t workers = 4;
  std::vector<std::string> portals;
  std::vector<std::string> words;
  CLI::App app("works on many volumes at random");
  app.add_option("--seed", seed)->required();
  app.add_option("--workers", workers)->required()->check(CLI::PositiveNumber);
  app.add_option("--portal", portals)->required();
  app.add_option("--volume", words)->required();
  CLI11_PARSE(app, argc, argv);

  std::vector<Volume> volumes;
  for (const std::string& word : words) {
    auto volume = parse_volume(word, portals);
    if (!volume) {
      std::cerr << "soak: " << word << ": " << volume.error().message() << '\n';
      return 64;
    }
    volumes.push_back(*std::move(volume));
  }
  auto client =
      Client::open({.on_event = [](const Event& event) { tell(event.portal + ' ' + event.text); }});
  if (!client) {
    std::cerr << "soak: " << client.error().message() << '\n';
    return 1;
  }
  Soak soak(*std::move(client), std::move(volumes), workers, seed);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream asked(line);
    std::string verb;
    int seconds = 0;
    asked >> verb >> seconds;
    std::cout << (verb == "work" ? soak.work(std::chrono::seconds(seconds)) : soak.rest())
              << std::endl;  // Somebody waits for the answer.
  }
  return 0;
}

}  // namespace
}  // namespace hawser

int main(int argc, char** argv) { return hawser::run(argc, argv); }
