#include "tools/hawser/command.h"

#include <algorithm>
#include <utility>

#include "tools/hawser/spec_options.h"

namespace hawser::tool {

Result<Client> open_client(const Run& run) {
  run.signals.start();
  return Client::open(run.client);
}

Result<Subject> read_subject(const Ctx& ctx, const Invocation& invocation) {
  if (!invocation.id.empty()) {
    HAWSER_TRY(check_id(invocation.id));
    return Subject{.id = invocation.id};
  }
  HAWSER_TRY_ASSIGN(VolumeSpec spec, read_spec(ctx, invocation.spec));
  std::string id = attachment_id(spec);
  return Subject{.id = std::move(id), .spec = std::move(spec)};
}

Result<std::string> find_subject(const Ctx& ctx, Client& client, const Subject& subject) {
  if (!subject.spec) return subject.id;
  return client.find(ctx, *subject.spec);
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
