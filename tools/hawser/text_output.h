// What people read.
#pragma once

#include <string>
#include <vector>

#include "hawser/attachment.h"

namespace hawser::cli {

// One paragraph: what failed, where, and what state things are in now.
std::string to_text(const Error& error);
std::string to_text(const Attachment& attachment);
std::string to_text(const DetachReport& report);
std::string to_text(const RecoverReport& report);
std::string to_text(const std::vector<DiscoveredTarget>& targets);
std::string to_text(const std::vector<SessionReport>& sessions);
std::string to_table(const std::vector<Attachment>& attachments);

}  // namespace hawser::cli
