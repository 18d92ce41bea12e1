#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "hawser/ctx.h"

namespace hawser {

// multipathd over its command socket. Its answers are hints: the kernel shows what became of them.
// Thread-safe: each command has a connection of its own.
//
// Under socket activation a connection starts multipathd, so a host that has it has it running.
class MultipathdClient {
 public:
  // Only a daemon of `trusted_uid` is asked or believed.
  explicit MultipathdClient(std::string socket_name = "/org/kernel/linux/storage/multipathd",
                            bool is_abstract = true, uid_t trusted_uid = 0)
      : socket_name_(std::move(socket_name)),
        is_abstract_(is_abstract),
        trusted_uid_(trusted_uid) {}

  // Sends one command and returns the answer, without the NUL and line ends at its end.
  // Errors: unavailable (not running), permission_denied (somebody else listens there), protocol,
  // deadline_exceeded.
  Result<std::string> command(const Ctx& ctx, std::string_view text) const;

 private:
  const std::string socket_name_;
  const bool is_abstract_;
  const uid_t trusted_uid_;
};

}  // namespace hawser
