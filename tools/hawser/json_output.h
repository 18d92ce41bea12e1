// The documents of the command line's contract.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "hawser/attachment.h"

namespace hawser::cli {

using Json = nlohmann::ordered_json;

Json to_json(const Error& error);
Json error_document(const Error& error);
Json to_json(const Attachment& attachment);
Json to_json(const std::vector<Attachment>& attachments);
Json to_json(const std::vector<std::string>& lines);
Json to_json(const DetachReport& report);
Json to_json(const RecoverReport& report);
Json to_json(const std::vector<DiscoveredTarget>& targets);
Json to_json(const std::vector<SessionReport>& sessions);

}  // namespace hawser::cli
