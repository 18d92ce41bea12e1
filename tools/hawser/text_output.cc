#include "tools/hawser/text_output.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hawser::tool {
namespace {

constexpr std::string_view kIndent = "  ";

std::string number(double value, const char* unit) {
  std::array<char, 32> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.1f %s", value, unit);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string milliseconds(std::chrono::nanoseconds time) {
  return number(static_cast<double>(time.count()) / 1e6, "ms");
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return number(value, kUnits.at(unit));
}

std::string active_of_all(const Attachment& attachment) {
  const auto active = std::count_if(attachment.paths.begin(), attachment.paths.end(),
                                    [](const PathReport& path) { return path.state == "active"; });
  return std::to_string(active) + "/" + std::to_string(attachment.paths.size());
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string line(std::string_view label, const std::string& value) {
  std::string text(kIndent);
  text += label;
  text.append(label.size() < 14 ? 14 - label.size() : 1, ' ');
  return text + or_dash(value) + '\n';
}

using Row = std::vector<std::string>;

// Columns as wide as their widest cell.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size() + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

Row path_row(const PathReport& path) {
  std::string error = path.error ? printable(path.error->message()) : std::string();
  return {std::string(kIndent) + printable(to_string(path.portal)),
          or_dash(path.target),
          "lun " + std::to_string(path.lun),
          or_dash(path.iface),
          or_dash(path.state),
          path.sid ? "sid " + std::to_string(*path.sid) : "-",
          or_dash(path.hctl),
          or_dash(path.device),
          path.login_time ? milliseconds(*path.login_time) : "-",
          std::move(error)};
}

// What to do now, as far as the error tells.
std::string advice(const Error& error) {
  if (error.outcome() == Outcome::unknown) {
    return "Something is left on this host: run 'hawser recover'.\n";
  }
  if (error.data_at_risk() && error.stage() == Stage::scan) {
    return "The size is as it was. Use --allow-shrink to give up what lies beyond the new one.\n";
  }
  if (error.data_at_risk()) {
    return "Nothing was removed. Try again when the target is back, or use --force to give up what "
           "was not written.\n";
  }
  if (error.retryable()) return "The host is as it was. Trying again later may help.\n";
  return "";
}

// The UTF-8 character at the begin of `text`, or one byte that begins none.
std::string_view first_character(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text.front());
  const std::size_t size = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  const std::string_view rest = text.substr(1, size - 1);
  const bool is_whole = rest.size() == size - 1 && std::all_of(rest.begin(), rest.end(), continues);
  return text.substr(0, is_whole ? size : 1);
}

// No control character, C1 included, which terminals take for escape sequences with or without
// UTF-8, and none that ends a line or turns its direction.
bool is_harmless(std::string_view character) {
  if (character.size() == 1) return character.front() >= ' ' && character.front() < 0x7f;
  return !(character >= "\xc2\x80" && character <= "\xc2\x9f") &&          // U+0080 to U+009F
         !(character >= "\xe2\x80\xa8" && character <= "\xe2\x80\xae") &&  // U+2028 to U+202E
         !(character >= "\xe2\x81\xa6" && character <= "\xe2\x81\xa9");    // U+2066 to U+2069
}

}  // namespace

std::string printable(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    if (is_harmless(character)) {
      clean += character;
    } else {
      clean += '?';
    }
    text.remove_prefix(character.size());
  }
  return clean;
}

std::string to_text(const Error& error) {
  std::string text = "hawser: " + printable(error.message()) + " (" +
                     std::string(to_string(error.code())) + ", stage " +
                     std::string(to_string(error.stage())) + ")\n";
  for (const Error& path : error.paths()) {
    text += kIndent;
    if (!path.portal().empty()) text += printable(path.portal()) + ": ";
    text += printable(path.message()) + '\n';
  }
  return text + advice(error);
}

std::string to_text(const Attachment& attachment) {
  std::string text = or_dash(attachment.path) + ": " + or_dash(attachment.status) + ", " +
                     size_text(attachment.size_bytes) + ", " + active_of_all(attachment) +
                     " paths" + (attachment.degraded ? ", degraded" : "") +
                     (attachment.read_only ? ", read-only" : "") + '\n';
  text += line("id", attachment.id);
  text += line("stable path", attachment.stable_path);
  text += line("identity", attachment.wwid);
  text += line("multipath", attachment.multipath ? "yes" : "no");
  if (!attachment.volume_id.empty()) text += line("volume", attachment.volume_id);
  if (attachment.elapsed.count() > 0) text += line("took", milliseconds(attachment.elapsed));

  std::vector<Row> rows;
  for (const PathReport& path : attachment.paths)
    rows.push_back(path_row(path));
  text += table(rows);
  return text + to_text("  warning: ", attachment.warnings);
}

std::string to_text(const std::vector<Attachment>& attachments) {
  if (attachments.empty()) return "nothing is attached\n";
  std::vector<Row> rows = {{"ID", "STATUS", "DEVICE", "SIZE", "PATHS", "IDENTITY"}};
  for (const Attachment& attachment : attachments) {
    rows.push_back({or_dash(attachment.id), or_dash(attachment.status), or_dash(attachment.path),
                    size_text(attachment.size_bytes), active_of_all(attachment),
                    or_dash(attachment.wwid)});
  }
  return table(rows);
}

std::string to_text(const DetachReport& report) {
  std::string text = printable(report.id);
  if (!report.was_attached) {
    text += ": was not attached, nothing to do\n";
  } else {
    text += ": detached";
    if (report.data_at_risk) {
      text += ", DATA MAY BE LOST: not everything written reached the target";
    } else if (!report.flushed) {
      text += ", not flushed";
    }
    text += '\n';
  }
  return text + to_text("  left: ", report.leftovers) + to_text("  warning: ", report.warnings);
}

std::string to_text(const ResizeReport& report) {
  const std::string size = size_text(report.size_bytes);
  std::string text = printable(report.id) + ": " +
                     (report.size_bytes == report.old_size_bytes
                          ? size + ", as before\n"
                          : size_text(report.old_size_bytes) + " before, " + size + " now\n");
  std::vector<Row> rows;
  for (const PathReport& path : report.paths)
    rows.push_back(path_row(path));
  return text + table(rows) + to_text("  warning: ", report.warnings);
}

std::string to_text(const RecoverReport& report) {
  std::string text = to_text("attach undone: ", report.undone) +
                     to_text("detach completed: ", report.completed) +
                     to_text("still attached: ", report.kept);
  for (const RecoverReport::Failure& failure : report.failed)
    text += "failed: " + printable(failure.id) + ": " + printable(failure.error.message()) + '\n';
  return text.empty() ? "nothing was left half-done\n" : text;
}

std::string to_text(const std::vector<DiscoveredTarget>& targets) {
  std::string text;
  for (const DiscoveredTarget& target : targets) {
    for (const Portal& portal : target.portals)
      text += printable(to_string(portal)) + ' ' + printable(target.target) + '\n';
  }
  return text.empty() ? "the portal serves no target\n" : text;
}

std::string to_text(const std::vector<SessionReport>& sessions) {
  if (sessions.empty()) return "no sessions\n";
  std::vector<Row> rows = {
      {"SID", "STATE", "PORTAL", "TARGET", "IFACE", "SENT", "RECEIVED", "ERRORS", "DEVICES"}};
  for (const SessionReport& session : sessions) {
    std::string devices;
    for (const std::string& device : session.devices)
      devices += (devices.empty() ? "" : ",") + device;
    const auto& counters = session.counters;
    rows.push_back({std::to_string(session.sid), or_dash(session.state),
                    printable(to_string(session.portal)), or_dash(session.target),
                    or_dash(session.iface), counters ? size_text(counters->tx_bytes) : "-",
                    counters ? size_text(counters->rx_bytes) : "-",
                    counters ? std::to_string(std::uint64_t{counters->digest_errors} +
                                              counters->timeout_errors)
                             : "-",
                    or_dash(devices)});
  }
  return table(rows);
}

std::string to_text(const Event& event) {
  std::string text = "hawser: ";
  if (!event.portal.empty()) text += printable(event.portal) + ": ";
  return text + printable(event.text) + " (" + printable(event.name) + ")\n";
}

std::string to_text(std::string_view label, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& one : lines)
    text += std::string(label) + printable(one) + '\n';
  return text;
}

}  // namespace hawser::tool
