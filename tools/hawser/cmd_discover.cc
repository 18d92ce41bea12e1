#include "tools/hawser/command.h"
#include "tools/hawser/json_output.h"
#include "tools/hawser/spec_options.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

Result<Output> run_discover(const Run& run) {
  const SpecOptions& options = run.invocation.spec;
  HAWSER_TRY_ASSIGN(const Portal portal, parse_portal_option(options.portals.front()));
  std::optional<Chap> chap;
  if (!options.chap_file.empty()) {
    HAWSER_TRY_ASSIGN(chap, read_chap_file(run.ctx, "--chap-file", options.chap_file));
  }
  HAWSER_TRY_ASSIGN(Client client, open_client(run));
  HAWSER_TRY_ASSIGN(const std::vector<DiscoveredTarget> targets,
                    client.discover(run.ctx, portal, chap));
  return Output{.out = run.invocation.json ? to_json(targets) : to_text(targets)};
}

}  // namespace hawser::tool
