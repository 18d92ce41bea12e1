#pragma once

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "base/unique_fd.h"

namespace hawser {

// A text that is nowhere in this process until it is asked for: memory holds it only masked.
class MaskedText {
 public:
  // Different for each `seed`; `size` bytes, none of them a NUL or in need of escapes in JSON.
  MaskedText(unsigned seed, std::size_t size) : masked_(size, '\0') {
    for (std::size_t i = 0; i < size; ++i) {
      seed = seed * 1103515245U + 12345U;
      masked_[i] = static_cast<char>(('a' + (seed >> 16) % 26) ^ kMask);
    }
  }

  std::size_t size() const { return masked_.size(); }
  // Into memory that the caller wipes; no call before it has seen these bytes.
  void unmask(char* out) const {
    for (std::size_t i = 0; i < masked_.size(); ++i)
      out[i] = static_cast<char>(masked_[i] ^ kMask);
  }
  bool is_at(const char* bytes, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      if (static_cast<char>(bytes[i] ^ kMask) != masked_[i]) return false;
    }
    return true;
  }

 private:
  static constexpr char kMask = 0x55;
  std::string masked_;
};

// Where in this process's writable memory the text is, or its first `prefix` bytes: heap, given
// back or not, and stack, dead frames too. Empty if nowhere.
inline std::string find_in_memory(const MaskedText& text, std::size_t prefix) {
  constexpr std::size_t kChunk = 65536;
  static std::array<char, 2 * kChunk> window{};  // The last chunk and this one.
  const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  std::ifstream maps("/proc/self/maps");
  std::string where;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    char dash = 0;
    std::string rights;
    std::istringstream(line) >> std::hex >> start >> dash >> end >> rights;
    if (!rights.starts_with("rw")) continue;
    ::explicit_bzero(window.data(), window.size());
    for (std::uint64_t at = start; at < end; at += kChunk) {
      std::copy(window.begin() + kChunk, window.end(), window.begin());
      char* const chunk = window.data() + kChunk;
      // The window itself is skipped: it shows what was found elsewhere.
      const auto here = reinterpret_cast<std::uint64_t>(window.data());
      if (at + kChunk > here && at < here + window.size()) {
        ::explicit_bzero(chunk, kChunk);
        continue;
      }
      const std::size_t wanted = std::min<std::uint64_t>(kChunk, end - at);
      const ssize_t got = ::pread(memory.get(), chunk, wanted, static_cast<off_t>(at));
      const std::size_t size = got < 0 ? 0 : static_cast<std::size_t>(got);
      for (const char* p = chunk - prefix; p + prefix <= chunk + size; ++p) {
        if (text.is_at(p, prefix)) where += line + "\n";
      }
    }
  }
  ::explicit_bzero(window.data(), window.size());
  return where;
}

}  // namespace hawser
