#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/spec_options.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {
namespace {

Result<JoinOptions> join_options(const Run& run) {
  JoinOptions options{.login_timeout = run.invocation.login_timeout};
  const std::string& file = run.invocation.spec.chap_file;
  if (file.empty()) return options;
  HAWSER_TRY_ASSIGN(options.chap, read_chap_file(run.ctx, "--chap-file", file));
  return options;
}

}  // namespace

Result<Output> run_show(const Run& run) {
  const Invocation& invocation = run.invocation;
  HAWSER_TRY(check_id(invocation.id));
  HAWSER_TRY_ASSIGN(const JoinOptions options, join_options(run));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const Attachment attachment, invocation.join
                                                     ? client.join(run.ctx, invocation.id, options)
                                                     : client.show(run.ctx, invocation.id));
  return Output{.out = invocation.json ? to_json(attachment) : to_text(attachment)};
}

}  // namespace hawser::tool
