// One line of a transaction log. The format is described in docs/journal_format.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hawser/result.h"

namespace hawser {

enum class RecordType {
  begin,   // A transaction starts; `step` is "attach" or "detach".
  intent,  // Step `number` is about to be done.
  done,    // It was done; the fields say what was made.
  failed,  // It was tried and changed nothing.
  undone,  // It was undone.
  commit,  // The transaction holds: attached.
  abort,   // The transaction ended, and everything is as before it began.
  note,    // Something worth knowing later.
};

struct Record {
  std::uint64_t seq = 0;    // 1, 2, 3, ... within a file.
  std::int64_t time_s = 0;  // Seconds since 1970, for people.
  RecordType type = RecordType::note;
  std::string step{};        // "session", "device", "wwid", "map", ...; 1..32 of [a-z0-9_].
  std::uint32_t number = 0;  // Joins intent with done, failed, undone.
  std::map<std::string, std::string, std::less<>> fields{};  // Keys: 1..32 of [a-z0-9_].

  bool operator==(const Record&) const = default;
};

// Bounds of a log; more is corrupt.
inline constexpr std::size_t kRecordBytesMax = 64 * 1024;
inline constexpr std::size_t kRecordsMax = 65536;
inline constexpr std::size_t kLogBytesMax = 16 * 1024 * 1024;

// The line, with its checksum and newline. Any bytes in values are fine: they are escaped.
std::string encode(const Record& record);

// One line, without its newline. Errors: corrupt.
Result<Record> decode_record(std::string_view line);

// A whole file. A torn tail (a last line without newline or with a bad checksum) is dropped, since
// that is what a crash leaves; `torn_bytes`, if given, says how many bytes that was. Anything wrong
// before the tail, or a gap in the sequence, is corrupt.
Result<std::vector<Record>> decode_log(std::string_view text, std::size_t* torn_bytes = nullptr);

// A readable line for `hawser log`.
std::string describe(const Record& record);

}  // namespace hawser
