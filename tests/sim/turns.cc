#include "sim/turns.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define HAWSER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAWSER_ASAN 1
#endif
#endif
#ifdef HAWSER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace hawser {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} * 1024;

using Stack = std::unique_ptr<char[]>;

// Stacks are used again: a run is shorter than the time that the kernel takes to make some.
std::vector<Stack>& spare_stacks() {
  static std::vector<Stack> stacks;
  return stacks;
}

Stack take_stack() {
  std::vector<Stack>& spare = spare_stacks();
  if (spare.empty()) return Stack(new char[kStackBytes]);
  Stack stack = std::move(spare.back());
  spare.pop_back();
  return stack;
}

}  // namespace

struct Turns::Fiber {
  ucontext_t context{};
  Stack stack{};
  Job job{};
  int owner = 0;
  bool is_over = false;
  TimePoint until{};  // What it waits for.
  std::function<bool()> awaited{};
#ifdef HAWSER_ASAN
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
#endif
};

Turns::Turns(SimWorld& world, Fate& fate, unsigned switches)
    : world_(world), fate_(fate), switches_(switches), main_(std::make_unique<Fiber>()) {}

Turns::~Turns() {
  HAWSER_ASSERT(fibers_.empty());  // A job that never ends would leak what it holds.
}

int Turns::owner() const { return current_ == nullptr ? 0 : current_->owner; }

void Turns::start(Job job, int owner) {
  auto fiber = std::make_unique<Fiber>();
  fiber->stack = take_stack();
  fiber->job = std::move(job);
  fiber->owner = current_ == nullptr ? owner : current_->owner;
  HAWSER_ASSERT(::getcontext(&fiber->context) == 0);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStackBytes;
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&fiber->context, reinterpret_cast<void (*)()>(&Turns::enter), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
#ifdef HAWSER_ASAN
  fiber->bottom = fiber->stack.get();
  fiber->size = kStackBytes;
#endif
  fibers_.push_back(std::move(fiber));
}

// makecontext() passes integers only.
void Turns::enter(unsigned high, unsigned low) {
  Turns& turns =
      *reinterpret_cast<Turns*>(static_cast<std::uintptr_t>(high) << 32 | std::uintptr_t{low});
#ifdef HAWSER_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &turns.main_->bottom, &turns.main_->size);
#endif
  turns.current_->job();
  turns.current_->is_over = true;
  turns.leave();
}

void Turns::leave() {
  Fiber& fiber = *current_;
#ifdef HAWSER_ASAN
  __sanitizer_start_switch_fiber(fiber.is_over ? nullptr : &fiber.fake_stack, main_->bottom,
                                 main_->size);
#endif
  HAWSER_ASSERT(::swapcontext(&fiber.context, &main_->context) == 0);
#ifdef HAWSER_ASAN
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &main_->bottom, &main_->size);
#endif
}

void Turns::resume(Fiber& fiber) {
  current_ = &fiber;
#ifdef HAWSER_ASAN
  __sanitizer_start_switch_fiber(&main_->fake_stack, fiber.bottom, fiber.size);
#endif
  HAWSER_ASSERT(::swapcontext(&main_->context, &fiber.context) == 0);
#ifdef HAWSER_ASAN
  __sanitizer_finish_switch_fiber(main_->fake_stack, nullptr, nullptr);
#endif
  current_ = nullptr;
}

bool Turns::is_ready(const Fiber& fiber) const {
  return fiber.until <= world_.clock.now() || (fiber.awaited && fiber.awaited());
}

void Turns::run_events() {
  while (!events_.empty() && events_.begin()->first <= world_.clock.now()) {
    const Job event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
  }
}

void Turns::pass_time() {
  TimePoint next = TimePoint::max();
  for (const auto& fiber : fibers_)
    next = std::min(next, fiber->until);
  if (!events_.empty()) next = std::min(next, events_.begin()->first);
  const std::int64_t event_ms = world_.next_event_ms();
  if (event_ms != std::numeric_limits<std::int64_t>::max()) {
    const std::chrono::milliseconds left{event_ms - world_.uptime_ms};
    next = std::min(next, world_.clock.now() + left);
  }
  HAWSER_ASSERT(next != TimePoint::max());  // Everybody waits for somebody else, for ever.
  world_.pass(std::chrono::ceil<std::chrono::milliseconds>(next - world_.clock.now()));
}

void Turns::run() {
  while (!fibers_.empty()) {
    run_events();
    const auto next = std::find_if(fibers_.begin(), fibers_.end(),
                                   [&](const auto& fiber) { return is_ready(*fiber); });
    if (next == fibers_.end()) {
      pass_time();
      continue;
    }
    std::rotate(next, next + 1, fibers_.end());  // In turn.
    Fiber& fiber = *fibers_.back();
    resume(fiber);
    if (!fiber.is_over) continue;
    spare_stacks().push_back(std::move(fiber.stack));
    std::erase_if(fibers_, [&](const auto& one) { return one.get() == &fiber; });
  }
}

void Turns::yield() {
  HAWSER_ASSERT(current_ != nullptr);
  step();
  run_events();
  if (happening_) happening_();
  if (switches_ == 0 || fate_.pick(2) == 0) return;
  --switches_;
  current_->until = world_.clock.now();
  leave();
}

void Turns::wait(TimePoint until, std::function<bool()> is_over) {
  HAWSER_ASSERT(current_ != nullptr);
  current_->until = until;
  current_->awaited = std::move(is_over);
  if (!is_ready(*current_)) leave();
  current_->awaited = {};
}

}  // namespace hawser
