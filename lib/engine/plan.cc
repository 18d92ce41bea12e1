#include "engine/plan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "engine/budget.h"
#include "model/lun.h"
#include "model/path_count.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// A portal that is silent is dead to the logins too: they need time as well.
constexpr auto kDiscoveryBudget = 10s;
constexpr int kDiscoveryShare = 3;

constexpr auto kResolveBudget = 10s;

Error label(Error error, const PathSpec& path) {
  return std::move(error)
      .with(Stage::resolve)
      .with_path(to_string(path.portal), path.target, path.lun);
}

// Collects paths; what leads to the same session is the same path.
class PathList {
 public:
  PathList(Operation& operation, const VolumeSpec& spec) : operation_(operation), spec_(spec) {}

  // A name with several addresses stands for several portals. One without any is no reason to do
  // without the others.
  Status add_given(const Ctx& ctx, const PathSpec& path) {
    Result<std::vector<std::string>> addresses =
        operation_.host().resolve(ctx.within(kResolveBudget), path.portal.host);
    if (!addresses) {
      Error error = not_the_callers_deadline(std::move(addresses).error(), kResolveBudget);
      return leave_out(ctx, label(std::move(error), path));
    }
    bool is_new = false;
    for (const std::string& address : *addresses) {
      HAWSER_TRY_ASSIGN(const bool is_added, add(path, address));
      is_new = is_new || is_added;
    }
    if (!is_new) {
      operation_.warn("portal.twice",
                      "portal " + to_string(path.portal) + " is there twice: it is one path");
    }
    return ok();
  }

  // A portal that the target named. What is wrong with it is no reason to do without the others.
  void add_found(const Ctx& ctx, const PathSpec& path) {
    Result<std::vector<std::string>> addresses = operation_.host().resolve(ctx, path.portal.host);
    if (!addresses) return skip(path, addresses.error());
    for (const std::string& address : *addresses) {
      if (address == "0.0.0.0" || address == "::") {
        return skip(path, Error(Errc::protocol, "is no address of anybody"));
      }
      const Result<bool> is_added = add(path, address);
      if (!is_added) return skip(path, is_added.error());
    }
  }

  // Errors: why there is none.
  Result<std::vector<LoggedPath>> take() {
    if (paths_.empty() && unresolved_) return *std::move(unresolved_);
    return std::move(paths_);
  }

 private:
  Status leave_out(const Ctx& ctx, Error error) {
    HAWSER_TRY(ctx.check());
    operation_.warn("portal.unresolved",
                    "portal " + error.portal() + " is not used: " + error.message());
    if (!unresolved_) unresolved_ = std::move(error);
    return ok();
  }

  // False if all of them are there already.
  Result<bool> add(const PathSpec& path, const std::string& address) {
    bool is_new = false;
    for (const std::string& iface : spec_.ifaces) {
      LoggedPath logged{.spec = path, .kernel_lun = kernel_lun(path.lun, spec_.addressing)};
      logged.spec.portal.host = address;  // A name may stand for several.
      logged.key = {
          .target = path.target, .address = address, .port = path.portal.port, .iface = iface};
      const auto same = std::find_if(paths_.begin(), paths_.end(),
                                     [&](const LoggedPath& p) { return p.key == logged.key; });
      if (same != paths_.end()) {
        if (!same->spec.portal.group) same->spec.portal.group = path.portal.group;
        continue;
      }
      if (paths_.size() == kPathsMax) return Error(Errc::exhausted, "more than 64 paths");
      paths_.push_back(std::move(logged));
      is_new = true;
    }
    return is_new;
  }

  void skip(const PathSpec& path, const Error& error) {
    operation_.warn("discovery.portal",
                    "portal " + to_string(path.portal) +
                        ", which the target names, is not used: " + error.message(),
                    to_string(path.portal));
  }

  Operation& operation_;
  const VolumeSpec& spec_;
  std::vector<LoggedPath> paths_{};
  std::optional<Error> unresolved_{};
};

// Asks the portals all at once, until one of them has answered for each of the targets.
class Discovery {
 public:
  Discovery(Operation& operation, const VolumeSpec& spec) : operation_(operation), spec_(spec) {}

  std::vector<PathSpec> run(const Ctx& ctx) {
    const Ctx budget = ctx.within(
        std::min<std::chrono::nanoseconds>(kDiscoveryBudget, ctx.left() / kDiscoveryShare));
    {
      const std::unique_ptr<Crew> crew = operation_.host().crew();
      for (const Portal& portal : portals())
        crew->start(budget, [this, portal](const Ctx& task_ctx) { ask(task_ctx, portal); });
      while (!is_complete()) {
        const Result<bool> more = crew->wait_one(budget);
        if (!more || !*more) break;
      }
      crew->request_stop();
    }  // The others are not waited for any longer.
    if (!is_complete()) explain();
    const MutexLock lock(mutex_);
    return found_;
  }

 private:
  std::vector<Portal> portals() const {
    std::vector<Portal> portals;
    for (const PathSpec& path : spec_.paths) {
      const Portal portal{.host = path.portal.host, .port = path.portal.port};
      if (std::find(portals.begin(), portals.end(), portal) == portals.end())
        portals.push_back(portal);
    }
    return portals;
  }

  void ask(const Ctx& ctx, const Portal& portal) {
    const std::string where = to_string(portal);
    operation_.tell(Event::Level::info, "discovery.sent", "asking for further portals", where);
    const Result<std::vector<DiscoveredTarget>> targets =
        operation_.host().discover(ctx, portal, spec_.discovery_chap);
    const MutexLock lock(mutex_);
    if (!targets) {
      failures_.push_back(targets.error().message());
      return;
    }
    bool is_listed = false;
    for (const DiscoveredTarget& target : *targets)
      is_listed = take(target) || is_listed;
    if (!is_listed) failures_.push_back(where + " lists no target of this volume");
  }

  // Targets that were not asked for are other volumes, as far as anybody knows.
  bool take(const DiscoveredTarget& target) HAWSER_REQUIRES(mutex_) {
    const auto asked =
        std::find_if(spec_.paths.begin(), spec_.paths.end(),
                     [&](const PathSpec& path) { return path.target == target.target; });
    if (asked == spec_.paths.end()) return false;
    answered_.insert(target.target);
    for (const Portal& portal : target.portals)
      found_.push_back({.portal = portal, .target = target.target, .lun = asked->lun});
    return true;
  }

  bool is_complete() {
    const MutexLock lock(mutex_);
    for (const PathSpec& path : spec_.paths) {
      if (!answered_.contains(path.target)) return false;
    }
    return true;
  }

  void explain() {
    const MutexLock lock(mutex_);
    std::string why;
    for (const std::string& failure : failures_)
      why += (why.empty() ? "" : "; ") + failure;
    operation_.warn("discovery.failed",
                    "the discovery of further portals failed, those that were given are used: " +
                        (why.empty() ? "no answer in time" : why));
  }

  Operation& operation_;
  const VolumeSpec& spec_;
  Mutex mutex_;
  std::vector<PathSpec> found_ HAWSER_GUARDED_BY(mutex_){};
  std::set<std::string> answered_ HAWSER_GUARDED_BY(mutex_){};
  std::vector<std::string> failures_ HAWSER_GUARDED_BY(mutex_){};
};

}  // namespace

Result<std::vector<LoggedPath>> plan_paths(const Ctx& ctx, Operation& operation,
                                           const VolumeSpec& spec, Multipath multipath) {
  for (const std::string& iface : spec.ifaces)
    HAWSER_TRY(operation.host().check_iface(ctx, iface));
  PathList list(operation, spec);
  for (const PathSpec& path : spec.paths)
    HAWSER_TRY(list.add_given(ctx, path));
  if (multipath != Multipath::off && wants_discovery(spec)) {
    const std::vector<PathSpec> found = Discovery(operation, spec).run(ctx);
    const Ctx found_ctx = ctx.within(at_most(ctx, kResolveBudget));  // For all of them.
    for (const PathSpec& path : found)
      list.add_found(found_ctx, path);
    HAWSER_TRY(ctx.check());
  }
  return list.take();
}

}  // namespace hawser
