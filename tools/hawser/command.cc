#include "tools/hawser/command.h"

#include <algorithm>

#include "tools/hawser/spec_options.h"

namespace hawser::tool {

Result<Client> open_client(const Run& run) {
  run.signals.start();
  return Client::open(run.client);
}

Result<std::string> read_subject(const Ctx& ctx, const Invocation& invocation) {
  if (!invocation.id.empty()) {
    HAWSER_TRY(check_id(invocation.id));
    return invocation.id;
  }
  HAWSER_TRY_ASSIGN(const VolumeSpec spec, read_spec(ctx, invocation.spec));
  return attachment_id(spec);
}

Status check_id(const std::string& id) {
  constexpr std::size_t kIdBytesMax = 64;
  const auto is_id_char = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  // An id becomes the name of a file.
  if (!id.empty() && id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), is_id_char)) {
    return ok();
  }
  return Error(Errc::invalid_argument, "ID: '" + id + "' is none").with(Stage::input);
}

}  // namespace hawser::tool
