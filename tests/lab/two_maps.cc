// Makes a map over a disk that does not let itself be opened, and meanwhile, in the same process,
// maps over another disk. Prints what came of both as one JSON document.
//
//   two_maps HUNG GOOD SECONDS    the disks' numbers as MAJOR:MINOR, and the deadline for the first
#include <charconv>
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dm/device_mapper.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Map map_over(const DevT& dev, const std::string& name) {
  return {.name = name,
          .uuid = map_uuid_of(name),
          .sectors = 2048,
          .target_type = "multipath",
          .table = simple_table({dev})};
}

std::string said(const Status& status) { return status ? "ok" : status.error().message(); }

int run(const DevT& hung_dev, const DevT& good_dev, std::chrono::seconds time) {
  const DeviceMapper dm;
  const SystemClock clock;
  const TimePoint start = clock.now();
  const Map hung = map_over(hung_dev, "hung");
  const Map good = map_over(good_dev, "good");
  Status made;
  std::jthread making([&] { made = dm.create({.clock = clock, .deadline = start + time}, hung); });

  // As soon as it is there its table is being loaded.
  Status others;
  int made_meanwhile = 0;
  while (others && clock.now() < start + time / 2) {
    const Ctx ctx{.clock = clock, .deadline = start + time / 2};
    const Result<std::optional<Map>> seen = dm.find(hung.uuid);
    if (!seen || !*seen) continue;
    others = dm.create(ctx, good);
    if (others) others = dm.remove(ctx, good.uuid);
    if (others) ++made_meanwhile;
    if (made_meanwhile > 0) break;
  }
  making.join();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - start);
  const Status removed = dm.remove({.clock = clock, .deadline = clock.now() + 1s}, hung.uuid);
  std::cout << "{\"made\": \"" << said(made) << "\", \"took_ms\": " << took.count()
            << ", \"meanwhile\": " << made_meanwhile << ", \"others\": \"" << said(others)
            << "\", \"removed\": \"" << said(removed) << "\"}\n";
  return 0;
}

}  // namespace
}  // namespace hawser

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const auto hung = words.size() == 3 ? hawser::parse_dev(words[0]) : std::nullopt;
  const auto good = words.size() == 3 ? hawser::parse_dev(words[1]) : std::nullopt;
  const auto seconds = words.size() == 3 ? hawser::parse_number(words[2]) : std::nullopt;
  if (hung && good && seconds) return hawser::run(*hung, *good, std::chrono::seconds(*seconds));
  std::cerr << "two_maps: give two disks as MAJOR:MINOR, and seconds\n";
  return 64;
}
