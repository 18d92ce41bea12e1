// The text that device-mapper's multipath target takes and gives.
// Source: Linux drivers/md/dm-mpath.c, parse_path_selector() and multipath_status().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hawser/result.h"

#include "model/map.h"

namespace hawser {

std::string encode_table(const MapTable& table);

// Errors: protocol.
Result<MapTable> decode_table(std::string_view params);

// The paths of a status line. Errors: protocol.
Result<std::vector<MapPathStatus>> decode_status(std::string_view status);

}  // namespace hawser
