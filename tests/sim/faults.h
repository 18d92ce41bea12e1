#pragma once

#include <utility>

#include "hawser/result.h"

#include "sim/choices.h"

namespace hawser {

// Unwinds the code under test the way a kill -9 would: no clean-up of ours runs.
struct SimCrash {};

// Decides at each call into the world whether it goes wrong, and how.
class Faults {
 public:
  // `is_interrupted`: whether the caller may interrupt as well.
  Faults(Fate& fate, int budget, bool is_interrupted = false)
      : fate_(fate), budget_(budget), is_interrupted_(is_interrupted) {}

  // Of a call that changes something: fails or crashes, before or after it took effect.
  enum Fault : unsigned { no_fault, fail_before, fail_after, crash_before, crash_after, kinds };

  template <class Effect>
  Status change(Effect&& effect) {
    const Fault fault{pick(kinds)};
    if (fault == fail_before) return Error(Errc::io, "injected: not done");
    if (fault == crash_before) crash();
    Status done = effect();
    if (fault == crash_after) crash();
    if (fault != fail_after || !done) return done;
    return Error(Errc::io, "injected: done, but said to have failed").with(Outcome::unknown);
  }

  // A call that only looks: fails, or the process dies there.
  Status look() {
    enum Failure : unsigned { none, fail, dies, failure_kinds };
    const Failure failure{pick(failure_kinds)};
    if (failure == dies) crash();
    if (failure == fail) return Error(Errc::io, "injected: cannot look");
    return ok();
  }

  // What comes between two calls: the caller's stop request, or the deadline.
  enum class Interruption : unsigned { none, cancel, deadline };
  Interruption interrupt() {
    check_alive();
    return is_interrupted_ ? Interruption{pick(3)} : Interruption::none;
  }

  // From now on every call ends as a crash: the process is dead.
  void kill() { is_dead_ = true; }
  bool is_dead() const { return is_dead_; }
  // Of the process, whose task that crashed may not have unwound yet.
  bool has_crashed() const { return has_crashed_; }
  void check_alive() const {
    if (is_dead_) throw SimCrash{};
  }

 private:
  [[noreturn]] void crash() {
    has_crashed_ = true;
    throw SimCrash{};
  }
  unsigned pick(unsigned bound) {
    check_alive();
    if (budget_ == 0) return 0;
    const unsigned fault = fate_.pick(bound);
    if (fault != 0) --budget_;
    return fault;
  }

  Fate& fate_;
  int budget_;
  const bool is_interrupted_;
  bool is_dead_ = false;
  bool has_crashed_ = false;
};

}  // namespace hawser
