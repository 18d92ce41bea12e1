#pragma once

#include <cstddef>

#include "hawser/volume.h"

namespace hawser {

// Paths of one attachment, and ifaces of a specification.
inline constexpr std::size_t kPathsMax = 64;
inline constexpr std::size_t kIfacesMax = 16;

// Whether attach may ask the portals for further ones.
bool wants_discovery(const VolumeSpec& spec);

// How many paths the specification can lead to: as many as it names, unless a host name or a
// discovery may turn out to stand for more.
std::size_t paths_at_most(const VolumeSpec& spec);

}  // namespace hawser
