#pragma once

#include "commands.h"

namespace hawser::cli {

// Shows what the library tells, on standard error: as progress on a terminal, else as a log.
class EventPrinter {
 public:
  explicit EventPrinter(const Common& common);

  void print(const Event& event);
  // Ends the line of progress.
  void finish();

 private:
  const Event::Level level_;
  const bool is_json_;
  const bool is_terminal_;
  bool is_line_open_ = false;
};

}  // namespace hawser::cli
