#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_show(const Run& run) {
  HAWSER_TRY(check_id(run.invocation.id));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const Attachment attachment, client.show(run.ctx, run.invocation.id));
  return Output{.out = run.invocation.json ? to_json(attachment) : to_text(attachment)};
}

}  // namespace hawser::tool
