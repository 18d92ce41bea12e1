#pragma once

#include <string>
#include <vector>

namespace hawser {

// For a message: "sdb, sdc, sdd".
inline std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace hawser
