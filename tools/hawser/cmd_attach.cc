#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/spec_options.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_attach(const Run& run) {
  const Invocation& invocation = run.invocation;
  HAWSER_TRY_ASSIGN(const VolumeSpec spec, read_spec_to_attach(run.ctx, invocation));
  HAWSER_TRY_ASSIGN(Client client, open_client(run));

  AttachOptions options;
  options.multipath = invocation.multipath;
  options.login_timeout = invocation.login_timeout;
  options.login_tries = invocation.login_tries;
  options.scan_tries = invocation.scan_tries;
  options.scan_interval = invocation.scan_interval;
  options.node_record = invocation.node_record;
  HAWSER_TRY_ASSIGN(Attachment attachment, client.attach(run.ctx, spec, options));

  if (attachment.already_attached && attachment.warnings.empty()) {
    attachment.warnings.emplace_back("was attached already");
  }
  Output output;
  if (invocation.json) {
    output.out = to_json(attachment, spec.notes);
  } else {
    output.out = to_text(attachment);
    output.notes = spec.notes;
  }
  return output;
}

}  // namespace hawser::tool
