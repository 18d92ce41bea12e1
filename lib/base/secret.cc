#include "hawser/secret.h"

#include <string.h>

#include <utility>

namespace hawser {

// std::string's move may copy out of the small-string buffer and leave the bytes behind, hence the
// explicit wipe of every source.
Secret::Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  wipe();
  bytes_ = other.bytes_;
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  bytes_.swap(other.bytes_);
  other.wipe();
  return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() noexcept {
  // capacity(), since a longer secret may have been here before.
  bytes_.resize(bytes_.capacity());
  ::explicit_bzero(bytes_.data(), bytes_.size());
  bytes_.clear();
}

}  // namespace hawser
