#include "commands.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <utility>

#include "events.h"
#include "json_output.h"
#include "stop_signals.h"
#include "text_output.h"

namespace hawser::cli {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kLeftSomething = 2;
constexpr int kDataAtRisk = 3;
constexpr int kDeadline = 4;
constexpr int kUsage = 64;
constexpr int kNotPermitted = 77;

int exit_status(const Error& error) {
  if (error.code() == Errc::data_at_risk) return kDataAtRisk;
  if (error.outcome() == Outcome::unknown) return kLeftSomething;
  switch (error.code()) {
    case Errc::invalid_argument: return error.stage() == Stage::input ? kUsage : kFailed;
    case Errc::permission_denied: {
      const bool is_ours = error.stage() == Stage::preflight || error.stage() == Stage::journal;
      return is_ours ? kNotPermitted : kFailed;
    }
    case Errc::deadline_exceeded:
    case Errc::cancelled: return kDeadline;
    default: return kFailed;
  }
}

std::chrono::nanoseconds to_ns(double seconds) {
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

// A client, and how long it may take: what a command needs.
class Session {
 public:
  explicit Session(const Common& common) : common_(common), events_(common) {}

  Ctx ctx() const {
    return {.clock = clock_,
            .deadline = clock_.now() + to_ns(common_.timeout_s),
            .stop = signals_.token()};
  }
  Result<Client> client() {
    return Client::open({.state_dir = common_.state_dir,
                         .on_event = [this](const Event& event) { events_.print(event); }});
  }
  // Prints one or the other; `text` makes what people read of the value.
  template <class Value>
  int finish(const Result<Value>& result, auto&& text) {
    events_.finish();
    if (!result) return report(common_, result.error());
    if (common_.json) {
      std::cout << to_json(*result).dump(2) << '\n';
    } else {
      std::cout << text(*result);
    }
    std::cout.flush();
    return std::cout ? kDone : kFailed;
  }

 private:
  const Common& common_;
  StopSignals signals_{};
  SystemClock clock_{};
  EventPrinter events_;
};

Result<AttachOptions> to_options(const AttachArguments& arguments) {
  AttachOptions options;
  if (arguments.multipath == "required") options.multipath = Multipath::required;
  if (arguments.multipath == "off") options.multipath = Multipath::off;
  if (arguments.min_paths > 0) {
    options.min_paths = static_cast<std::uint32_t>(arguments.min_paths);
  }
  if (arguments.grace_s >= 0) options.grace = to_ns(arguments.grace_s);
  options.login_timeout = std::chrono::seconds(arguments.login_timeout_s);
  options.node_record = arguments.node_record;
  return options;
}

std::string lines_text(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines)
    text += line + '\n';
  return text;
}

Result<std::string> detach_id(const DetachArguments& arguments) {
  if (!arguments.id.empty()) {
    if (!arguments.spec.any()) return arguments.id;
    return Error(Errc::invalid_argument, "give an id or a specification, not both")
        .with(Stage::input);
  }
  HAWSER_TRY_ASSIGN(const VolumeSpec spec, read_spec(arguments.spec));
  return attachment_id(spec);
}

}  // namespace

int report(const Common& common, const Error& error) {
  if (common.json) {
    std::cout << error_document(error).dump(2) << std::endl;
  } else {
    std::cerr << to_text(error);
  }
  return exit_status(error);
}

int run_attach(const Common& common, const AttachArguments& arguments) {
  Session session(common);
  const auto run = [&]() -> Result<Attachment> {
    HAWSER_TRY_ASSIGN(VolumeSpec spec, read_spec(arguments.spec));
    if (!arguments.expect_wwid.empty()) spec.expected_wwid = arguments.expect_wwid;
    // What was said on the command line goes before what the document says.
    if (arguments.min_paths > 0) spec.min_paths.reset();
    if (arguments.grace_s >= 0) spec.grace.reset();
    HAWSER_TRY_ASSIGN(const AttachOptions options, to_options(arguments));
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.attach(session.ctx(), spec, options);
  };
  return session.finish(run(), [](const Attachment& a) { return to_text(a); });
}

int run_detach(const Common& common, const DetachArguments& arguments) {
  Session session(common);
  const auto run = [&]() -> Result<DetachReport> {
    HAWSER_TRY_ASSIGN(const std::string id, detach_id(arguments));
    HAWSER_TRY_ASSIGN(Client client, session.client());
    Result<DetachReport> done = client.detach(session.ctx(), id, {.force = arguments.force});
    if (done || !arguments.ignore_errors) return done;
    return DetachReport{.id = id,
                        .flushed = false,
                        .data_at_risk = done.error().data_at_risk(),
                        .leftovers = {done.error().message()},
                        .warnings = {done.error().message()}};
  };
  return session.finish(run(), [](const DetachReport& r) { return to_text(r); });
}

int run_list(const Common& common) {
  Session session(common);
  const auto run = [&]() -> Result<std::vector<Attachment>> {
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.list(session.ctx());
  };
  return session.finish(run(), [](const auto& all) { return to_table(all); });
}

int run_show(const Common& common, const std::string& id) {
  Session session(common);
  const auto run = [&]() -> Result<Attachment> {
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.show(session.ctx(), id);
  };
  return session.finish(run(), [](const Attachment& a) { return to_text(a); });
}

int run_log(const Common& common, const std::string& id) {
  Session session(common);
  const auto run = [&]() -> Result<std::vector<std::string>> {
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.log(session.ctx(), id);
  };
  return session.finish(run(), lines_text);
}

int run_recover(const Common& common) {
  Session session(common);
  bool has_failed = false;
  const auto run = [&]() -> Result<RecoverReport> {
    HAWSER_TRY_ASSIGN(Client client, session.client());
    HAWSER_TRY_ASSIGN(RecoverReport done, client.recover(session.ctx()));
    has_failed = !done.failed.empty();
    return done;
  };
  const int status = session.finish(run(), [](const RecoverReport& r) { return to_text(r); });
  return status == kDone && has_failed ? kLeftSomething : status;
}

int run_discover(const Common& common, const std::string& portal, const std::string& chap_file) {
  Session session(common);
  const auto run = [&]() -> Result<std::vector<DiscoveredTarget>> {
    Result<Portal> parsed = parse_portal(portal);
    if (!parsed) return std::move(parsed).error().with(Stage::input).with("--portal");
    HAWSER_TRY_ASSIGN(const std::optional<Chap> chap, read_chap_file(chap_file));
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.discover(session.ctx(), *parsed, chap);
  };
  return session.finish(run(), [](const auto& all) { return to_text(all); });
}

int run_sessions(const Common& common) {
  Session session(common);
  const auto run = [&]() -> Result<std::vector<SessionReport>> {
    HAWSER_TRY_ASSIGN(Client client, session.client());
    return client.sessions(session.ctx());
  };
  return session.finish(run(), [](const auto& all) { return to_text(all); });
}

}  // namespace hawser::cli
