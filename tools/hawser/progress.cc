#include "tools/hawser/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <ostream>

#include "tools/hawser/json_output.h"
#include "tools/hawser/text_output.h"

namespace hawser::tool {

EventPrinter::EventPrinter(std::ostream& out, Style style, Event::Level level, std::size_t columns)
    : out_(out), style_(style), level_(level), columns_(columns) {}

EventPrinter::~EventPrinter() { clear(); }

void EventPrinter::print(const Event& event) {
  if (style_ == Style::silent || event.level < level_) return;
  const std::lock_guard lock(mutex_);
  if (style_ == Style::json) {
    out_ << to_json(event) << '\n' << std::flush;
    return;
  }
  if (style_ == Style::text) {
    out_ << to_text(event) << std::flush;
    return;
  }
  std::string line = event.portal.empty() ? event.text : event.portal + ": " + event.text;
  line = printable(line);
  // A line that wraps could not be taken back.
  if (line.size() >= columns_) line.resize(columns_ - 1);
  clear_line();
  out_ << line << std::flush;
  has_line_ = true;
}

void EventPrinter::clear() {
  const std::lock_guard lock(mutex_);
  clear_line();
  out_ << std::flush;
}

void EventPrinter::clear_line() {
  if (has_line_) out_ << "\r\x1b[K";  // ECMA-48 EL: erase to the end of the line.
  has_line_ = false;
}

std::optional<std::size_t> terminal_columns(int fd) {
  constexpr std::size_t kColumnsUsual = 80;
  if (::isatty(fd) == 0) return std::nullopt;
  struct winsize size {};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return kColumnsUsual;
  return size.ws_col;
}

}  // namespace hawser::tool
