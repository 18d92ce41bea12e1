#include "engine/operation.h"

#include <algorithm>
#include <utility>

namespace hawser {

Operation::Operation(Environment environment, std::string id, std::unique_ptr<LogFile> log)
    : environment_(std::move(environment)), id_(std::move(id)), log_(std::move(log)) {}

Result<std::unique_ptr<Operation>> Operation::start(Environment environment, std::string id,
                                                    std::unique_ptr<LogFile> log) {
  HAWSER_TRY_ASSIGN(const LogState state, replay(log->records()));
  std::unique_ptr<Operation> operation(
      new Operation(std::move(environment), std::move(id), std::move(log)));
  const MutexLock lock(operation->mutex_);
  operation->next_number_ = state.next_number;
  return operation;
}

Result<LogState> Operation::state() const {
  const MutexLock lock(mutex_);
  return replay(log_->records());
}

Result<std::uint32_t> Operation::intent(std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  const std::uint32_t number = next_number_++;
  HAWSER_TRY(append({.type = RecordType::intent,
                     .step = std::string(step),
                     .number = number,
                     .fields = std::move(fields)},
                    Durability::process));
  return number;
}

Status Operation::done(std::string_view step, std::uint32_t number, Fields fields) {
  const MutexLock lock(mutex_);
  return append({.type = RecordType::done,
                 .step = std::string(step),
                 .number = number,
                 .fields = std::move(fields)},
                Durability::process);
}

Status Operation::failed(std::string_view step, std::uint32_t number, const Error& error) {
  const MutexLock lock(mutex_);
  return append({.type = RecordType::failed,
                 .step = std::string(step),
                 .number = number,
                 .fields = {{"error", error.message()}}},
                Durability::process);
}

void Operation::undone(std::string_view step, std::uint32_t number) {
  const Status written = let_go(step, number);
  if (written) return;
  {
    const MutexLock lock(mutex_);
    if (std::exchange(has_told_of_log_, true)) return;
  }
  tell(Event::Level::warning, "log.failed", written.error().message());
}

Status Operation::let_go(std::string_view step, std::uint32_t number) {
  const MutexLock lock(mutex_);
  return append({.type = RecordType::undone, .step = std::string(step), .number = number},
                Durability::process);
}

Status Operation::mark(RecordType type, std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  return append({.type = type, .step = std::string(step), .fields = std::move(fields)},
                Durability::disk);
}

Status Operation::note(std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  return append({.type = RecordType::note, .step = std::string(step), .fields = std::move(fields)},
                Durability::process);
}

Status Operation::forget() {
  const MutexLock lock(mutex_);
  // Also if it failed: then the name may be gone, and a log without one is as good as none.
  is_forgotten_ = true;
  return log_->remove();
}

bool Operation::is_forgotten() const {
  const MutexLock lock(mutex_);
  return is_forgotten_;
}

Status Operation::append(Record record, Durability durability) {
  Status appended = log_->append(std::move(record), durability);
  if (appended) return appended;
  return std::move(appended).error().with(Stage::journal).with("transaction log of " + id_);
}

void Operation::tell(Event::Level level, std::string_view name, std::string text,
                     std::string portal) const {
  if (!environment_.on_event) return;
  const MutexLock lock(event_mutex_);
  environment_.on_event(
      {.level = level, .name = name, .text = std::move(text), .portal = std::move(portal)});
}

void Operation::warn(std::string_view name, std::string text, std::string portal) {
  {
    const MutexLock lock(mutex_);
    const auto said = std::find(warnings_.begin(), warnings_.end(), text);
    if (said != warnings_.end()) return;
    warnings_.push_back(text);
  }
  tell(Event::Level::warning, name, std::move(text), std::move(portal));
}

std::vector<std::string> Operation::warnings() const {
  const MutexLock lock(mutex_);
  return warnings_;
}

}  // namespace hawser
