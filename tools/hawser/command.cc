#include "tools/hawser/command.h"

#include <algorithm>

namespace hawser::tool {

Result<Client> open_client(const Run& run) {
  run.signals.start();
  return Client::open(run.client);
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
