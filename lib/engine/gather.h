#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "engine/unit.h"

namespace hawser {

// Brings up the paths of a volume and puts them into its unit.
class Gatherer {
 public:
  Gatherer(Operation& operation, PathPlan plan) : operation_(operation), plan_(plan) {}

  // Logs in to all portals at once. The first disk makes the map; the others are scanned, all at
  // once, when udev has shown it, or after two seconds. Returns when each path has answered, or
  // `grace` after `min_paths` of them are in; later, if by then none of those can be read any more.
  // Brings the map into order before.
  //
  // Errors: fewer than `min_paths` came; says why for each in Error::paths().
  Status all(const Ctx& ctx, const std::vector<LoggedPath>& paths, Unit& unit,
             std::size_t min_paths, std::chrono::nanoseconds grace);

  // One path after the other, until one is in; those that are of no use are cleaned up at once.
  Status first_good(const Ctx& ctx, const std::vector<LoggedPath>& paths, Unit& unit);

  // Why paths did not come, those that are still pending among them.
  const std::map<SessionKey, Error>& errors() const { return errors_; }

 private:
  struct LoggedIn {
    LoggedPath path{};
    Acquired acquired{};
  };
  struct Arrival {
    LoggedPath path{};
    std::optional<Result<Path>> result{};
  };
  // What the others wait for, once the first path is being scanned.
  struct HeadStart {
    SessionKey first{};
    TimePoint ends{};
    bool has_arrived = false;
    bool waits_for_udev = false;
    bool is_over = false;
  };

  void start_login(const Ctx& ctx, Crew& crew, const LoggedPath& path);
  void start_scan(const Ctx& ctx, Crew& crew, LoggedIn path);
  void start_scans(const Ctx& ctx, Crew& crew, const Unit& unit);
  void follow_head_start(const Ctx& ctx, Crew& crew, const Unit& unit);
  bool in_head_start() const { return head_start_ && !head_start_->is_over; }
  void give_up_unscanned();
  void await_udev(const Ctx& ctx, const Unit& unit);
  void take(const Ctx& ctx, Unit& unit, Arrival arrival);
  void report(const LoggedPath& path, const Error& error) const;
  Status await(const Ctx& ctx, Crew& crew, Unit& unit, std::size_t min_paths,
               std::chrono::nanoseconds grace);
  void take_arrivals(const Ctx& ctx, Unit& unit);
  bool has_live_path(const Ctx& ctx, const Unit& unit) const;
  void discard_useless(const Ctx& ctx);
  Status discard(const Ctx& ctx, const LoggedPath& path);
  Error failure(const Unit& unit, std::size_t min_paths, Status cause) const;

  Operation& operation_;
  const PathPlan plan_;
  std::map<SessionKey, Error> errors_{};
  std::optional<Error> fatal_{};
  std::vector<LoggedPath> useless_{};  // To be taken back.
  std::optional<HeadStart> head_start_{};
  std::size_t unanswered_ = 0;  // Paths of which nothing has been heard yet.
  Mutex mutex_;
  std::vector<LoggedIn> logged_in_ HAWSER_GUARDED_BY(mutex_){};  // Not being scanned yet.
  std::vector<Arrival> arrivals_ HAWSER_GUARDED_BY(mutex_){};
  bool is_map_shown_ HAWSER_GUARDED_BY(mutex_) = false;
};

}  // namespace hawser
