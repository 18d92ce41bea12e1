// The documents of the command line's contract. Each is one line, without the newline. It is
// ASCII, whatever a target calls itself: safe on a terminal too. Bytes that are not UTF-8 come out
// as U+FFFD.
#pragma once

#include <string>
#include <vector>

#include "hawser/client.h"

namespace hawser::tool {

std::string to_json(const Error& error);
std::string to_json(const Attachment& attachment);
// As the other, with the notes on the specification.
std::string to_json(const Attachment& attachment, const std::vector<std::string>& notes);
std::string to_json(const std::vector<Attachment>& attachments);
std::string to_json(const DetachReport& report);
// What --ignore-errors makes of a detach that failed.
std::string to_json_ignored(const std::string& id, const Error& error);
std::string to_json(const ResizeReport& report);
std::string to_json(const RecoverReport& report);
std::string to_json(const std::vector<DiscoveredTarget>& targets);
std::string to_json(const std::vector<SessionReport>& sessions);
std::string to_json(const std::vector<std::string>& records);
std::string to_json(const Event& event);

}  // namespace hawser::tool
