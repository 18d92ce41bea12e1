#include "sim/random_run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <vector>

#include "engine/attach.h"
#include "engine/detach.h"
#include "engine/inventory.h"
#include "engine/join.h"
#include "engine/map_paths.h"
#include "engine/recover.h"
#include "engine/resize.h"
#include "sim/ending.h"
#include "sim/process.h"

namespace hawser {
namespace {

// A run that takes more of them will never end.
constexpr unsigned kInstantsMax = 1'000'000;

// How long an operation may take beyond its deadline, to undo and to say what is left.
constexpr auto kUndoTime = 30s;
constexpr auto kResumeTime = 10s;
constexpr auto kSayingTime = 3s;
constexpr auto kSlack = 2s;  // Others are at work as well.

constexpr std::array<const char*, static_cast<std::size_t>(What::count)> kWords{
    "attach",  "detach", "detach --force", "resize", "resize --allow-shrink", "join",
    "recover", "list"};
const char* word(What what) { return kWords.at(static_cast<std::size_t>(what)); }

// One process, which does one thing, and may be killed or told to stop on the way.
struct Worker {
  Worker(Scene& scene, Random& random, Turns& turns, unsigned budget, unsigned odds)
      : dice(random, odds),
        faults(dice, static_cast<int>(budget)),
        process(scene.world, faults, &turns) {}

  Dice dice;
  Faults faults;
  SimProcess process;
  What what = What::list;
  const SimVolume* volume = nullptr;
  bool is_alone = true;  // Nobody else works on the volume.
  std::chrono::milliseconds time{0};
  unsigned instants = 0;
  unsigned dies_at = 0;  // 0: it does not.
  unsigned stops_at = 0;
  bool is_dead = false;
};

class Run {
 public:
  Run(std::uint64_t seed, bool is_told, Tally& tally)
      : random_(seed),
        tale_(is_told),
        tally_(tally),
        scene_(draw_scene(random_)),
        surroundings_(scene_, random_, tale_),
        invariants_(scene_, findings_) {}

  // What was not as it must be, if anything.
  std::optional<std::string> go() {
    tell_scene();
    const unsigned steps = 2 + random_.below(7);
    for (unsigned i = 0; i < steps && !findings_.first(); ++i) {
      step();
      if (!findings_.first()) end_all(scene_, Tale(false), findings_);
      if (!findings_.first()) surroundings_.between();
    }
    if (tale_.is_told() && findings_.first()) {
      tale_.tell(world(), *findings_.first());
      Findings again;
      end_all(scene_, tale_, again);
    }
    return findings_.first();
  }

 private:
  SimWorld& world() { return scene_.world; }

  void tell_scene() {
    if (!tale_.is_told()) return;
    tale_.tell(world(),
               std::string(world().runs_multipathd ? "with" : "without") + " multipathd, portals:");
    for (const std::string& portal : scene_.portals)
      tale_.tell(world(), "  " + portal + (world().dead_portals.contains(portal) ? " dead" : "") +
                              (world().slow_portals.contains(portal) ? " slow logins" : "") +
                              (world().slow_scans.contains(portal) ? " slow scans" : ""));
    for (const SimVolume& volume : scene_.volumes) {
      tale_.tell(world(), "  volume " + volume.id + " LUN " +
                              std::to_string(volume.places.front().second) + " of " +
                              std::to_string(volume.places.size()) + " targets, multipath " +
                              std::to_string(static_cast<int>(volume.options.multipath)));
    }
    tale_.tell(world(), world().picture());
  }

  What draw_what(const SimVolume& volume) {
    constexpr std::array kWhenAttached{What::detach, What::detach, What::detach, What::force,
                                       What::resize, What::shrink, What::join,   What::attach};
    constexpr std::array kElse{What::attach, What::attach, What::attach, What::attach,
                               What::attach, What::detach, What::resize, What::join};
    if (random_.one_in(8)) return random_.one_in(3) ? What::list : What::recover;
    const bool is_attached = state_of(world(), volume.id).phase == Phase::attached;
    return is_attached ? kWhenAttached.at(random_.below(kWhenAttached.size()))
                       : kElse.at(random_.below(kElse.size()));
  }

  std::unique_ptr<Worker> draw_worker(Turns& turns) {
    const unsigned budget = random_.one_in(2) ? 0 : 1 + random_.below(3);
    const unsigned odds = 4U << random_.below(6);
    auto worker = std::make_unique<Worker>(scene_, random_, turns, budget, odds);
    worker->volume = &scene_.volumes[random_.below(static_cast<unsigned>(scene_.volumes.size()))];
    worker->what = draw_what(*worker->volume);
    worker->time = random_.one_in(4) ? std::chrono::milliseconds(1 + random_.below(20'000)) : 60s;
    if (random_.one_in(4)) worker->dies_at = 1 + random_.below(300);
    if (random_.one_in(8)) worker->stops_at = 1 + random_.below(300);
    return worker;
  }

  void step() {
    Dice order(random_, 2U << random_.below(6));
    Turns turns(world(), order, kInstantsMax);
    std::vector<std::unique_ptr<Worker>> workers;
    const unsigned count = 1 + random_.below(2);
    for (unsigned i = 0; i < count; ++i)
      workers.push_back(draw_worker(turns));
    scene_.dropped_by_multipathd.clear();  // What is back since then is missed again.
    invariants_.begin(licences(workers));
    turns.watch([&] { invariants_.look(); });
    turns.meanwhile([&] {
      HAWSER_ASSERT(++instants_ < kInstantsMax);
      surroundings_.meanwhile();
      live(*workers[static_cast<std::size_t>(turns.owner())]);
    });
    for (std::size_t i = 0; i < workers.size(); ++i) {
      Worker& worker = *workers[i];
      turns.start(
          [&] {
            try {
              work(worker);
            } catch (const SimCrash&) {
              worker.is_dead = true;
              ++tally_.killed;
              tell(worker, "is dead");
            }
          },
          static_cast<int>(i));
    }
    turns.run();
    invariants_.look_at_all();
    findings_.expect(world().locks.empty(), "a lock is held by nobody");
  }

  std::map<std::string, Invariants::Licence> licences(
      const std::vector<std::unique_ptr<Worker>>& workers) const {
    std::map<std::string, Invariants::Licence> licences;
    for (const auto& worker : workers) {
      for (const auto& other : workers) {
        const bool is_same = worker->volume == other->volume || worker->what == What::recover ||
                             other->what == What::recover;
        if (worker != other && is_same) worker->is_alone = false;
      }
      if (worker->what == What::recover || worker->what == What::list) continue;
      Invariants::Licence& licence = licences[worker->volume->id];
      licence.touches = true;
      licence.loses_data = licence.loses_data || worker->what == What::force;
      licence.shrinks = licence.shrinks || worker->what == What::shrink;
    }
    return licences;
  }

  void live(Worker& worker) {
    ++worker.instants;
    if (worker.instants == worker.stops_at) {
      tell(worker, "is told to stop");
      worker.process.stop.request_stop();
    }
    if (worker.instants == worker.dies_at) {
      tell(worker, "is killed");
      worker.faults.kill();
    }
  }

  void tell(const Worker& worker, const std::string& text) const {
    if (!tale_.is_told()) return;
    tale_.tell(scene_.world,
               std::string(word(worker.what)) + " " + worker.volume->id.substr(0, 4) + " " + text);
  }

  Environment environment(Worker& worker) {
    Environment environment = worker.process.environment();
    if (tale_.is_told()) {
      environment.on_event = [&](const Event& event) {
        tell(worker, event.portal + " " + event.text);
      };
    }
    return environment;
  }

  // --- one operation ----------------------------------------------------------------------------

  // What was there before it, as far as it is compared.
  struct Before {
    Phase phase = Phase::idle;
    bool is_bare = false;
    bool is_lost = false;
    std::map<std::string, DevT> disks{};  // By which it is used, with the right unit behind them.
    std::map<std::string, std::set<DevT>> members{};
  };

  void work(Worker& worker) {
    const Ctx ctx = worker.process.ctx(worker.time);
    const std::chrono::milliseconds jumped = surroundings_.jumped();
    tell(worker, "begins, with " + std::to_string(worker.time.count()) + " ms");
    const Before before = look_before(worker);
    std::optional<Error> error;
    std::chrono::nanoseconds more{0};
    switch (worker.what) {
      case What::attach:
        more = kUndoTime;
        error = do_attach(worker, ctx, before);
        break;
      case What::detach:
      case What::force:
        more = kSayingTime;
        error = do_detach(worker, ctx, before);
        break;
      case What::resize:
      case What::shrink:
        more = kResumeTime;
        error = do_resize(worker, ctx, before);
        break;
      case What::join:
        more = kUndoTime;
        error = do_join(worker, ctx, before);
        break;
      case What::recover: error = do_recover(worker, ctx); break;
      case What::list: error = do_list(worker, ctx); break;
      case What::count: break;
    }
    ++(error ? tally_.failed : tally_.done).at(static_cast<std::size_t>(worker.what));
    tell(worker, error ? std::string(to_string(error->code())) +
                             (error->outcome() == Outcome::unknown ? " (unknown): " : ": ") +
                             error->message()
                       : "done");
    const auto late = ctx.clock.now() - ctx.deadline - (surroundings_.jumped() - jumped);
    findings_.expect(late <= more + kSlack,
                     std::string(word(worker.what)) + " came back " +
                         std::to_string(std::chrono::ceil<std::chrono::seconds>(late).count()) +
                         " s after its deadline");
  }

  bool works(const Map& map, const ScsiDevice& device) {
    return !world().is_dead(device.sid) &&
           std::any_of(map.paths.begin(), map.paths.end(), [&](const MapPathStatus& path) {
             return path.dev == device.dev && path.is_active;
           });
  }

  Before look_before(const Worker& worker) {
    Before before;
    const LogState state = state_of(world(), worker.volume->id);
    before.phase = state.boot_id == world().boot_id ? state.phase : Phase::idle;
    before.is_bare = !state.is_multipath;
    before.is_lost = world().lost.contains(state.identity.serial);
    for (const auto& [name, device] : world().devices) {
      const bool is_right = same_unit(state.identity, sim_identity(world().unit_behind(device))) &&
                            same_unit(state.identity, device.identity);
      if (!is_right || scene_.is_foreign(device)) continue;
      const std::uint64_t sectors =
          std::min(device.sectors, world().sectors_of(world().unit_behind(device)));
      if (!state.is_multipath && state.bare_sid == device.sid) before.disks[name] = device.dev;
      for (const auto& [uuid, map] : world().maps) {
        // One that is too small is taken out, and scanned anew; by a join also one that has failed,
        // if it cannot be read what it is.
        if (!map.has_path(device.dev) || sectors < map.sectors) continue;
        if (worker.what == What::join && !works(map, device)) continue;
        before.members[uuid].insert(device.dev);
        before.disks[name] = device.dev;
      }
    }
    return before;
  }

  // The unit that is at every place of a volume; empty if they differ.
  std::string unit_of(const SimVolume& volume) {
    std::set<std::string> units;
    for (const auto& [target, lun] : volume.places)
      units.insert(world().targets[target].contains(lun) ? world().targets[target][lun] : "");
    return units.size() == 1 ? *units.begin() : std::string();
  }

  std::optional<Error> do_attach(Worker& worker, const Ctx& ctx, const Before& before) {
    const SimVolume& volume = *worker.volume;
    const Result<Attachment> made = attach(ctx, environment(worker), volume.spec, volume.options);
    const LogState state = state_of(world(), volume.id);
    if (!made) {
      if (!worker.is_alone || made.error().outcome() == Outcome::unknown) return made.error();
      findings_.expect(before.phase != Phase::idle || state.phase == Phase::idle ||
                           state.boot_id != world().boot_id,
                       "a failed attach says that it left nothing, and the log does not");
      expect_kept(before, state, "a failed attach");
      return made.error();
    }
    findings_.expect(made->status == "attached" && state.phase == Phase::attached &&
                         state.boot_id == world().boot_id,
                     "what was attached is not");
    const std::string unit = unit_of(volume);
    findings_.expect(unit.empty() || made->wwid.empty() || made->already_attached ||
                         made->wwid == wwid_of(sim_identity(unit)),
                     "another unit was attached");
    check_handed_out(volume, *made, unit);
    return std::nullopt;
  }

  // `unit`: what is behind every path of it, or empty.
  void check_handed_out(const SimVolume& volume, const Attachment& made, const std::string& unit) {
    findings_.expect(made.multipath || volume.options.multipath != Multipath::required,
                     "no map was made");
    if (!made.multipath) {
      for (const auto& [name, device] : world().devices) {
        if ("/dev/" + name != made.path) continue;
        findings_.expect(unit.empty() || world().unit_behind(device) == unit,
                         "a disk of another unit was handed out");
        findings_.expect(made.size_bytes == device.sectors * 512, "a wrong size was said");
        return;
      }
      return findings_.expect(false, "a disk that is not there was handed out");
    }
    const auto map = world().maps.find(map_uuid_of(made.wwid));
    if (map == world().maps.end())
      return findings_.expect(false, "a map that is not there was handed out");
    findings_.expect(map->second.node() == made.path, "another map was handed out");
    findings_.expect(made.size_bytes == map->second.sectors * 512, "a wrong size was said");
    findings_.expect(!map->second.is_suspended, "a suspended map was handed out");
    findings_.expect(volume.spec.access_mode == AccessMode::read_write || map->second.is_read_only,
                     "a read-only map can be written");
    std::size_t right = 0;
    for (const auto& [name, device] : world().devices) {
      if (!map->second.has_path(device.dev)) {
        if (scene_.is_dropped(device.dev)) ++right;  // It came in, and was lost.
        continue;
      }
      const std::string behind = world().unit_behind(device);
      if (!world().is_dead(device.sid) && !behind.empty() && !unit.empty())
        findings_.expect(behind == unit, "a map with a path to another unit was handed out");
      ++right;
    }
    findings_.expect(made.already_attached || unit.empty() || right >= volume.options.min_paths,
                     "too few paths were handed out");
  }

  // What was attached is attached still, with all of its disks and paths.
  void expect_kept(const Before& before, const LogState& state, const std::string& who) {
    if (before.phase != Phase::attached) return;
    findings_.expect(state.phase == Phase::attached || state.phase == Phase::detaching,
                     who + " ended the attachment");
    for (const auto& [name, dev] : before.disks)
      findings_.expect(world().devices.contains(name) || scene_.is_dropped(dev),
                       who + " took disk " + name);
    for (const auto& [uuid, members] : before.members) {
      const auto map = world().maps.find(uuid);
      for (const DevT& dev : members) {
        if (scene_.is_dropped(dev)) continue;
        findings_.expect(map != world().maps.end() && map->second.has_path(dev),
                         who + " took a path out of map " + uuid);
      }
    }
  }

  std::optional<Error> do_detach(Worker& worker, const Ctx& ctx, const Before& before) {
    const SimVolume& volume = *worker.volume;
    const bool is_forced = worker.what == What::force;
    if (is_forced) forced_.insert(volume.id);
    const std::string unit = state_of(world(), volume.id).identity.serial;
    const Result<DetachReport> done =
        detach(ctx, environment(worker), volume.id, {.force = is_forced});
    const LogState state = state_of(world(), volume.id);
    if (before.is_lost && worker.is_alone && !is_forced && !world().lost.contains(unit)) {
      const bool is_said =
          done ? std::any_of(done->warnings.begin(), done->warnings.end(),
                             [](const std::string& w) { return w.find("lost") != w.npos; })
               : done.error().code() == Errc::data_at_risk;
      findings_.expect(is_said, "that a write was lost was not said");
    }
    if (!done) {
      if (worker.is_alone && done.error().outcome() == Outcome::unchanged)
        expect_kept(before, state, "a failed detach");
      return done.error();
    }
    findings_.expect(is_forced || done->leftovers.empty(), "something was left");
    // It may have completed one of before.
    findings_.expect(forced_.contains(volume.id) || !done->data_at_risk,
                     "data was given up without being asked to");
    findings_.expect(!worker.is_alone || state.phase == Phase::idle || !done->leftovers.empty(),
                     "what was detached is attached");
    // What somebody writes to a disk that was flushed already, and is deleted next, is his loss.
    const bool is_late_writer = before.is_bare && !world().open_nodes.empty();
    findings_.expect(!worker.is_alone || before.phase != Phase::attached || done->data_at_risk ||
                         is_late_writer || !world().dirty.contains(unit),
                     "what was written is not flushed, and that was not said");
    return std::nullopt;
  }

  bool has_suspended_map(const SimVolume& volume) {
    const auto map = world().maps.find(map_uuid_of(state_of(world(), volume.id).wwid));
    return map != world().maps.end() && map->second.is_suspended;
  }

  std::optional<Error> do_resize(Worker& worker, const Ctx& ctx, const Before& before) {
    const SimVolume& volume = *worker.volume;
    const bool was_suspended = has_suspended_map(volume);  // By one that is dead.
    const Result<ResizeReport> done =
        resize(ctx, environment(worker), volume.id, {.allow_shrink = worker.what == What::shrink});
    const LogState state = state_of(world(), volume.id);
    const auto map = world().maps.find(map_uuid_of(state.wwid));
    const bool is_there = state.is_multipath && map != world().maps.end();
    if (!done) {
      const bool is_unknown = done.error().outcome() == Outcome::unknown;
      findings_.expect(
          is_unknown || !is_there || !map->second.is_suspended || was_suspended || !worker.is_alone,
          "a resize left the map suspended");
      if (worker.is_alone && !is_unknown) expect_kept(before, state, "a failed resize");
      return done.error();
    }
    if (!is_there || !worker.is_alone) return std::nullopt;
    findings_.expect(!map->second.is_suspended, "a resize left the map suspended");
    findings_.expect(map->second.sectors * 512 == done->size_bytes, "the map has another size");
    for (const auto& [name, device] : world().devices) {
      findings_.expect(!map->second.has_path(device.dev) || device.sectors >= map->second.sectors,
                       "a path is too small for the map");
    }
    return std::nullopt;
  }

  std::optional<Error> do_join(Worker& worker, const Ctx& ctx, const Before& before) {
    const SimVolume& volume = *worker.volume;
    const Result<Attachment> joined = join(ctx, environment(worker), volume.id, {});
    const LogState state = state_of(world(), volume.id);
    if (worker.is_alone) expect_kept(before, state, "a join");
    if (!joined) return joined.error();
    check_handed_out(volume, *joined, {});
    return std::nullopt;
  }

  std::optional<Error> do_recover(Worker& worker, const Ctx& ctx) {
    const Result<RecoverReport> report = recover(ctx, environment(worker));
    if (!report) return report.error();
    if (!report->failed.empty()) return report->failed.front().error;
    return std::nullopt;
  }

  std::optional<Error> do_list(Worker& worker, const Ctx& ctx) {
    const Result<std::vector<Attachment>> all = list(ctx, environment(worker));
    if (!all) return all.error();
    return std::nullopt;
  }

  Random random_;
  const Tale tale_;
  Tally& tally_;
  Findings findings_{};
  std::set<std::string> forced_{};  // Volumes of which a detach by force was begun.
  Scene scene_;
  Surroundings surroundings_;
  Invariants invariants_;
  unsigned instants_ = 0;
};

}  // namespace

bool Tally::has_all() const {
  return killed > 0 && std::ranges::all_of(done, [](unsigned long n) { return n > 0; });
}

void Tally::print() const {
  for (std::size_t i = 0; i < done.size(); ++i)
    std::printf("  %-22s %9lu done %9lu failed\n", kWords.at(i), done.at(i), failed.at(i));
  std::printf("  %-22s %9lu\n", "killed", killed);
}

std::optional<std::string> random_run(std::uint64_t seed, bool is_told, Tally& tally) {
  return Run(seed, is_told, tally).go();
}

}  // namespace hawser
