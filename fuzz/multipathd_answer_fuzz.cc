// Property: an answer is read line by line as a plain second decoder reads it; and a command that
// is framed is what its frame says.
//
// Input: a device; what is asked about it; the answer, as it comes, behind its length.
#include <cstring>
#include <sstream>
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "wire/multipathd_answer.h"

namespace {

// A line: its first word, and what follows the blanks.
struct Line {
  std::string device{};
  std::string rest{};
};

std::vector<Line> lines_of(const std::string& answer) {
  std::istringstream stream(answer);
  std::vector<Line> lines;
  for (std::string text; std::getline(stream, text);) {
    text.erase(text.find_last_not_of(' ') + 1);
    const std::size_t blank = std::min(text.find(' '), text.size());
    const std::size_t rest = std::min(text.find_first_not_of(' ', blank), text.size());
    lines.push_back({.device = text.substr(0, blank), .rest = text.substr(rest)});
  }
  return lines;
}

std::optional<std::string> reference_field(const std::vector<Line>& lines,
                                           std::string_view device) {
  for (const Line& line : lines) {
    if (line.device != device) continue;
    const bool is_one = !line.rest.empty() && line.rest != "[undef]" && line.rest.size() < 128;
    return is_one ? std::optional(line.rest) : std::nullopt;
  }
  return std::nullopt;
}

void check_frame(const std::string& command) {
  const std::string frame = hawser::encode_multipathd_command(command);
  const std::string header = frame.substr(0, hawser::kMultipathdLengthBytes);
  const std::string body = frame.substr(header.size());
  HAWSER_ASSERT(*hawser::decode_multipathd_length(header) == body.size());
  HAWSER_ASSERT(body == command + '\0');
}

void check_length(std::string_view bytes) {
  const std::string_view header = bytes.substr(0, hawser::kMultipathdLengthBytes);
  const hawser::Result<std::size_t> length = hawser::decode_multipathd_length(header);
  std::uint64_t expected = 0;
  if (header.size() == sizeof expected) std::memcpy(&expected, header.data(), sizeof expected);
  HAWSER_ASSERT(length.has_value() == (expected > 0 && expected <= 4 * 1024 * 1024));
  if (length) HAWSER_ASSERT(*length == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string_view device = input.line();
  const std::string_view asked = input.line();
  check_length(input.rest());
  check_frame(std::string(asked));

  const std::string answer(hawser::multipathd_text(input.rest()));
  HAWSER_ASSERT(answer.find('\0') == answer.npos);
  HAWSER_ASSERT(!answer.ends_with('\n'));
  HAWSER_ASSERT(input.rest().starts_with(answer));
  const std::vector<Line> lines = lines_of(answer);
  HAWSER_ASSERT(hawser::parse_path_field(answer, device) == reference_field(lines, device));

  const hawser::PathOffer offer = hawser::parse_add_path(answer);
  HAWSER_ASSERT((offer == hawser::PathOffer::accepted) == (answer.substr(0, 2) == "ok"));
  HAWSER_ASSERT((offer == hawser::PathOffer::blacklisted) ==
                (answer.substr(0, 11) == "blacklisted"));
  return 0;
}
