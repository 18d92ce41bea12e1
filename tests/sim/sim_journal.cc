// The logs of the simulated host, which fail and crash at every call as well.
#include <utility>

#include "sim/sim_host.h"

namespace hawser {
namespace {

std::string lock_of_log(const std::string& id) { return "log " + id; }

// The contract of journal.h, checked: after a failed append nothing is written before the log was
// mended. Others get no turn in between: an operation appends with a mutex in its hands.
class SimLogFile final : public LogFile {
 public:
  SimLogFile(SimWorld& world, Faults& faults, std::set<std::string>& open_logs, std::string id)
      : world_(world),
        faults_(faults),
        open_logs_(open_logs),
        id_(std::move(id)),
        records_(world.logs[id_]) {
    open_logs_.insert(id_);
  }
  ~SimLogFile() override {
    open_logs_.erase(id_);
    world_.locks.erase(lock_of_log(id_));
  }

  Status append(Record record, Durability durability) override {
    HAWSER_ASSERT(!is_removed_);  // It would go to a file without a name.
    if (is_broken_) return Error(Errc::io, "the tail of the log is unknown");
    record.seq = records_.size() + 1;
    record.time_s = world_.wall_time_s;
    Status appended = faults_.change([&]() -> Status {
      world_.logs[id_].push_back(record);
      if (durability == Durability::disk) world_.durable[id_] = world_.logs[id_].size();
      return ok();
    });
    is_broken_ = !appended;
    if (appended) records_.push_back(std::move(record));
    return appended;
  }
  Status mend() override {
    if (!is_broken_) return ok();
    HAWSER_TRY(faults_.look());
    records_ = world_.logs[id_];
    is_broken_ = false;
    return ok();
  }
  const std::vector<Record>& records() const override { return records_; }
  Status take_back(std::size_t count) override {
    HAWSER_ASSERT(!is_removed_ && count <= records_.size());
    if (is_broken_) return Error(Errc::io, "the tail of the log is unknown");
    Status taken = faults_.change([&]() -> Status {
      world_.logs[id_].resize(count);
      world_.durable[id_] = count;
      return ok();
    });
    is_broken_ = !taken;
    if (taken) records_.resize(count);
    return taken;
  }
  Status remove() override {
    is_removed_ = true;
    return faults_.change([&]() -> Status {
      world_.logs.erase(id_);
      world_.durable.erase(id_);
      return ok();
    });
  }

 private:
  SimWorld& world_;
  Faults& faults_;
  std::set<std::string>& open_logs_;
  bool is_removed_ = false;
  const std::string id_;
  std::vector<Record> records_;
  bool is_broken_ = false;
};

class SimLock final : public NamedLock {
 public:
  SimLock(std::set<std::string>& locks, std::string name) : locks_(locks), name_(std::move(name)) {}
  ~SimLock() override { locks_.erase(name_); }

 private:
  std::set<std::string>& locks_;
  const std::string name_;
};

}  // namespace

Status SimJournal::enter(const Ctx& ctx) {
  HAWSER_TRY(ctx.check());
  if (turns_ != nullptr) turns_->yield();
  return faults_.look();
}

// Without others at work a lock that is held is a deadlock.
Status SimJournal::take(const Ctx& ctx, const std::string& lock) {
  const auto is_free = [&] { return !world_.locks.contains(lock); };
  if (turns_ != nullptr) {
    turns_->wait(ctx.deadline,
                 [&] { return is_free() || ctx.stop.stop_requested() || faults_.is_dead(); });
    faults_.check_alive();
    if (!is_free()) {
      if (ctx.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
      return Error(Errc::busy, lock + " is held");
    }
  }
  HAWSER_ASSERT(world_.locks.insert(lock).second);
  return ok();
}

Result<std::unique_ptr<LogFile>> SimJournal::open(const Ctx& ctx, const std::string& id) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(take(ctx, lock_of_log(id)));
  return std::unique_ptr<LogFile>(std::make_unique<SimLogFile>(world_, faults_, open_logs_, id));
}

Result<std::unique_ptr<LogFile>> SimJournal::try_open(const std::string& id) {
  if (turns_ != nullptr) turns_->yield();
  HAWSER_TRY(faults_.look());
  if (!world_.logs.contains(id)) return Error(Errc::not_found, "no log " + id);
  if (!world_.locks.insert(lock_of_log(id)).second) {
    return Error(Errc::busy, "log " + id + " is held");
  }
  return std::unique_ptr<LogFile>(std::make_unique<SimLogFile>(world_, faults_, open_logs_, id));
}

Result<std::vector<Record>> SimJournal::read(const std::string& id) {
  if (turns_ != nullptr) turns_->yield();
  HAWSER_TRY(faults_.look());
  const auto log = world_.logs.find(id);
  if (log == world_.logs.end()) return Error(Errc::not_found, "no log " + id);
  if (world_.unsafe_logs.contains(id)) {
    return Error(Errc::permission_denied, "log " + id + " is not safe").with(Stage::journal);
  }
  return log->second;
}

Result<std::vector<std::string>> SimJournal::list() {
  if (turns_ != nullptr) turns_->yield();
  HAWSER_TRY(faults_.look());
  std::vector<std::string> ids;
  for (const auto& [id, records] : world_.logs)
    ids.push_back(id);
  return ids;
}

Result<std::unique_ptr<NamedLock>> SimJournal::lock(const Ctx& ctx, const std::string& name) {
  HAWSER_TRY(enter(ctx));
  HAWSER_TRY(take(ctx, name));
  return std::unique_ptr<NamedLock>(std::make_unique<SimLock>(world_.locks, name));
}

}  // namespace hawser
