#include "tools/hawser/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>

namespace hawser::tool {
namespace {

constexpr double kSecondsMax = 366 * 86400.0;

// The words as they were typed. CLI11 only sorts them: its conversions take octal numbers, and
// "nan" for a number of seconds.
struct Words {
  std::string discovery{};
  std::string timeout{};
  std::string engine = "iscsid";
  std::string log_level{};
  std::string multipath{};
  std::string min_paths{};
  std::string grace{};
  std::string login_timeout{};
  std::string login_tries{};
  std::string scan_tries{};
  std::string scan_interval{};
};

Error invalid(const std::string& message) {
  return Error(Errc::invalid_argument, message).with(Stage::input);
}

Result<std::chrono::nanoseconds> parse_seconds(const std::string& option, const std::string& text) {
  double seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc() || rest != end || !std::isfinite(seconds)) {
    return invalid(option + ": '" + text + "' is no number of seconds");
  }
  if (seconds < 0 || seconds > kSecondsMax) {
    return invalid(option + ": " + text + " is not in 0 to 31622400 seconds");
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

Result<std::uint32_t> parse_count(const std::string& option, const std::string& text,
                                  std::uint32_t max) {
  std::uint32_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || rest != end || count == 0 || count > max) {
    return invalid(option + ": '" + text + "' is no whole number from 1 to " + std::to_string(max));
  }
  return count;
}

template <class T>
Result<T> parse_choice(const std::string& option, const std::string& text,
                       const std::map<std::string, T>& choices) {
  const auto choice = choices.find(text);
  if (choice != choices.end()) return choice->second;
  std::string known;
  for (const auto& [name, value] : choices)
    known += (known.empty() ? "" : ", ") + name;
  return invalid(option + ": '" + text + "' is none of " + known);
}

Status check_engine(const std::string& engine) {
  if (engine == "iscsid") return ok();
  if (engine == "kernel") return invalid("--engine: kernel is not in this release");
  return invalid("--engine: '" + engine + "' is none of iscsid, kernel");
}

Status convert_common(const Words& words, Invocation& invocation) {
  HAWSER_TRY(check_engine(words.engine));
  if (invocation.state_dir.empty()) return invalid("--state-dir: empty");
  if (!words.timeout.empty()) {
    HAWSER_TRY_ASSIGN(invocation.timeout, parse_seconds("--timeout", words.timeout));
  }
  if (!words.log_level.empty()) {
    using enum Event::Level;
    HAWSER_TRY_ASSIGN(
        invocation.log_level,
        parse_choice<Event::Level>(
            "--log-level", words.log_level,
            {{"debug", debug}, {"info", info}, {"warning", warning}, {"error", error}}));
  }
  return ok();
}

Status convert_attach(const Words& words, Invocation& invocation) {
  if (!words.discovery.empty()) {
    HAWSER_TRY_ASSIGN(
        invocation.spec.discovery,
        parse_choice<bool>("--discovery", words.discovery, {{"on", true}, {"off", false}}));
  }
  if (!words.multipath.empty()) {
    using enum Multipath;
    HAWSER_TRY_ASSIGN(
        invocation.multipath,
        parse_choice<Multipath>("--multipath", words.multipath,
                                {{"required", required}, {"preferred", preferred}, {"off", off}}));
  }
  if (!words.min_paths.empty()) {
    HAWSER_TRY_ASSIGN(invocation.min_paths, parse_count("--min-paths", words.min_paths, 64));
  }
  if (!words.grace.empty()) {
    HAWSER_TRY_ASSIGN(invocation.grace, parse_seconds("--grace", words.grace));
  }
  if (!words.login_timeout.empty()) {
    HAWSER_TRY_ASSIGN(const std::uint32_t seconds,
                      parse_count("--login-timeout", words.login_timeout, 86400));
    invocation.login_timeout = std::chrono::seconds(seconds);
  }
  if (!words.login_tries.empty()) {
    HAWSER_TRY_ASSIGN(invocation.login_tries,
                      parse_count("--login-tries", words.login_tries, 1000));
  }
  if (!words.scan_tries.empty()) {
    HAWSER_TRY_ASSIGN(invocation.scan_tries, parse_count("--scan-tries", words.scan_tries, 1000));
  }
  if (!words.scan_interval.empty()) {
    HAWSER_TRY_ASSIGN(const std::chrono::nanoseconds interval,
                      parse_seconds("--scan-interval", words.scan_interval));
    invocation.scan_interval = std::chrono::ceil<std::chrono::milliseconds>(interval);
  }
  return ok();
}

// An id or a specification, and not both.
Status check_subject(const Invocation& invocation) {
  const bool has_id = !invocation.id.empty();
  if (has_id && invocation.spec.is_given()) return invalid("ID: cannot go with a specification");
  if (has_id && invocation.spec.has_details()) {
    return invalid("ID: cannot go with --chap-file, --discovery-chap-file, --iface or --discovery");
  }
  if (has_id || invocation.spec.is_given()) return ok();
  return invalid("ID: missing (or --spec, or --target, --portal and --lun)");
}

// What is for logins only makes no sense where nobody logs in.
Status check_show(const Invocation& invocation) {
  if (invocation.join || invocation.spec.chap_file.empty()) return ok();
  return invalid("--chap-file: goes with --join only");
}

void add_chap_file(CLI::App& command, SpecOptions& spec) {
  command.add_option("--chap-file", spec.chap_file, "CHAP credentials, mode 600")
      ->type_name("FILE");
}

void add_login_timeout(CLI::App& command, Words& words) {
  command
      .add_option("--login-timeout", words.login_timeout, "How long a try of a portal takes (15)")
      ->type_name("S");
}

void add_spec_options(CLI::App& command, Words& words, SpecOptions& spec) {
  command.add_option("--spec", spec.file, "JSON document of the volume; - is stdin")
      ->type_name("FILE");
  command.add_option("--target", spec.target, "Name of the target")->type_name("IQN");
  command.add_option("--portal", spec.portals, "HOST[:PORT][,GROUP]; repeat for multipath")
      ->type_name("PORTAL")
      ->allow_extra_args(false);
  command.add_option("--lun", spec.lun, "0 to 16383")->type_name("N");
  command.add_option("--iface", spec.ifaces, "open-iscsi iface; repeat for several")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_option("--discovery", words.discovery, "Ask for further portals: on or off")
      ->type_name("HOW");
  add_chap_file(command, spec);
  command.add_option("--discovery-chap-file", spec.discovery_chap_file, "Those of the discovery")
      ->type_name("FILE");
}

void add_subject(CLI::App& command, Words& words, Invocation& invocation) {
  command.add_option("ID", invocation.id, "As attach printed it; or the specification");
  add_spec_options(command, words, invocation.spec);
}

// Adds the options that every command has, which may stand before and after the command's name.
void add_common_options(CLI::App& app, Words& words, Invocation& invocation) {
  app.fallthrough();
  app.footer("Options of every command: see hawser --help.");
  app.set_version_flag("--version", HAWSER_VERSION);
  app.add_flag("--json", invocation.json, "Print one JSON document on stdout");
  app.add_option("--timeout", words.timeout, "Deadline of the whole call (60)")->type_name("S");
  app.add_option("--state-dir", invocation.state_dir, "Transaction logs (/var/lib/hawser)")
      ->type_name("DIR");
  app.add_option("--engine", words.engine, "iscsid")->type_name("NAME");
  app.add_option("--log-level", words.log_level, "Log to stderr: error, warning, info or debug")
      ->type_name("LEVEL");
  app.add_flag("--log-json", invocation.log_json, "Log as JSON, one object a line");
}

void add_attach(CLI::App& app, Words& words, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("attach", "Attach a volume");
  add_spec_options(command, words, invocation.spec);
  command.add_option("--multipath", words.multipath, "required, preferred (default) or off")
      ->type_name("HOW");
  command.add_option("--min-paths", words.min_paths, "Paths that have to come (1)")->type_name("N");
  command.add_option("--grace", words.grace, "How long to wait for more than those (5)")
      ->type_name("S");
  add_login_timeout(command, words);
  command.add_option("--login-tries", words.login_tries, "How often to try a portal (1)")
      ->type_name("N");
  command.add_option("--scan-tries", words.scan_tries, "How often to scan for the LUN (3)")
      ->type_name("N");
  command.add_option("--scan-interval", words.scan_interval, "How long between two scans (1)")
      ->type_name("S");
  command.add_option("--expect-wwid", invocation.expected_wwid, "Identity the volume must have")
      ->type_name("WWID");
  command.add_flag("--node-record", invocation.node_record, "Also write open-iscsi node records");
}

void add_detach(CLI::App& app, Words& words, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("detach", "Flush and detach a volume");
  add_subject(command, words, invocation);
  command.add_flag("--force", invocation.force, "Clean the host even if data is lost");
  command.add_flag("--ignore-errors", invocation.ignore_errors,
                   "Exit 0, with the errors as warnings");
}

void add_resize(CLI::App& app, Words& words, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("resize", "Take over a new size of a volume");
  add_subject(command, words, invocation);
  command.add_flag("--allow-shrink", invocation.allow_shrink, "Also take over a smaller size");
}

void add_show(CLI::App& app, Words& words, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("show", "One attachment: paths, states, identity");
  command.add_option("ID", invocation.id, "As attach printed it")->required();
  command.add_flag("--join", invocation.join, "Bring missing paths back first");
  add_login_timeout(command, words);
  add_chap_file(command, invocation.spec);
}

void add_others(CLI::App& app, Invocation& invocation) {
  app.add_subcommand("list", "What is attached, held against the kernel");
  CLI::App& log = *app.add_subcommand("log", "The transaction log of one attachment");
  log.add_option("ID", invocation.id, "As attach printed it")->required();
  app.add_subcommand("recover", "Undo or complete what others left half-done");
  CLI::App& discover = *app.add_subcommand("discover", "Ask a portal for its targets");
  discover.add_option("--portal", invocation.spec.portals, "HOST[:PORT]")
      ->type_name("PORTAL")
      ->expected(1)
      ->allow_extra_args(false)
      ->required();
  add_chap_file(discover, invocation.spec);
  app.add_subcommand("sessions", "iSCSI sessions of this host, and their counters");
}

Result<Command> chosen_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) return invalid("command: missing; see hawser --help");
  using enum Command;
  return parse_choice<Command>("command", chosen.front()->get_name(),
                               {{"attach", attach},
                                {"detach", detach},
                                {"resize", resize},
                                {"list", list},
                                {"show", show},
                                {"log", log},
                                {"recover", recover},
                                {"discover", discover},
                                {"sessions", sessions}});
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const bool has_command = !app.get_subcommands().empty();
  const std::vector<std::string> extra = app.remaining();
  if (!has_command && !extra.empty() && !extra.front().starts_with('-')) {
    return invalid("'" + extra.front() + "' is no command; see hawser --help");
  }
  return invalid(error.what());
}

// Throws what CLI11 throws.
void parse_words(CLI::App& app, std::span<const char* const> words) {
  std::vector<std::string> reversed(words.begin(), words.end());
  std::reverse(reversed.begin(), reversed.end());
  app.parse(std::move(reversed));
}

}  // namespace

Result<std::variant<Invocation, HelpText>> parse_command_line(std::span<const char* const> words) {
  CLI::App app("Attaches and detaches iSCSI volumes, with multipath", "hawser");
  Words typed;
  Invocation invocation;
  add_common_options(app, typed, invocation);
  app.require_subcommand(0, 1);
  add_attach(app, typed, invocation);
  add_detach(app, typed, invocation);
  add_resize(app, typed, invocation);
  add_show(app, typed, invocation);
  add_others(app, invocation);

  try {
    parse_words(app, words);
  } catch (const CLI::Success& help) {
    std::ostringstream text;
    (void)app.exit(help, text, text);  // What it returns is always 0.
    return std::variant<Invocation, HelpText>(HelpText{text.str()});
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }

  HAWSER_TRY_ASSIGN(invocation.command, chosen_command(app));
  HAWSER_TRY(convert_common(typed, invocation));
  HAWSER_TRY(convert_attach(typed, invocation));
  if (invocation.command == Command::detach || invocation.command == Command::resize) {
    HAWSER_TRY(check_subject(invocation));
  }
  if (invocation.command == Command::show) HAWSER_TRY(check_show(invocation));
  return std::variant<Invocation, HelpText>(std::move(invocation));
}

bool asks_for_json(std::span<const char* const> words) {
  return std::any_of(words.begin(), words.end(),
                     [](const char* word) { return std::string_view(word) == "--json"; });
}

}  // namespace hawser::tool
