#pragma once

#include <string>
#include <string_view>

#include "hawser/detail/export.h"

namespace hawser {

/// A CHAP secret. It cannot be printed or compared, and its memory is wiped when it goes away.
class HAWSER_API Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes) : bytes_(bytes) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  bool empty() const noexcept { return bytes_.empty(); }
  std::size_t size() const noexcept { return bytes_.size(); }

  /// The bytes themselves: only for the code that puts them on the wire.
  std::string_view reveal() const noexcept { return bytes_; }
  const char* c_str() const noexcept { return bytes_.c_str(); }  ///< The same, with a NUL behind.

 private:
  void wipe() noexcept;

  std::string bytes_{};
};

}  // namespace hawser
