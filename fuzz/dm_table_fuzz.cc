// Property: a table that is read, written again, has the same words (leading zeros of numbers
// apart) and is read as the same table; and so is one that was grown and shrunk.
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "wire/dm_table.h"

namespace {

std::size_t count_words(std::string_view line) {
  std::size_t count = 0;
  for (const std::string_view word : split(line, ' '))
    count += word.empty() ? 0 : 1;
  return count;
}

void check_written(const hawser::MapTable& table) {
  const std::string text = hawser::encode_table(table);
  const hawser::Result<hawser::MapTable> again = hawser::decode_table(text);
  HAWSER_ASSERT(again);
  HAWSER_ASSERT(hawser::encode_table(*again) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const hawser::Result<hawser::MapTable> table = hawser::decode_table(text);
  if (!table) {
    HAWSER_ASSERT(table.error().code() == hawser::Errc::protocol);
    HAWSER_ASSERT(table.error().message().size() < 300);
    return 0;
  }
  const std::string written = hawser::encode_table(*table);
  HAWSER_ASSERT(count_words(written) == count_words(text));
  HAWSER_ASSERT(hawser::decode_table(written)->groups == table->groups);
  check_written(*table);

  constexpr hawser::DevT kNew{.major = 8, .minor = 4096};
  constexpr std::size_t kRoom = 1000;
  if (!table->groups.empty() && table->groups.front().paths.size() > kRoom) return 0;
  const hawser::MapTable grown = hawser::with_path(*table, kNew);
  check_written(grown);
  const hawser::MapTable shrunk = hawser::without_paths(grown, {kNew});
  check_written(shrunk);
  for (const hawser::MapTableGroup& group : shrunk.groups) {
    HAWSER_ASSERT(!group.paths.empty());
    for (const hawser::MapTablePath& path : group.paths)
      HAWSER_ASSERT(path.dev != kNew);
  }
  return 0;
}
