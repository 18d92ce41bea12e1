#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hawser/client.h"

#include "base/mutex.h"
#include "engine/log_state.h"
#include "host/host.h"
#include "journal/journal.h"

namespace hawser {

// What an operation needs of the world. All of it outlives the operation.
struct Environment {
  Host& host;
  Journal& journal;
  std::function<void(const Event&)> on_event{};  // From several threads at once. May be empty.
};

// One attach, detach or recovery of one volume: its log, held exclusively, and what there is to
// tell. Thread-safe: the paths of a volume are worked on side by side.
class Operation {
 public:
  // Errors: corrupt, naming the record.
  static Result<std::unique_ptr<Operation>> start(Environment environment, std::string id,
                                                  std::unique_ptr<LogFile> log);

  Host& host() const { return environment_.host; }
  Journal& journal() const { return environment_.journal; }
  const std::string& id() const { return id_; }

  // --- the log ----------------------------------------------------------------------------------

  // What the log says, and what was done here and could not be written to it.
  Result<LogState> state() const;

  // Announces a step. Nothing may be changed on the host before this returned its number.
  Result<std::uint32_t> intent(std::string_view step, Fields fields);
  Status done(std::string_view step, std::uint32_t number, Fields fields = {});
  Status failed(std::string_view step, std::uint32_t number, const Error& error);
  // Before an undo asks for state(): a step whose write failed may be in the log all the same, and
  // whoever reads that later has it undone. And after one that failed: whoever tries it again is to
  // know what it has found.
  void reconcile();
  // Undoing goes on when the log cannot be written, which is told of: undoing twice does no harm.
  void undone(std::string_view step, std::uint32_t number);
  // The same of what is found to be there while undoing, and of what is found to be done.
  std::uint32_t found(std::string_view step, Fields fields);
  void found_done(std::string_view step, std::uint32_t number, Fields fields = {});

  // --- what is shared with other attachments ----------------------------------------------------

  // Held by whoever decides about it, over all processes. Empty if this operation keeps it anyway.
  struct SharedLock {
    std::string name{};
    std::unique_ptr<NamedLock> lock{};
  };
  // Errors: those of Journal::lock().
  Result<SharedLock> lock_shared(const Ctx& ctx, std::string name);
  // The same, until this operation has ended.
  Status hold_shared(const Ctx& ctx, std::string name);
  // As intent(), of its use; and as undone(). Others take us for a user of it in between. Where it
  // is not known what they read the lock is kept: nobody else decides before this operation has
  // ended, and its log is gone or has been left for a recovery.
  Result<std::uint32_t> claim(std::string_view step, Fields fields, SharedLock& lock);
  void let_go(std::string_view step, std::uint32_t number, SharedLock lock);

  // Begin and commit, and the end of what was taken back: on disk before they return.
  Status mark(RecordType type, std::string_view step, Fields fields = {});
  Status abort(std::string_view step);
  Status note(std::string_view step, Fields fields);

  // Deletes the log: nothing of this attachment is on the host any more.
  // What is appended after that is on no disk: a new attachment needs a new log.
  Status forget();
  bool is_forgotten() const;

  // --- telling ----------------------------------------------------------------------------------

  void tell(Event::Level level, std::string_view name, std::string text,
            std::string portal = {}) const;
  // Also kept for the result. What was said already is not said again.
  void warn(std::string_view name, std::string text, std::string portal = {});
  std::vector<std::string> warnings() const;

 private:
  Operation(Environment environment, std::string id, std::unique_ptr<LogFile> log);
  Status append(Record record, Durability durability) HAWSER_REQUIRES(mutex_);
  Status append_step(Record record, Durability durability) HAWSER_REQUIRES(mutex_);
  Status append_fact(Record record) HAWSER_REQUIRES(mutex_);
  Status catch_up() HAWSER_REQUIRES(mutex_);
  Result<bool> take_back_begin() HAWSER_REQUIRES(mutex_);
  bool append_anyway(Record record);
  void tell_failure(const Status& written);
  void keep(SharedLock lock);

  const Environment environment_;
  const std::string id_;
  mutable Mutex mutex_;
  std::unique_ptr<LogFile> log_ HAWSER_GUARDED_BY(mutex_);
  std::uint32_t next_number_ HAWSER_GUARDED_BY(mutex_) = 1;
  bool is_forgotten_ HAWSER_GUARDED_BY(mutex_) = false;
  std::vector<Record> unwritten_ HAWSER_GUARDED_BY(mutex_){};  // Facts. They come after the log.
  bool is_tail_known_ HAWSER_GUARDED_BY(mutex_) = true;  // But for facts, which are in unwritten_.
  bool is_failure_told_ HAWSER_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::unique_ptr<NamedLock>> kept_ HAWSER_GUARDED_BY(mutex_){};
  std::vector<std::string> warnings_ HAWSER_GUARDED_BY(mutex_){};
};

}  // namespace hawser
