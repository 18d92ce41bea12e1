#include "engine/operation.h"

#include <algorithm>
#include <utility>

namespace hawser {
namespace {

// What a step of these changes is there after a crash of the machine as well, when the kernel has
// forgotten all else.
bool is_of_files(const Record& record) {
  return record.type == RecordType::intent &&
         (record.step == step::kNode || record.step == step::kWwid);
}

}  // namespace

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
  if (unwritten_.empty()) return replay(log_->records());
  std::vector<Record> records = log_->records();
  records.insert(records.end(), unwritten_.begin(), unwritten_.end());
  return replay(records);
}

Result<std::uint32_t> Operation::intent(std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  const std::uint32_t number = next_number_++;
  HAWSER_TRY(append_step({.type = RecordType::intent,
                          .step = std::string(step),
                          .number = number,
                          .fields = std::move(fields)},
                         Durability::process));
  return number;
}

Status Operation::done(std::string_view step, std::uint32_t number, Fields fields) {
  const MutexLock lock(mutex_);
  return append_fact({.type = RecordType::done,
                      .step = std::string(step),
                      .number = number,
                      .fields = std::move(fields)});
}

Status Operation::failed(std::string_view step, std::uint32_t number, const Error& error) {
  const MutexLock lock(mutex_);
  return append_fact({.type = RecordType::failed,
                      .step = std::string(step),
                      .number = number,
                      .fields = {{"error", error.message()}}});
}

void Operation::undone(std::string_view step, std::uint32_t number) {
  (void)append_anyway({.type = RecordType::undone, .step = std::string(step), .number = number});
}

std::uint32_t Operation::found(std::string_view step, Fields fields) {
  std::uint32_t number = 0;
  {
    const MutexLock lock(mutex_);
    number = next_number_++;
  }
  (void)append_anyway({.type = RecordType::intent,
                       .step = std::string(step),
                       .number = number,
                       .fields = std::move(fields)});
  return number;
}

void Operation::found_done(std::string_view step, std::uint32_t number, Fields fields) {
  (void)append_anyway({.type = RecordType::done,
                       .step = std::string(step),
                       .number = number,
                       .fields = std::move(fields)});
}

// What has happened is so, whether or not the log could be told.
Status Operation::append_fact(Record record) {
  Status written = append(record, Durability::process);
  if (!written) unwritten_.push_back(std::move(record));
  return written;
}

void Operation::reconcile() {
  Status caught_up;
  {
    const MutexLock lock(mutex_);
    is_tail_known_ = true;
    caught_up = catch_up();
  }
  tell_failure(caught_up);
}

// Writes what could not be written before. Only for an undo: nothing new is begun over a log that
// has failed. A step that would turn up in the log now is one that the undo has not looked for.
Status Operation::catch_up() {
  if (!is_tail_known_) return ok();
  Status mended = log_->mend();
  is_tail_known_ = mended.has_value();
  if (!mended) return mended;
  // The record whose write failed may be in the log all the same, as its last.
  const auto is_written = [](const Record& last, const Record& record) {
    return last.type == record.type && last.step == record.step && last.number == record.number &&
           last.fields == record.fields;
  };
  while (!unwritten_.empty()) {
    const std::vector<Record>& records = log_->records();
    const bool is_there = !records.empty() && is_written(records.back(), unwritten_.front());
    if (!is_there) HAWSER_TRY(append(unwritten_.front(), Durability::process));
    unwritten_.erase(unwritten_.begin());
  }
  return ok();
}

// For an undo, which goes on without the log. False if it cannot be written.
bool Operation::append_anyway(Record record) {
  Status written;
  {
    const MutexLock lock(mutex_);
    written = catch_up();
    if (written) {
      written = append_fact(std::move(record));
    } else {
      unwritten_.push_back(std::move(record));
    }
  }
  tell_failure(written);
  return written.has_value();
}

// Once: whatever comes after fails as well.
void Operation::tell_failure(const Status& written) {
  if (written) return;
  {
    const MutexLock lock(mutex_);
    if (std::exchange(is_failure_told_, true)) return;
  }
  tell(Event::Level::warning, "log.failed", written.error().message());
}

Result<Operation::SharedLock> Operation::lock_shared(const Ctx& ctx, std::string name) {
  {
    const MutexLock lock(mutex_);
    if (kept_.contains(name)) return SharedLock{.name = std::move(name)};
  }
  HAWSER_TRY_ASSIGN(std::unique_ptr<NamedLock> lock, journal().lock(ctx, name));
  return SharedLock{.name = std::move(name), .lock = std::move(lock)};
}

Status Operation::hold_shared(const Ctx& ctx, std::string name) {
  HAWSER_TRY_ASSIGN(SharedLock lock, lock_shared(ctx, std::move(name)));
  keep(std::move(lock));
  return ok();
}

Result<std::uint32_t> Operation::claim(std::string_view step, Fields fields, SharedLock& lock) {
  Result<std::uint32_t> number = intent(step, std::move(fields));
  if (!number) keep(std::move(lock));
  return number;
}

void Operation::let_go(std::string_view step, std::uint32_t number, SharedLock lock) {
  const bool is_written =
      append_anyway({.type = RecordType::undone, .step = std::string(step), .number = number});
  if (!is_written) keep(std::move(lock));
}

void Operation::keep(SharedLock lock) {
  if (!lock.lock) return;
  const MutexLock guard(mutex_);
  kept_.emplace(std::move(lock.name), std::move(lock.lock));
}

Status Operation::mark(RecordType type, std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  return append_step({.type = type, .step = std::string(step), .fields = std::move(fields)},
                     Durability::disk);
}

// A caller who is refused tries again, for days: the log must not grow with every try.
Status Operation::abort(std::string_view step) {
  {
    const MutexLock lock(mutex_);
    HAWSER_TRY(catch_up());
    HAWSER_TRY_ASSIGN(const bool is_gone, take_back_begin());
    if (is_gone) return ok();
  }
  return mark(RecordType::abort, step);
}

// True if nothing in the log is left of the call, and nothing has to be.
Result<bool> Operation::take_back_begin() {
  const std::vector<Record>& records = log_->records();
  const auto last = std::find_if(records.rbegin(), records.rend(), [](const Record& record) {
    return record.type == RecordType::begin;
  });
  if (!is_tail_known_ || last == records.rend()) return false;
  const auto count = static_cast<std::size_t>(records.rend() - last) - 1;
  HAWSER_TRY_ASSIGN(
      const LogState before,
      replay({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count)}));
  HAWSER_TRY_ASSIGN(const LogState now, replay(records));
  const bool is_refused_detach = now.phase == Phase::detaching && count + 1 == records.size();
  const bool is_undone_attach =
      now.phase == Phase::attaching && before.phase == Phase::idle && now.has_ended();
  if (!is_refused_detach && !is_undone_attach) return false;
  if (log_->take_back(count)) return true;
  HAWSER_TRY(log_->mend());
  return log_->records().size() <= count;
}

Status Operation::note(std::string_view step, Fields fields) {
  const MutexLock lock(mutex_);
  return append_step(
      {.type = RecordType::note, .step = std::string(step), .fields = std::move(fields)},
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

// Of what failed here it is not known whether it is in the log.
Status Operation::append_step(Record record, Durability durability) {
  Status appended = append(std::move(record), durability);
  if (!appended) is_tail_known_ = false;
  return appended;
}

Status Operation::append(Record record, Durability durability) {
  if (is_of_files(record)) durability = Durability::disk;
  Status appended = log_->append(std::move(record), durability);
  if (appended) return appended;
  return std::move(appended).error().with(Stage::journal).with("transaction log of " + id_);
}

void Operation::tell(Event::Level level, std::string_view name, std::string text,
                     std::string portal) const {
  if (!environment_.on_event) return;
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
