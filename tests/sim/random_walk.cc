// A walk without a plan: worlds, operations, faults and whatever others do are drawn from a seed.
//
//   random_walk [--seed N] [--runs N] [--seconds S] [--tell]
//
// Run k has seed N + k. Without a seed the time of day is taken, and said. Ends with status 1 at
// the first run in which something was not as it must be, tells what happened in it, and how to see
// it again.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "sim/random_run.h"

namespace hawser {
namespace {

// So many do everything, and kill something.
constexpr unsigned long kRunsForAll = 500;

std::uint64_t g_seed = 0;  // Of the run under way, for whoever finds it dead.

void print_replay(const char* more) {
  std::printf("to see it again: random_walk --seed %llu --runs 1%s\n",
              static_cast<unsigned long long>(g_seed), more);
  (void)std::fflush(stdout);
}

// An assertion is a finding, too.
void on_abort(int) {
  print_replay(" --tell");
  std::_Exit(1);
}

struct Options {
  std::optional<std::uint64_t> seed{};
  unsigned long runs = 0;  // 0: as long as it may take.
  double seconds = 0;
  bool is_told = false;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--tell") {
      options.is_told = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const char* value = argv[++i];
    if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--runs") {
      options.runs = std::strtoul(value, nullptr, 10);
    } else if (name == "--seconds") {
      options.seconds = std::strtod(value, nullptr);
    } else {
      return std::nullopt;
    }
  }
  if (options.runs == 0 && options.seconds == 0) options.runs = 1000;
  return options;
}

// Tells the run again that went wrong.
int tell_again(const std::string& what) {
  Tally ignored;
  const std::optional<std::string> again = random_run(g_seed, true, ignored);
  std::printf("BROKEN: %s\n", what.c_str());
  if (again != what) std::printf("NOT REPEATED: %s\n", again ? again->c_str() : "all is well");
  print_replay("");
  return 1;
}

int walk(const Options& options) {
  using Steady = std::chrono::steady_clock;
  const std::uint64_t first = options.seed.value_or(static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1)));
  std::printf("seed %llu\n", static_cast<unsigned long long>(first));
  (void)std::fflush(stdout);
  const auto start = Steady::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Steady::now() - start).count(); };
  Tally tally;
  unsigned long runs = 0;
  while ((options.runs == 0 || runs < options.runs) &&
         (options.seconds == 0 || elapsed() < options.seconds)) {
    g_seed = first + runs;
    ++runs;
    const std::optional<std::string> broken = random_run(g_seed, options.is_told, tally);
    if (broken) return tell_again(*broken);
  }
  std::printf("%lu runs, %.0f a second\n", runs, static_cast<double>(runs) / elapsed());
  tally.print();
  if (runs >= kRunsForAll && !tally.has_all()) {
    std::printf("BROKEN: something never worked, or nothing was killed\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace hawser

int main(int argc, char** argv) {
  const std::optional<hawser::Options> options = hawser::parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "usage: random_walk [--seed N] [--runs N] [--seconds S] [--tell]\n");
    return 64;
  }
  (void)std::signal(SIGABRT, hawser::on_abort);
  return hawser::walk(*options);
}
