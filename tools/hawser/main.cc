#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <utility>

#include "tools/hawser/command.h"
#include "tools/hawser/exit_status.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/options.h"
#include "tools/hawser/own_process.h"
#include "tools/hawser/progress.h"
#include "tools/hawser/stop_on_signal.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {
namespace {

// The work ends by its deadline, or what takes it back half a minute later. If it does not,
// something hangs that should not be able to.
constexpr auto kStuckSlack = std::chrono::seconds(60);

// A file opened in place of a closed stdout would get what is printed: a transaction log, say.
bool has_standard_files() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

EventPrinter::Style event_style(const Invocation& invocation, bool is_terminal) {
  if (invocation.log_json) return EventPrinter::Style::json;
  if (invocation.log_level) return EventPrinter::Style::text;
  return is_terminal ? EventPrinter::Style::progress : EventPrinter::Style::silent;
}

Result<Output> run_command(const Run& run) {
  switch (run.invocation.command) {
    case Command::attach: return run_attach(run);
    case Command::detach: return run_detach(run);
    case Command::resize: return run_resize(run);
    case Command::list: return run_list(run);
    case Command::show: return run_show(run);
    case Command::log: return run_log(run);
    case Command::recover: return run_recover(run);
    case Command::discover: return run_discover(run);
    case Command::sessions: return run_sessions(run);
  }
  return Error(Errc::internal, "command without an implementation");
}

int print_error(const Error& error, bool json) {
  if (json) {
    std::cout << to_json(error) << '\n' << std::flush;
  } else {
    std::cerr << to_text(error);
  }
  return exit_status(error);
}

int print_output(const Output& output, const Invocation& invocation) {
  for (const std::string& note : output.notes)
    std::cerr << "hawser: " << printable(note) << '\n';
  std::cout << output.out << (invocation.json ? "\n" : "") << std::flush;
  if (std::cout) return output.exit_status;
  std::cerr << "hawser: done, but stdout does not take the answer; see 'hawser list'\n";
  return kExitLeft;
}

Result<Output> run_with_signals(const Invocation& invocation, Listen listen, const Clock& clock) {
  const TimePoint deadline = clock.now() + invocation.timeout;
  const auto columns = terminal_columns(STDERR_FILENO);
  EventPrinter events(std::cerr, event_style(invocation, columns.has_value()),
                      invocation.log_level.value_or(Event::Level::info), columns.value_or(0));
  StopOnSignal signals(listen);
  const Ctx ctx{.clock = clock, .deadline = deadline, .stop = signals.token()};
  return run_command({.ctx = ctx,
                      .invocation = invocation,
                      .signals = signals,
                      .client = {.state_dir = invocation.state_dir,
                                 .on_event = [&events](const Event& e) { events.print(e); }}});
}

int run_and_print(const Invocation& invocation, Listen listen) {
  const SystemClock clock;
  const Result<Output> output = run_with_signals(invocation, listen, clock);
  return output ? print_output(*output, invocation) : print_error(output.error(), invocation.json);
}

// A scan, a flush or a close that cannot finish takes a process with it, however it is asked to
// end.
int run(std::span<const char* const> words) {
  auto parsed = parse_command_line(words);
  if (!parsed) return print_error(parsed.error(), asks_for_json(words));
  if (const auto* help = std::get_if<HelpText>(&*parsed)) {
    std::cout << help->text << std::flush;
    return kExitDone;
  }
  const auto& invocation = std::get<Invocation>(*parsed);
  const std::optional<int> status =
      run_in_own_process(invocation.timeout + kStuckSlack, [&](bool is_child) {
        return run_and_print(invocation, is_child ? Listen::to_parent : Listen::to_everybody);
      });
  if (status) return *status;
  const Error stuck(Errc::deadline_exceeded,
                    "it is stuck in the kernel and was left behind; see 'hawser list', and run "
                    "recover once the volume's paths are back");
  return print_error(Error(stuck).with(Outcome::unknown), invocation.json);
}

}  // namespace
}  // namespace hawser::tool

int main(int argc, char** argv) {
  using namespace hawser;
  if (!tool::has_standard_files()) return tool::kExitFailed;
  // Whoever reads the progress may go away; the work goes on, and the answer's fate is checked.
  (void)std::signal(SIGPIPE, SIG_IGN);
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  const auto arguments = words.subspan(words.empty() ? 0 : 1);
  try {
    return tool::run(arguments);
  } catch (const std::exception& failure) {  // No memory, most likely.
    const Error error = Error(Errc::internal, failure.what()).with(Outcome::unknown);
    return tool::print_error(error, tool::asks_for_json(arguments));
  }
}
