#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hawser/client.h"

#include "tools/hawser/options.h"
#include "tools/hawser/stop_on_signal.h"

namespace hawser::tool {

// What a command has to say.
struct Output {
  std::string out{};                 // For stdout.
  std::vector<std::string> notes{};  // For stderr, one line each.
  int exit_status = 0;
};

// What a command works with.
struct Run {
  const Ctx& ctx;
  const Invocation& invocation;
  StopOnSignal& signals;
  ClientOptions client;
};

// One cmd_*.cc each. Input is checked before the client is opened, so that wrong input is told from
// missing privileges.
Result<Output> run_attach(const Run& run);
Result<Output> run_detach(const Run& run);
Result<Output> run_resize(const Run& run);
Result<Output> run_list(const Run& run);
Result<Output> run_show(const Run& run);
Result<Output> run_log(const Run& run);
Result<Output> run_recover(const Run& run);
Result<Output> run_discover(const Run& run);
Result<Output> run_sessions(const Run& run);

// Opens the client. From here on a signal asks the work to stop; before, it kills, since nothing
// has been done yet.
Result<Client> open_client(const Run& run);

// The attachment that is meant: by itself, or by the specification that it came from.
struct Subject {
  std::string id{};
  std::optional<VolumeSpec> spec{};
};
// Errors: invalid_argument at Stage::input.
Result<Subject> read_subject(const Ctx& ctx, const Invocation& invocation);

// Its id. Errors: those of Client::find().
Result<std::string> find_subject(const Ctx& ctx, Client& client, const Subject& subject);

// Checks that an id could be one. Errors: invalid_argument at Stage::input.
Status check_id(const std::string& id);

}  // namespace hawser::tool
