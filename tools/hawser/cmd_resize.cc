#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_resize(const Run& run) {
  const Invocation& invocation = run.invocation;
  HAWSER_TRY_ASSIGN(const Subject subject, read_subject(run.ctx, invocation));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const std::string id, find_subject(run.ctx, client, subject));
  HAWSER_TRY_ASSIGN(const ResizeReport report,
                    client.resize(run.ctx, id, {.allow_shrink = invocation.allow_shrink}));
  return Output{.out = invocation.json ? to_json(report) : to_text(report)};
}

}  // namespace hawser::tool
