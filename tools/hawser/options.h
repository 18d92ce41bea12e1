// What was typed, checked word by word: numbers are numbers, choices are choices. Whether the
// volume that it describes makes sense is for spec_options.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "hawser/client.h"

namespace hawser::tool {

enum class Command { attach, detach, resize, list, show, log, recover, discover, sessions };

// Where the specification of a volume comes from.
struct SpecOptions {
  std::string file{};  // --spec; "-" is stdin.
  std::string target{};
  std::vector<std::string> portals{};
  std::string lun{};
  std::string chap_file{};
  std::string discovery_chap_file{};
  std::vector<std::string> ifaces{};
  std::optional<bool> discovery{};

  // What makes no specification by itself.
  bool has_details() const {
    return !chap_file.empty() || !discovery_chap_file.empty() || !ifaces.empty() || discovery;
  }
  bool is_given() const {
    return !file.empty() || !target.empty() || !portals.empty() || !lun.empty();
  }
};

struct Invocation {
  Command command = Command::list;

  // Of every command.
  bool json = false;
  bool log_json = false;
  std::optional<Event::Level> log_level{};  // Empty: no log.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  std::string state_dir = ClientOptions{}.state_dir;

  // Of some.
  std::string id{};
  SpecOptions spec{};
  Multipath multipath = Multipath::preferred;
  std::optional<std::uint32_t> min_paths{};
  std::optional<std::chrono::nanoseconds> grace{};
  std::chrono::seconds login_timeout = AttachOptions{}.login_timeout;
  std::uint32_t login_tries = AttachOptions{}.login_tries;
  std::uint32_t scan_tries = AttachOptions{}.scan_tries;
  std::chrono::milliseconds scan_interval = AttachOptions{}.scan_interval;
  std::string expected_wwid{};
  bool node_record = false;
  bool force = false;
  bool ignore_errors = false;
  bool join = false;
  bool allow_shrink = false;
};

// --help or --version: a text for stdout, and nothing to do.
struct HelpText {
  std::string text;
};

// `words` are the arguments without the program's name.
//
// Errors: invalid_argument at Stage::input, naming the option.
Result<std::variant<Invocation, HelpText>> parse_command_line(std::span<const char* const> words);

// Whether the arguments ask for JSON. Errors in the arguments are printed as JSON too, and then
// parse_command_line() has no answer.
bool asks_for_json(std::span<const char* const> words);

}  // namespace hawser::tool
