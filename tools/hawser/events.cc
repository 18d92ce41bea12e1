#include "events.h"

#include <unistd.h>

#include <iostream>

#include "json_output.h"

namespace hawser::cli {
namespace {

std::string_view level_word(Event::Level level) {
  switch (level) {
    case Event::Level::debug: return "debug";
    case Event::Level::info: return "info";
    case Event::Level::warning: return "warning";
    case Event::Level::error: return "error";
  }
  return "info";
}

Event::Level to_level(const std::string& word) {
  for (const Event::Level level :
       {Event::Level::debug, Event::Level::info, Event::Level::warning}) {
    if (word == level_word(level)) return level;
  }
  return Event::Level::error;
}

}  // namespace

EventPrinter::EventPrinter(const Common& common)
    : level_(to_level(common.log_level)),
      is_json_(common.log_json),
      is_terminal_(!common.log_json && ::isatty(STDERR_FILENO) == 1) {}

void EventPrinter::print(const Event& event) {
  const bool is_logged = event.level >= level_;
  const std::string portal = event.portal.empty() ? "" : event.portal + ": ";
  if (is_logged && is_json_) {
    std::cerr << Json{{"level", level_word(event.level)},
                      {"event", event.name},
                      {"portal", event.portal},
                      {"text", event.text}}
                     .dump()
              << '\n';
  } else if (is_logged) {
    finish();
    std::cerr << "hawser: " << level_word(event.level) << ": " << portal << event.text << '\n';
  } else if (is_terminal_) {
    std::cerr << "\r\033[K" << portal << event.text << std::flush;
    is_line_open_ = true;
  }
}

void EventPrinter::finish() {
  if (is_line_open_) std::cerr << "\r\033[K" << std::flush;
  is_line_open_ = false;
}

}  // namespace hawser::cli
