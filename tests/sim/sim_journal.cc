// The logs of the simulated host, which fail and crash at every call as well.
#include <utility>

#include "sim/sim_host.h"

namespace hawser {
namespace {

// The contract of journal.h, checked: after a failed append nothing more is written.
class SimLogFile final : public LogFile {
 public:
  SimLogFile(SimWorld& world, Faults& faults, std::set<std::string>& held, std::string id)
      : world_(world), faults_(faults), held_(held), id_(std::move(id)), records_(world.logs[id_]) {
    held_.insert(id_);
  }
  ~SimLogFile() override { held_.erase(id_); }

  Status append(Record record, Durability) override {
    HAWSER_ASSERT(!is_removed_);  // It would go to a file without a name.
    if (is_broken_) return Error(Errc::io, "the tail of the log is unknown");
    record.seq = records_.size() + 1;
    Status appended = faults_.change([&]() -> Status {
      world_.logs[id_].push_back(record);
      return ok();
    });
    is_broken_ = !appended;
    if (appended) records_.push_back(std::move(record));
    return appended;
  }
  const std::vector<Record>& records() const override { return records_; }
  Status remove() override {
    is_removed_ = true;
    return faults_.change([&]() -> Status {
      world_.logs.erase(id_);
      return ok();
    });
  }

 private:
  SimWorld& world_;
  Faults& faults_;
  std::set<std::string>& held_;
  bool is_removed_ = false;
  const std::string id_;
  std::vector<Record> records_;
  bool is_broken_ = false;
};

class SimLock final : public NamedLock {
 public:
  SimLock(std::set<std::string>& held, std::string name) : held_(held), name_(std::move(name)) {
    HAWSER_ASSERT(held_.insert(name_).second);  // Tasks take turns: a second holder is a deadlock.
  }
  ~SimLock() override { held_.erase(name_); }

 private:
  std::set<std::string>& held_;
  const std::string name_;
};

}  // namespace

Result<std::unique_ptr<LogFile>> SimJournal::open(const Ctx& ctx, const std::string& id) {
  HAWSER_TRY(ctx.check());
  HAWSER_TRY(faults_.look());
  HAWSER_ASSERT(!held_.contains(id));
  return std::unique_ptr<LogFile>(std::make_unique<SimLogFile>(world_, faults_, held_, id));
}

Result<std::unique_ptr<LogFile>> SimJournal::try_open(const std::string& id) {
  HAWSER_TRY(faults_.look());
  if (!world_.logs.contains(id)) return Error(Errc::not_found, "no log " + id);
  if (held_.contains(id)) return Error(Errc::busy, "log " + id + " is held");
  return std::unique_ptr<LogFile>(std::make_unique<SimLogFile>(world_, faults_, held_, id));
}

Result<std::vector<Record>> SimJournal::read(const std::string& id) {
  HAWSER_TRY(faults_.look());
  const auto log = world_.logs.find(id);
  if (log == world_.logs.end()) return Error(Errc::not_found, "no log " + id);
  return log->second;
}

Result<std::vector<std::string>> SimJournal::list() {
  HAWSER_TRY(faults_.look());
  std::vector<std::string> ids;
  for (const auto& [id, records] : world_.logs)
    ids.push_back(id);
  return ids;
}

Result<std::unique_ptr<NamedLock>> SimJournal::lock(const Ctx& ctx, const std::string& name) {
  HAWSER_TRY(ctx.check());
  HAWSER_TRY(faults_.look());
  return std::unique_ptr<NamedLock>(std::make_unique<SimLock>(held_, name));
}

}  // namespace hawser
