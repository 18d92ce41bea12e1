#include "tools/hawser/command.h"
#include "tools/hawser/exit_status.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {
namespace {

Result<DetachReport> detach(const Run& run, Client& client, const Subject& subject) {
  HAWSER_TRY_ASSIGN(const std::string id, find_subject(run.ctx, client, subject));
  return client.detach(run.ctx, id, {.force = run.invocation.force});
}

}  // namespace

Result<Output> run_detach(const Run& run) {
  const Invocation& invocation = run.invocation;
  HAWSER_TRY_ASSIGN(const Subject subject, read_subject(run.ctx, invocation));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));

  Result<DetachReport> report = detach(run, client, subject);
  Output output;
  if (!report) {
    const int status = exit_status(report.error());
    const bool is_the_callers = status == kExitUsage || status == kExitNotPermitted;
    if (!invocation.ignore_errors || is_the_callers) return std::move(report).error();
    if (invocation.json) {
      output.out = to_json_ignored(subject.id, report.error());
    } else {
      output.notes = {"not detached, ignored: " + report.error().message()};
    }
    return output;
  }
  if (invocation.json && !report->was_attached && report->warnings.empty()) {
    report->warnings.emplace_back("was not attached");
  }
  if (!report->leftovers.empty() && !invocation.ignore_errors) output.exit_status = kExitLeft;
  output.out = invocation.json ? to_json(*report) : to_text(*report);
  return output;
}

}  // namespace hawser::tool
