// What people read. Each text ends with a newline, unless it is empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hawser/client.h"

namespace hawser::tool {

// `text` without control characters and broken UTF-8: what a target or a file calls itself must not
// move the cursor, forge a line or turn one around.
std::string printable(std::string_view text);

std::string to_text(const Error& error);
std::string to_text(const Attachment& attachment);
std::string to_text(const std::vector<Attachment>& attachments);
std::string to_text(const DetachReport& report);
std::string to_text(const ResizeReport& report);
std::string to_text(const RecoverReport& report);
std::string to_text(const std::vector<DiscoveredTarget>& targets);
std::string to_text(const std::vector<SessionReport>& sessions);
std::string to_text(const Event& event);

// One line each.
std::string to_text(std::string_view label, const std::vector<std::string>& lines);

}  // namespace hawser::tool
