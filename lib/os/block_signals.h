#pragma once

#include <signal.h>

#include "hawser/detail/assert.h"

namespace hawser {

// Threads inherit the mask they are started under: the host's signals stay with its own threads.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    ::sigfillset(&all);
    HAWSER_ASSERT(::pthread_sigmask(SIG_BLOCK, &all, &before_) == 0);
  }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;
  ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace hawser
