#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_log(const Run& run) {
  const std::string& id = run.invocation.id;
  HAWSER_TRY(check_id(id));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const std::vector<std::string> records, client.log(run.ctx, id));
  return Output{.out = run.invocation.json ? to_json(records) : to_text("", records)};
}

}  // namespace hawser::tool
