// Property: what the log's decoder accepts, encoded again, gives the bytes that it accepted; and a
// log, whatever is in it, replays or is refused.
#include "hawser/detail/assert.h"

#include "engine/log_state.h"
#include "wire/journal_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t torn_bytes = 0;
  const auto records = hawser::decode_log(text, &torn_bytes);
  if (!records) return 0;
  std::string again;
  for (const hawser::Record& record : *records) {
    again += hawser::encode(record);
    (void)hawser::describe(record);
  }
  HAWSER_ASSERT(again == text.substr(0, size - torn_bytes));
  const auto state = hawser::replay(*records);
  if (state) HAWSER_ASSERT(state->paths.size() <= 64);
  return 0;
}
