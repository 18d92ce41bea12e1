#include "wire/multipathd_answer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hawser {
namespace {

constexpr std::size_t kAnswerBytesMax = 4 * 1024 * 1024;

// Takes the first line of `answer`: a device, blanks, and the rest without blanks at its end.
std::pair<std::string_view, std::string_view> take_line(std::string_view& answer) {
  std::string_view line = answer.substr(0, answer.find('\n'));
  answer.remove_prefix(std::min(answer.size(), line.size() + 1));
  while (line.ends_with(' '))
    line.remove_suffix(1);
  const std::size_t space = line.find(' ');
  if (space == line.npos) return {line, {}};
  return {line.substr(0, space), line.substr(line.find_first_not_of(' ', space))};
}

}  // namespace

std::string encode_multipathd_command(std::string_view text) {
  const std::size_t length = text.size() + 1;
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes += text;
  bytes += '\0';
  return bytes;
}

Result<std::size_t> decode_multipathd_length(std::string_view header) {
  std::size_t length = 0;
  if (header.size() != sizeof length) {
    return Error(Errc::protocol, "multipathd's answer begins with no length");
  }
  std::memcpy(&length, header.data(), sizeof length);
  if (length == 0 || length > kAnswerBytesMax) {
    return Error(Errc::protocol,
                 "multipathd announces an answer of " + std::to_string(length) + " bytes");
  }
  return length;
}

std::string_view multipathd_text(std::string_view bytes) {
  std::string_view text = bytes.substr(0, bytes.find('\0'));
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  return text;
}

PathOffer parse_add_path(std::string_view answer) {
  if (answer.starts_with("blacklisted")) return PathOffer::blacklisted;
  if (answer.starts_with("ok")) return PathOffer::accepted;
  // "fail" while udev has not handled the device, "timeout", "delayed".
  return PathOffer::undecided;
}

std::optional<std::string> parse_path_field(std::string_view answer, std::string_view device) {
  while (!answer.empty()) {
    const auto [name, field] = take_line(answer);
    if (name != device) continue;
    if (field.empty() || field == "[undef]" || field.size() > 127) return std::nullopt;
    return std::string(field);
  }
  return std::nullopt;
}

}  // namespace hawser
