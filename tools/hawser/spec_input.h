#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hawser/volume.h"

namespace hawser::cli {

// The options that say which volume is meant.
struct SpecOptions {
  std::string file{};  // "-": standard input.
  std::string target{};
  std::vector<std::string> portals{};
  std::string lun{};
  std::string chap_file{};

  bool any() const { return !file.empty() || !target.empty() || !portals.empty() || !lun.empty(); }
};

// Errors: invalid_argument, naming the option or key.
Result<VolumeSpec> read_spec(const SpecOptions& options);

// Lines "name = value" with username, password, username_in, password_in.
// Errors: permission_denied (readable by others), invalid_argument, not_found.
Result<std::optional<Chap>> read_chap_file(const std::string& path);

}  // namespace hawser::cli
