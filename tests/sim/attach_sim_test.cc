// Everything that can go wrong, stop requests and deadlines included, once and twice, while a
// volume is attached and while that is recovered from. Whatever happened, afterwards the volume is
// attached as a whole, and can be detached without a trace, or the host is as it was; and nothing
// of anybody else's was touched.
#include <gmock/gmock.h>

#include "sim/walk.h"

namespace hawser {
namespace {

struct Scenario {
  std::string name;
  SimWorld world;
  VolumeSpec spec;
  AttachOptions options{};
  int faults = 1;
  bool is_interrupted = true;
};

// A session that somebody else made on the first of our portals, and a device if he has scanned.
SimWorld with_foreign_session(bool has_device = true) {
  SimWorld world = sim_world();
  SimProcess process(world);
  const Result<Session> session =
      process.host.login(process.ctx(), {.target = kTarget, .address = "10.0.1.2"});
  HAWSER_ASSERT(session);
  if (has_device) HAWSER_ASSERT(process.host.scan(process.ctx(), *session, 2));
  return world;
}

// Another volume of the same target, attached by us: its sessions are shared.
SimWorld with_neighbour() {
  SimWorld world = sim_world();
  attach_in_good_weather(world, sim_spec(2, 2), {});
  return world;
}

SimWorld with_dead_portal() {
  SimWorld world = sim_world();
  world.dead_portals = {"10.0.1.2"};
  return world;
}

SimWorld with_known_wwid() {
  SimWorld world = sim_world();
  world.wwids.insert(wwid_of(sim_identity(kUnit)));
  return world;
}

void run(const Scenario& scenario) {
  SCOPED_TRACE(scenario.name);
  const std::string before = scenario.world.picture();
  const std::string id = attachment_id(scenario.spec);
  int attached = 0;

  const int runs = walk(
      scenario.world, scenario.faults,
      [&](SimProcess& process, SimWorld& world) {
        const Ctx ctx = process.ctx();
        const Result<Attachment> made =
            attach(ctx, process.environment(), scenario.spec, scenario.options);
        if (!made && scenario.faults == 1 && !ctx.check()) {
          // An interruption by itself is undone at once, with nothing left for a recovery.
          EXPECT_EQ(made.error().outcome(), Outcome::unchanged) << made.error().message();
          EXPECT_EQ(made.error().code(), ctx.check().error().code()) << made.error().message();
        }
        if (made) {
          EXPECT_FALSE(made->path.empty());
          for (const PathReport& path : made->paths) {
            if ("/dev/" + path.device == made->path) {
              EXPECT_EQ(path.state, "active");
            }
          }
        } else if (made.error().outcome() == Outcome::unchanged) {
          EXPECT_EQ(world.picture(), before) << made.error().message();
        }
      },
      [&](SimWorld& world, bool) {
        if (recover_in_good_weather(world, id)) {
          ++attached;
          detach_in_good_weather(world, id);
        }
        EXPECT_EQ(world.picture(), before);
      },
      scenario.is_interrupted);

  ::testing::Test::RecordProperty(scenario.name + "_runs", runs);
  std::printf("%-28s %7d runs, attached in %d\n", scenario.name.c_str(), runs, attached);
  EXPECT_GT(runs, 50);     // Fails if a refactoring quietly turns injection off.
  EXPECT_GT(attached, 0);  // And so does one that never gets anywhere.
  EXPECT_LT(attached, runs);
}

// Keeps: A1
TEST(AttachSimTest, one_fault_on_a_clean_host) { run({"clean", sim_world(), sim_spec(4)}); }

// Counts how often a name is resolved.
class ResolvingHost final : public SimHost {
 public:
  using SimHost::SimHost;
  Result<std::vector<std::string>> resolve(const Ctx& ctx, const std::string& name) override {
    ++resolved;
    return SimHost::resolve(ctx, name);
  }

  int resolved = 0;
};

// Keeps: A12
TEST(AttachSimTest, a_name_is_resolved_once_however_often_a_login_is_tried) {
  SimWorld world = with_dead_portal();
  SimProcessOn<ResolvingHost> process(world);
  const Result<Attachment> made = attach(process.ctx(300s), process.environment(), sim_spec(2),
                                         {.min_paths = 2, .login_tries = 4});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), testing::HasSubstr("4 tries"));
  EXPECT_EQ(process.host.resolved, 2);
}

// Keeps: A1
TEST(AttachSimTest, one_fault_with_a_single_path) {
  run({"single", sim_world(), sim_spec(2), {.multipath = Multipath::off}});
}

TEST(AttachSimTest, one_fault_beside_a_multipathd_that_is_quicker) {
  SimWorld world = sim_world();
  world.multipathd_is_quick = true;
  run({"quick_multipathd", world, sim_spec(2)});
  run({"quick_multipathd_bare", world, sim_spec(2), {.multipath = Multipath::off}});
}

TEST(AttachSimTest, one_fault_with_node_records) {
  run({"node_records", sim_world(), sim_spec(2), {.node_record = true}});
}

TEST(AttachSimTest, one_fault_beside_a_session_that_is_not_ours) {
  run({"foreign_session", with_foreign_session(), sim_spec(2)});
}

// Keeps: D8
TEST(AttachSimTest, one_fault_beside_a_session_without_devices_that_is_not_ours) {
  run({"foreign_bare_session", with_foreign_session(false), sim_spec(2)});
}

TEST(AttachSimTest, one_fault_beside_a_volume_on_the_same_sessions) {
  run({"neighbour", with_neighbour(), sim_spec(2)});
}

TEST(AttachSimTest, one_fault_with_a_dead_portal) {
  run({"dead_portal", with_dead_portal(), sim_spec(2)});
}

TEST(AttachSimTest, one_fault_with_a_wwid_that_was_known_before) {
  run({"known_wwid", with_known_wwid(), sim_spec(2)});
}

// One of the portals that the target lists is dead.
SimWorld with_advertised_portals() {
  SimWorld world = sim_world();
  world.advertised = {{kTarget, {"10.0.1.2", "10.0.2.2", "10.0.3.2"}},
                      {"iqn.2026-11.org.example:other", {"10.0.1.2", "10.0.4.2"}}};
  world.dead_portals = {"10.0.2.2"};
  return world;
}

TEST(AttachSimTest, one_fault_with_a_discovery) {
  VolumeSpec spec = sim_spec(1);
  spec.discovery.reset();
  run({"discovery", with_advertised_portals(), spec});
}

TEST(AttachSimTest, one_fault_with_two_ifaces) {
  VolumeSpec spec = sim_spec(1);
  spec.ifaces = {"nic1", "nic2"};
  run({"two_ifaces", sim_world(), spec});
}

// What a good run makes of a world: the portals of the paths, "-" before those that did not come.
std::string portals_of(SimWorld world, const VolumeSpec& spec, const AttachOptions& options = {}) {
  SimProcess process(world);
  const Result<Attachment> made = attach(process.ctx(), process.environment(), spec, options);
  if (!made) {
    return std::string(to_string(made.error().code())) + " at " +
           std::string(to_string(made.error().stage()));
  }
  std::string portals;
  for (const PathReport& path : made->paths)
    portals += (path.state == "active" ? " " : " -") + to_string(path.portal);
  return portals;
}

TEST(AttachSimTest, one_portal_is_asked_for_the_others_of_its_target) {
  VolumeSpec spec = sim_spec(1);
  spec.discovery.reset();
  const SimWorld world = with_advertised_portals();
  EXPECT_EQ(portals_of(world, spec), " 10.0.1.2:3260,1 -10.0.2.2:3260,1 10.0.3.2:3260,1");
  EXPECT_EQ(portals_of(world, spec, {.multipath = Multipath::off}), " 10.0.1.2:3260");
  EXPECT_EQ(portals_of(sim_world(), spec), " 10.0.1.2:3260");  // It lists nothing.

  spec.min_paths = 3;
  EXPECT_EQ(portals_of(world, spec), "unavailable at login");
  spec.min_paths = 4;
  EXPECT_EQ(portals_of(world, spec), "unavailable at discover");  // Nothing is tried in vain.
  spec.discovery = false;
  EXPECT_EQ(portals_of(world, spec), "invalid_argument at input");
}

TEST(AttachSimTest, of_several_portals_that_are_asked_one_has_to_answer) {
  VolumeSpec spec = sim_spec(2);
  spec.discovery = true;
  EXPECT_EQ(portals_of(with_advertised_portals(), spec),
            " 10.0.1.2:3260,1 -10.0.2.2:3260,1 10.0.3.2:3260,1");
  spec.paths.erase(spec.paths.begin());  // The dead one alone.
  EXPECT_EQ(portals_of(with_advertised_portals(), spec), "unavailable at login");
}

TEST(AttachSimTest, a_portal_that_is_named_twice_is_one_path) {
  VolumeSpec spec = sim_spec(2);
  spec.paths.push_back(spec.paths[0]);
  spec.paths.back().portal.group = 7;
  EXPECT_EQ(portals_of(sim_world(), spec), " 10.0.1.2:3260,7 10.0.2.2:3260");
}

// Keeps: A1, A3
TEST(AttachSimTest, what_is_waited_for_besides_does_not_use_up_the_deadline) {
  SimWorld world = sim_world();
  world.slow_portals = {{"10.0.2.2", 60'000}};
  world.udev_back_ms = world.uptime_ms + 60'000;
  const std::int64_t start_ms = world.uptime_ms;
  std::optional<Result<Attachment>> made;
  in_turns(world, {}, [&](SimProcess& process) {
    made =
        attach(process.ctx().within(std::chrono::seconds(10)), process.environment(), sim_spec(2),
               {.grace = std::chrono::seconds(40), .login_timeout = std::chrono::seconds(60)});
  });
  ASSERT_TRUE(*made) << made->error().message();
  EXPECT_TRUE((*made)->degraded);
  EXPECT_LT(world.uptime_ms - start_ms, 10'000);
}

// Keeps: A3
TEST(AttachSimTest, a_host_without_maps_has_one_path) {
  SimWorld world = sim_world();
  world.has_no_multipath = true;
  const std::string before = world.picture();
  const Result<Attachment> two = attach_once(world, sim_spec(2), {.min_paths = 2});
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().code(), Errc::unsupported);
  EXPECT_EQ(world.picture(), before);
  const Result<Attachment> one = attach_once(world, sim_spec(2));
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_TRUE(one->degraded);
}

// No map can be made, and the first disk is handed out while other logins are on their way.
SimWorld with_slow_portals_and_no_map() {
  SimWorld world = sim_world();
  world.blacklists = true;
  world.slow_portals = {{"10.0.1.2", 300}, {"10.0.2.2", 600}, {"10.0.3.2", 12'000}};
  return world;
}

// Keeps: A10
TEST(AttachSimTest, a_bare_disk_keeps_no_session_but_its_own) {
  SimWorld world = with_slow_portals_and_no_map();
  const std::string before = world.picture();
  const std::int64_t start_ms = world.uptime_ms;
  std::optional<Result<Attachment>> made;
  in_turns(world, {}, [&](SimProcess& process) {
    made = attach(process.ctx(), process.environment(), sim_spec(3), {});
  });
  ASSERT_TRUE(*made) << made->error().message();
  EXPECT_TRUE((*made)->degraded);
  EXPECT_EQ(world.sessions.size(), 1);
  EXPECT_EQ(world.logins_in_flight.size(), 1);  // Of the third portal: detach waits for it.
  EXPECT_LT(world.uptime_ms - start_ms, 5000);

  detach_in_good_weather(world, (*made)->id);
  EXPECT_EQ(world.picture(), before);
}

// An attach that was killed when its login had been sent. That ends 12 s later.
SimWorld with_login_in_flight() {
  SimWorld world = sim_world();
  world.slow_portals = {{"10.0.1.2", 12'000}};
  const auto kill_when_sent = [&](Faults& faults) {
    if (!world.logins_in_flight.empty()) faults.kill();
  };
  in_turns(world, kill_when_sent, [](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), sim_spec(1), {});
  });
  HAWSER_ASSERT(world.logins_in_flight.size() == 1);
  return world;
}

// Keeps: A1
TEST(AttachSimTest, a_login_that_comes_true_at_any_moment_of_a_recovery_is_undone) {
  const SimWorld start = with_login_in_flight();
  const std::string before = sim_world().picture();
  int moments = 0;
  for (bool is_over = false; !is_over; ++moments) {
    SimWorld world = start;
    int left = moments;
    const auto answer = [&](Faults&) {
      if (left-- != 0) return;
      for (SimLogin& login : world.logins_in_flight)
        login.ends_ms = 0;
      world.end_logins();
    };
    in_turns(world, answer, [&](SimProcess& process) {
      const Result<RecoverReport> report = recover(process.ctx(), process.environment());
      EXPECT_TRUE(report && report->failed.empty());
    });
    is_over = left >= 0;
    ASSERT_EQ(world.picture(), before) << "at moment " << moments;
  }
  EXPECT_GT(moments, 5);
}

// iscsid was stopped for a minute, and begins with the login when it goes on.
// Keeps: A1
TEST(AttachSimTest, a_login_that_iscsid_takes_up_late_is_undone) {
  SimWorld world = with_login_in_flight();
  world.logins_in_flight.front().ends_ms += 60'000;
  world.pass(60s);
  in_turns(world, {}, [&](SimProcess& process) {
    const Result<RecoverReport> report = recover(process.ctx(), process.environment());
    EXPECT_TRUE(report && report->failed.empty());
  });
  world.pass(60s);
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// An attach that is killed in the middle of its scan, on sessions that another volume keeps; they
// are lost at once, and come back when the recovery is at work.
// Keeps: A1
TEST(AttachSimTest, a_scan_that_goes_on_when_its_session_is_back_is_undone) {
  SimWorld world = with_neighbour();
  const std::string before = world.picture();
  world.slow_scans = {{"10.0.1.2", 3000}};
  const auto kill_when_scanning = [&](Faults& faults) {
    if (!world.scans_in_flight.empty()) faults.kill();
  };
  in_turns(world, kill_when_scanning, [](SimProcess& process) {
    (void)attach(process.ctx(), process.environment(), sim_spec(1), {});
  });
  ASSERT_EQ(world.scans_in_flight.size(), 1);

  for (auto& [sid, session] : world.sessions)
    session.state = SessionState::failed;
  world.dead_portals = {"10.0.1.2", "10.0.2.2"};
  world.portals_back_ms = world.uptime_ms + 5000;
  in_turns(world, {}, [&](SimProcess& process) {
    const Result<RecoverReport> report = recover(process.ctx(), process.environment());
    EXPECT_TRUE(report && report->failed.empty());
  });
  world.pass(60s);
  EXPECT_EQ(world.picture(), before);
}

// Whoever has announced a login and has not sent it yet finds a session then that is nobody's, if
// we let go of ours.
// Keeps: D8
TEST(AttachSimTest, a_session_is_not_left_to_whoever_has_only_announced_a_login) {
  SimWorld world = sim_world();
  GoodWeather weather;
  Faults faults(weather, 0);
  Turns turns(world, weather, 0);
  SimProcess late(world, faults, &turns);
  SimProcess quick(world, faults, &turns);
  bool is_announced = false;
  bool is_detaching = false;
  Environment environment = late.environment();
  environment.on_event = [&](const Event& event) {
    if (event.name != "login.sent") return;
    is_announced = true;
    turns.wait(TimePoint::max(), [&] { return is_detaching; });
    turns.wait(world.clock.now() + 2s, [] { return false; });  // All but the session is gone.
  };
  turns.start([&] { EXPECT_TRUE(attach(late.ctx(), environment, sim_spec(1, 2), {})); });
  turns.start([&] {
    turns.wait(TimePoint::max(), [&] { return is_announced; });
    EXPECT_TRUE(attach(quick.ctx(), quick.environment(), sim_spec(1, 1), {}));
    is_detaching = true;
    EXPECT_TRUE(detach(quick.ctx(), quick.environment(), attachment_id(sim_spec(1, 1)), {}));
  });
  turns.run();

  EXPECT_EQ(world.sessions.size(), 1);
  detach_in_good_weather(world, attachment_id(sim_spec(1, 2)));
  EXPECT_EQ(world.picture(), sim_world().picture());
}

// Attaches once for each moment after udev was waited for, at which `act` happens to the map, and
// hands over what came of it. Ends when the attach is over before that moment.
void act_at_any_moment(
    const std::function<void(SimWorld&)>& act,
    const std::function<void(const SimWorld&, const Result<Attachment>&)>& check) {
  bool has_acted = true;
  unsigned moment = 0;
  for (; has_acted && !::testing::Test::HasFailure(); ++moment) {
    SCOPED_TRACE(moment);
    SimWorld world = sim_world();
    bool is_shown = false;
    unsigned passed = 0;
    has_acted = false;
    const auto meanwhile = [&](Faults&) {
      if (!is_shown || passed++ != moment) return;
      has_acted = true;
      act(world);
    };
    std::optional<Result<Attachment>> made;
    in_turns(world, meanwhile, [&](SimProcess& process) {
      Environment environment = process.environment();
      environment.on_event = [&](const Event& event) { is_shown |= event.name == "udev.wait"; };
      made = attach(process.ctx(), environment, sim_spec(3), {});
    });
    check(world, *made);
  }
  EXPECT_GT(moment, 10u);
}

// multipathd does so when the last path of a map is lost that nobody has opened yet.
// Keeps: A1
TEST(AttachSimTest, a_map_that_is_gone_at_the_end_is_not_handed_out) {
  const auto remove = [](SimWorld& world) { world.maps.clear(); };
  unsigned refused = 0;
  act_at_any_moment(remove, [&](const SimWorld& world, const Result<Attachment>& made) {
    if (made) {
      EXPECT_TRUE(made->multipath);  // It was there when it was looked at last.
      return;
    }
    ++refused;
    EXPECT_EQ(made.error().outcome(), Outcome::unchanged) << made.error().message();
    EXPECT_EQ(world.picture(), sim_world().picture());
  });
  EXPECT_GT(refused, 5u);
}

// multipathd reloads the map with the one that it knows.
// Keeps: A3
TEST(AttachSimTest, a_path_that_multipathd_drops_at_any_moment_is_brought_in_again) {
  const auto drop = [](SimWorld& world) { keep_first_path(world.maps.begin()->second); };
  act_at_any_moment(drop, [](const SimWorld&, const Result<Attachment>& made) {
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_FALSE(made->degraded);
  });
}

// The next disk has its number then, and a table names disks by their numbers alone.
// Keeps: A6, D10
TEST(AttachSimTest, a_path_that_is_gone_at_the_end_is_not_brought_in_by_its_number) {
  SimWorld world = sim_world();
  SimProcess process(world);
  Environment environment = process.environment();
  environment.on_event = [&](const Event& event) {
    if (event.name != "udev.wait") return;
    Map& map = world.maps.begin()->second;
    const DevT gone = map.paths.back().dev;
    keep_first_path(map);
    for (auto& [name, device] : world.devices) {
      if (device.dev != gone) continue;
      device.hctl.lun = 2;
      device.identity = sim_identity("neighbour");
    }
  };

  const Result<Attachment> made = attach(process.ctx(), environment, sim_spec(2), {});

  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 1);
  EXPECT_TRUE(made->degraded);
}

// multipathd adopts the map with the paths that it knew when it began, in the middle of ours.
// Keeps: A3
TEST(AttachSimTest, a_path_that_multipathd_drops_while_others_are_brought_in_is_brought_in_again) {
  SimWorld world = sim_world();
  SimProcess process(world);
  Environment environment = process.environment();
  environment.on_event = [&](const Event& event) {
    if (event.name != "udev.wait") return;
    keep_first_path(world.maps.begin()->second);
    world.reloads_until_stale = 2;
  };

  const Result<Attachment> made = attach(process.ctx(), environment, sim_spec(4), {});

  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(world.reloads_until_stale, 0);
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 4);
  EXPECT_FALSE(made->degraded);
}

// Keeps: A7
TEST(AttachSimTest, a_disk_that_does_not_open_costs_its_path_and_no_other) {
  SimWorld world = sim_world();
  world.unopenable = {"sd-2-1"};
  SimProcess process(world);
  const Result<Attachment> made = attach(process.ctx(), process.environment(), sim_spec(4), {});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LT(made->elapsed, 30s);  // Of 60 s; one load that hangs takes ten.
  EXPECT_TRUE(made->multipath);
  EXPECT_EQ(world.maps.begin()->second.paths.size(), 1u);
  for (const PathReport& path : made->paths)
    EXPECT_EQ(path.state == "active", !path.error) << path.portal.host;
}

// Whoever gave us more time would give us more still, in vain.
TEST(AttachSimTest, a_disk_that_stays_without_a_size_is_no_deadline_of_the_callers) {
  SimWorld world = sim_world();
  world.unit_sectors[kUnit] = 0;
  SimProcess process(world);
  const Result<Attachment> made =
      attach(process.ctx(10min), process.environment(), sim_spec(2), {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::unavailable) << made.error().message();
  EXPECT_EQ(world.picture(), sim_world().picture());

  const Result<Attachment> late = attach(process.ctx(1s), process.environment(), sim_spec(2), {});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Errc::deadline_exceeded) << late.error().message();
}

// Keeps: A7, A10
TEST(AttachSimTest, without_a_map_a_portal_that_hangs_leaves_time_for_the_others) {
  SimWorld world = sim_world();
  world.slow_scans = {{"10.0.1.2", 1'000'000}};
  SimProcess process(world);
  const Result<Attachment> made =
      attach(process.ctx(), process.environment(), sim_spec(3), {.multipath = Multipath::off});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LT(made->elapsed, 40s);  // Of 60 s, a third.
  EXPECT_EQ(world.devices.size(), 1u);
  EXPECT_EQ(world.devices.begin()->second.hctl.host, world.sessions.rbegin()->first);
}

// udev writes the kernel's number of a LUN that flat space addressing codes.
TEST(AttachSimTest, the_stable_path_of_a_bare_disk_is_the_link_that_udev_makes) {
  SimWorld world = sim_world();
  world.targets[kTarget][0x412c] = "far-unit";
  const std::string begin = "/dev/disk/by-path/ip-10.0.1.2:3260-iscsi-" + std::string(kTarget);
  for (const auto& [lun, end] :
       std::map<std::uint16_t, std::string>{{1, "-lun-1"}, {300, "-lun-0x412c000000000000"}}) {
    SimProcess process(world);
    const Result<Attachment> made = attach(process.ctx(), process.environment(), sim_spec(1, lun),
                                           {.multipath = Multipath::off});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->stable_path, begin + end);
  }
}

TEST(AttachSimTest, two_faults_on_a_clean_host) {
  run({"clean_twice", sim_world(), sim_spec(2), {}, 2, false});
}

TEST(AttachSimTest, two_faults_beside_a_volume_on_the_same_sessions) {
  run({"neighbour_twice", with_neighbour(), sim_spec(1), {}, 2, false});
}

TEST(AttachSimTest, a_fault_and_an_interruption_on_a_clean_host) {
  run({"interrupted_twice", sim_world(), sim_spec(1), {}, 2});
}

}  // namespace
}  // namespace hawser
