#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_sessions(const Run& run) {
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const std::vector<SessionReport> sessions, client.sessions(run.ctx));
  return Output{.out = run.invocation.json ? to_json(sessions) : to_text(sessions)};
}

}  // namespace hawser::tool
