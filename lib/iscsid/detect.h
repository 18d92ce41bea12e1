#pragma once

#include "iscsid/exchange.h"

namespace hawser {

// Finds the layout of the running daemon by asking it questions that change nothing: is a request
// of so many bytes enough, and is the transport's name where this layout has it?
//
// Errors: unsupported (a layout that is not known; says which size it wants), and those of
// connect_iscsid().
Result<IscsidLayoutCache::Entry> detect_layout(const Ctx& ctx, const IscsidEndpoint& endpoint);

}  // namespace hawser
