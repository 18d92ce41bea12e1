#pragma once

#include <cstdint>

#include "sim/choices.h"

namespace hawser {

// Numbers that look random and are a function of the seed (splitmix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // 0 <= result < bound.
  unsigned below(unsigned bound) { return static_cast<unsigned>(next() % bound); }
  bool one_in(unsigned odds) { return below(odds) == 0; }

 private:
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  std::uint64_t state_;
};

// Something special once in a while.
class Dice final : public Fate {
 public:
  Dice(Random& random, unsigned odds) : random_(random), odds_(odds) {}

  unsigned pick(unsigned bound) override {
    return bound > 1 && random_.one_in(odds_) ? 1 + random_.below(bound - 1) : 0;
  }

 private:
  Random& random_;
  const unsigned odds_;
};

}  // namespace hawser
