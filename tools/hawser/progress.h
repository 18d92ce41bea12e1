#pragma once

#include <iosfwd>
#include <mutex>
#include <optional>
#include <string>

#include "hawser/client.h"

namespace hawser::tool {

// What becomes of the events of the library: nothing, a log, or one line on a terminal that says
// what is waited for. Thread-safe.
class EventPrinter {
 public:
  enum class Style { silent, progress, text, json };

  // `out` must outlive it. Events below `level` are left out. `columns` is the terminal's width.
  EventPrinter(std::ostream& out, Style style, Event::Level level, std::size_t columns);
  EventPrinter(const EventPrinter&) = delete;
  EventPrinter& operator=(const EventPrinter&) = delete;
  ~EventPrinter();

  void print(const Event& event);

  // Removes the progress line, so that something else can be printed.
  void clear();

 private:
  void clear_line();

  std::ostream& out_;
  const Style style_;
  const Event::Level level_;
  const std::size_t columns_;
  std::mutex mutex_{};
  bool has_line_ = false;
};

// The width of the terminal on `fd`, or nothing if there is none.
std::optional<std::size_t> terminal_columns(int fd);

}  // namespace hawser::tool
