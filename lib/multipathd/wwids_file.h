#pragma once

#include <string>
#include <vector>

#include "hawser/ctx.h"

namespace hawser {

// The list of WWIDs that multipath-tools, and LVM with it, take for multipath.
// Source: multipath-tools libmultipath/wwids.c. Thread-safe, also against multipath-tools.
class WwidsFile {
 public:
  explicit WwidsFile(std::string path = "/etc/multipath/wwids") : path_(std::move(path)) {}

  // No file is no entries.
  Result<std::vector<std::string>> list(const Ctx& ctx) const;
  // Adding what is there, or removing what is not, is success.
  Status add(const Ctx& ctx, const std::string& wwid) const;
  Status remove(const Ctx& ctx, const std::string& wwid) const;

 private:
  const std::string path_;
};

}  // namespace hawser
