#include "wire/journal_record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

#include "base/crc32c.h"

namespace hawser {
namespace {

constexpr std::size_t kNameBytesMax = 32;
constexpr std::size_t kCrcDigits = 8;

constexpr std::array<std::pair<RecordType, std::string_view>, 8> kTypes{{
    {RecordType::begin, "begin"},
    {RecordType::intent, "intent"},
    {RecordType::done, "done"},
    {RecordType::failed, "failed"},
    {RecordType::undone, "undone"},
    {RecordType::commit, "commit"},
    {RecordType::abort, "abort"},
    {RecordType::note, "note"},
}};

std::string_view to_string(RecordType type) {
  for (const auto& [value, name] : kTypes) {
    if (value == type) return name;
  }
  return "note";
}

std::optional<RecordType> to_type(std::string_view text) {
  for (const auto& [value, name] : kTypes) {
    if (name == text) return value;
  }
  return std::nullopt;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_plain(char c) { return c > ' ' && c < 0x7f && c != '%'; }

constexpr std::string_view kHex = "0123456789abcdef";

std::string escape(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (is_plain(c)) {
      text += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += '%';
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!is_plain(text[i])) return std::nullopt;
      value += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const std::size_t high = kHex.find(text[i + 1]);
    const std::size_t low = kHex.find(text[i + 2]);
    if (high == kHex.npos || low == kHex.npos) return std::nullopt;
    const auto byte = static_cast<char>(high << 4 | low);
    if (is_plain(byte)) return std::nullopt;  // One way to write a value, so that lines compare.
    value += byte;
    i += 2;
  }
  return value;
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  if (text != std::to_string(value)) return std::nullopt;  // No leading zeros.
  return value;
}

std::string crc_text(std::string_view body) {
  const std::uint32_t crc = crc32c(body);
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4)
    text += kHex[(crc >> shift) & 15];
  return text;
}

Error corrupt(const std::string& why) {
  return Error(Errc::corrupt, "log record: " + why).with(Stage::journal);
}

// Splits off the word before the next single space.
std::string_view next_word(std::string_view& rest) {
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  return word;
}

Status decode_fields(std::string_view rest, Record& record) {
  while (!rest.empty()) {
    const std::string_view word = next_word(rest);
    const std::size_t equals = word.find('=');
    if (equals == word.npos || !is_name(word.substr(0, equals))) return corrupt("bad field name");
    const std::string name(word.substr(0, equals));
    std::optional<std::string> value = unescape(word.substr(equals + 1));
    if (!value) return corrupt("bad value of field '" + name + "'");
    const bool is_in_order = record.fields.empty() || record.fields.rbegin()->first < name;
    if (!is_in_order) return corrupt("field '" + name + "' is there twice, or out of order");
    record.fields.emplace(name, *std::move(value));
  }
  return ok();
}

}  // namespace

std::string encode(const Record& record) {
  std::string body = std::to_string(record.seq) + ' ' + std::to_string(record.time_s) + ' ' +
                     std::string(to_string(record.type)) + ' ' + record.step + ' ' +
                     std::to_string(record.number);
  for (const auto& [name, value] : record.fields)
    body += ' ' + name + '=' + escape(value);
  return crc_text(body) + ' ' + body + '\n';
}

Result<Record> decode_record(std::string_view line) {
  if (line.size() > kRecordBytesMax) return corrupt("longer than 64 KiB");
  if (line.size() <= kCrcDigits || line[kCrcDigits] != ' ') return corrupt("no checksum");
  std::string_view rest = line.substr(kCrcDigits + 1);
  if (crc_text(rest) != line.substr(0, kCrcDigits)) return corrupt("bad checksum");

  // A line ends with a word: a space at its end would be lost by splitting.
  if (rest.ends_with(' ')) return corrupt("space at the end");
  Record record;
  const auto seq = to_number<std::uint64_t>(next_word(rest));
  const auto time_s = to_number<std::int64_t>(next_word(rest));
  const auto type = to_type(next_word(rest));
  record.step = next_word(rest);
  const auto number = to_number<std::uint32_t>(next_word(rest));
  if (!seq || *seq == 0) return corrupt("bad sequence number");
  if (!time_s) return corrupt("bad time");
  if (!type) return corrupt("unknown type");
  if (!is_name(record.step)) return corrupt("bad step name");
  if (!number) return corrupt("bad step number");
  record.seq = *seq;
  record.time_s = *time_s;
  record.type = *type;
  record.number = *number;
  HAWSER_TRY(decode_fields(rest, record));
  return record;
}

Result<std::vector<Record>> decode_log(std::string_view text, std::size_t* torn_bytes) {
  if (text.size() > kLogBytesMax) return corrupt("file larger than 16 MiB");
  std::vector<Record> records;
  std::size_t good = 0;
  while (good < text.size()) {
    const std::size_t end = text.find('\n', good);
    if (end == text.npos) break;
    Result<Record> record = decode_record(text.substr(good, end - good));
    const bool is_last = end + 1 == text.size();
    if (!record && is_last) break;  // What a crash in the middle of a write leaves.
    if (!record) {
      return std::move(record).error().with("line " + std::to_string(records.size() + 1));
    }
    if (record->seq != records.size() + 1) {
      return corrupt("line " + std::to_string(records.size() + 1) + " has sequence number " +
                     std::to_string(record->seq));
    }
    if (records.size() == kRecordsMax) return corrupt("more than 65536 records");
    records.push_back(*std::move(record));
    good = end + 1;
  }
  if (torn_bytes != nullptr) *torn_bytes = text.size() - good;
  return records;
}

std::string describe(const Record& record) {
  const std::time_t time = record.time_s;
  std::tm utc{};
  std::array<char, 32> stamp{};
  if (::gmtime_r(&time, &utc) == nullptr ||
      std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
    stamp = {'?'};
  }
  std::string text =
      std::string(stamp.data()) + "  " + std::string(to_string(record.type)) + ' ' + record.step;
  if (record.number != 0) text += " #" + std::to_string(record.number);
  for (const auto& [name, value] : record.fields)
    text += ' ' + name + '=' + escape(value);
  return text;
}

}  // namespace hawser
