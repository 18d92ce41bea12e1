// Property: what the log's decoder accepts, encoded again, gives the bytes that it accepted; and a
// log, whatever is in it, replays within its bounds, or is refused.
//
// Each input is tried as it is, and once more with its checksums and sequence numbers put right: a
// fuzzer does not guess them, and what lies behind them is what matters.
#include <string>

#include "hawser/detail/assert.h"

#include "base/crc32c.h"
#include "engine/log_state.h"
#include "input.h"
#include "model/path_count.h"
#include "wire/journal_record.h"

namespace {

// Each line without its first two words, with a checksum and a sequence number of ours.
std::string put_right(std::string_view text) {
  std::string result;
  std::size_t seq = 0;
  Input input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  while (!input.is_at_end()) {
    std::string_view line = input.line();
    for (int word = 0; word < 2; ++word)
      line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
    const std::string body = std::to_string(++seq) + ' ' + std::string(line);
    char crc[10];
    (void)std::snprintf(crc, sizeof crc, "%08x ", hawser::crc32c(body));
    result += crc + body + '\n';
  }
  return result;
}

template <class Entry>
void check_numbers(const std::vector<Entry>& entries, std::uint32_t next) {
  for (const Entry& entry : entries)
    HAWSER_ASSERT(entry.number < next);
}

void check_state(const hawser::LogState& state) {
  HAWSER_ASSERT(state.paths.size() <= hawser::kPathsMax + state.joins.size());
  for (const hawser::LoggedPath& path : state.paths)
    HAWSER_ASSERT(!path.spec.portal.host.empty());
  // The next step's number is nobody else's.
  check_numbers(state.sessions, state.next_number);
  check_numbers(state.devices, state.next_number);
  check_numbers(state.nodes, state.next_number);
  check_numbers(state.wwids, state.next_number);
  check_numbers(state.maps, state.next_number);
  check_numbers(state.read_only_devices, state.next_number);
  check_numbers(state.expelled, state.next_number);
  check_numbers(state.joins, state.next_number);
  check_numbers(state.resizes, state.next_number);
  for (const hawser::SessionEntry& session : state.sessions)
    HAWSER_ASSERT(session.progress != hawser::Progress::done || session.sid);
}

void check(std::string_view text) {
  std::size_t torn_bytes = 0;
  const auto records = hawser::decode_log(text, &torn_bytes);
  if (!records) {
    HAWSER_ASSERT(records.error().code() == hawser::Errc::corrupt);
    return;
  }
  std::string again;
  for (const hawser::Record& record : *records) {
    again += hawser::encode(record);
    HAWSER_ASSERT(hawser::describe(record).find('\n') == std::string::npos);
  }
  HAWSER_ASSERT(again == text.substr(0, text.size() - torn_bytes));
  const hawser::Result<hawser::LogState> state = hawser::replay(*records);
  if (state) return check_state(*state);
  HAWSER_ASSERT(state.error().code() == hawser::Errc::corrupt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(put_right(text));
  return 0;
}
