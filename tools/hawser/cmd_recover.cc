#include "tools/hawser/command.h"
#include "tools/hawser/exit_status.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_recover(const Run& run) {
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const RecoverReport report, client.recover(run.ctx));
  return Output{.out = run.invocation.json ? to_json(report) : to_text(report),
                .exit_status = report.failed.empty() ? kExitDone : kExitLeft};
}

}  // namespace hawser::tool
