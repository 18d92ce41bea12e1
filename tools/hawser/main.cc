// hawser: attaches and detaches iSCSI volumes.
#include <iostream>

#include <CLI/CLI.hpp>

#include "commands.h"

namespace hawser::cli {
namespace {

constexpr int kUsage = 64;

void add_spec(CLI::App* command, SpecOptions& spec) {
  command->add_option("--spec", spec.file, "Connection properties as JSON; - for standard input");
  command->add_option("--target", spec.target, "Name of the target (IQN)");
  command->add_option("--portal", spec.portals, "host[:port][,group]; repeat for each path");
  command->add_option("--lun", spec.lun, "LUN of the volume, 0 to 16383");
  command->add_option("--chap-file", spec.chap_file,
                      "File with username and password (0600); never give them as arguments");
}

void add_common(CLI::App* command, Common& common) {
  command->add_flag("--json", common.json, "Print one JSON document on standard output");
  command->add_option("--timeout", common.timeout_s, "Deadline of the whole call, in seconds")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  command->add_option("--state-dir", common.state_dir, "Directory of the transaction logs")
      ->capture_default_str();
  command->add_option("--engine", common.engine, "Who makes sessions")
      ->check(CLI::IsMember({"iscsid"}))
      ->capture_default_str();
  command->add_option("--log-level", common.log_level, "What is logged to standard error")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}))
      ->capture_default_str();
  command->add_flag("--log-json", common.log_json, "Log one JSON object a line");
}

void add_attach(CLI::App& app, Common& common, int& status) {
  auto arguments = std::make_shared<AttachArguments>();
  CLI::App* command = app.add_subcommand("attach", "Attach a volume");
  add_spec(command, arguments->spec);
  command->add_option("--multipath", arguments->multipath, "Whether the result is a multipath map")
      ->check(CLI::IsMember({"required", "preferred", "off"}))
      ->capture_default_str();
  command->add_option("--min-paths", arguments->min_paths, "Paths that must come")
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--grace", arguments->grace_s,
                   "Seconds to wait for more paths than --min-paths (default 5)")
      ->check(CLI::Range(0.0, 86400.0));
  command->add_option("--expect-wwid", arguments->expect_wwid, "The volume must have this WWID");
  command->add_option("--login-timeout", arguments->login_timeout_s, "Seconds for one login")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  command->add_flag("--node-record", arguments->node_record, "Write open-iscsi node records too");
  add_common(command, common);
  command->callback([=, &common, &status] { status = run_attach(common, *arguments); });
}

void add_detach(CLI::App& app, Common& common, int& status) {
  auto arguments = std::make_shared<DetachArguments>();
  CLI::App* command = app.add_subcommand("detach", "Flush and detach a volume");
  command->add_option("id", arguments->id, "What attach printed as id");
  add_spec(command, arguments->spec);
  command->add_flag("--force", arguments->force, "Clean this host even if data is lost");
  command->add_flag("--ignore-errors", arguments->ignore_errors, "Exit 0, errors as warnings");
  add_common(command, common);
  command->callback([=, &common, &status] { status = run_detach(common, *arguments); });
}

void add_by_id(CLI::App& app, Common& common, int& status, const char* name, const char* help,
               int (*run)(const Common&, const std::string&)) {
  auto id = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("id", *id, "What attach printed as id")->required();
  add_common(command, common);
  command->callback([=, &common, &status] { status = run(common, *id); });
}

void add_plain(CLI::App& app, Common& common, int& status, const char* name, const char* help,
               int (*run)(const Common&)) {
  CLI::App* command = app.add_subcommand(name, help);
  add_common(command, common);
  command->callback([=, &common, &status] { status = run(common); });
}

void add_discover(CLI::App& app, Common& common, int& status) {
  auto portal = std::make_shared<std::string>();
  auto chap_file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("discover", "Ask a portal for its targets");
  command->add_option("--portal", *portal, "host[:port]")->required();
  command->add_option("--chap-file", *chap_file, "File with username and password (0600)");
  add_common(command, common);
  command->callback([=, &common, &status] { status = run_discover(common, *portal, *chap_file); });
}

int run(int argc, char** argv) {
  CLI::App app("Attaches and detaches iSCSI volumes, with multipath.", "hawser");
  app.require_subcommand(1);
  Common common;
  int status = 0;
  add_attach(app, common, status);
  add_detach(app, common, status);
  add_plain(app, common, status, "list", "What is attached", &run_list);
  add_by_id(app, common, status, "show", "One attachment: paths, states, identity", &run_show);
  add_by_id(app, common, status, "log", "The transaction log of an attachment", &run_log);
  add_plain(app, common, status, "recover", "Undo or complete what others left half-done",
            &run_recover);
  add_discover(app, common, status);
  add_plain(app, common, status, "sessions", "iSCSI sessions, with states and counters",
            &run_sessions);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    // --json may stand behind what was wrong.
    for (int i = 1; i < argc; ++i)
      common.json = common.json || std::string_view(argv[i]) == "--json";
    report(common, Error(Errc::invalid_argument, error.what()).with(Stage::input));
    return kUsage;
  }
  return status;
}

}  // namespace
}  // namespace hawser::cli

int main(int argc, char** argv) {
  try {
    return hawser::cli::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "hawser: " << error.what() << '\n';
    return 1;
  }
}
