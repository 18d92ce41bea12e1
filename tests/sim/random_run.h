// One run of the random walk: a world, operations, faults and whatever others do, all drawn from a
// seed, and what must hold while they are at work and when they are done.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace hawser {

enum class What { attach, detach, force, resize, shrink, join, recover, list, count };

// What was done, over all runs.
struct Tally {
  std::array<unsigned long, static_cast<std::size_t>(What::count)> done{};
  std::array<unsigned long, static_cast<std::size_t>(What::count)> failed{};
  unsigned long killed = 0;

  // A walk that gets nowhere finds nothing.
  bool has_all() const;
  void print() const;
};

// What was not as it must be, if anything. With `is_told`, tells on standard output what happens.
std::optional<std::string> random_run(std::uint64_t seed, bool is_told, Tally& tally);

}  // namespace hawser
