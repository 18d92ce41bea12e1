// What to attach: the typed form of the connection properties that a storage controller hands out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hawser/detail/export.h"
#include "hawser/portal.h"
#include "hawser/secret.h"

namespace hawser {

/// Largest LUN that SAM-5 flat space addressing can carry (14 bits).
inline constexpr std::uint16_t kLunMax = 16383;

/// Whether the result must be, may be or must not be a multipath map.
enum class Multipath { required, preferred, off };

enum class AccessMode { read_write, read_only };

/// How a LUN is coded on the wire (SAM-5 section 4.7): peripheral device addressing below 256 and
/// flat space above it; flat space always; or as the plain number, for targets that take its two
/// bytes for one.
enum class LunAddressing { automatic, flat, transparent };

/// One way to the volume: a portal, the target behind it, and the volume's LUN there.
struct PathSpec {
  Portal portal;
  std::string target{};   ///< IQN, EUI or NAA name; 1..223 bytes.
  std::uint16_t lun = 0;  ///< 0..kLunMax.

  bool operator==(const PathSpec&) const = default;
};

/// CHAP credentials. The incoming pair authenticates the target to us (mutual CHAP) and needs the
/// outgoing one.
struct Chap {
  std::string username{};     ///< 1..255 bytes.
  Secret password{};          ///< 1..255 bytes.
  std::string username_in{};  ///< Empty: no mutual CHAP.
  Secret password_in{};
};

/// A volume, and how to reach it. A value.
struct VolumeSpec {
  std::vector<PathSpec> paths{};  ///< 1..64; one that is there twice counts once.
  std::optional<Chap> chap{};     ///< For logins.
  std::optional<Chap> discovery_chap{};
  AccessMode access_mode = AccessMode::read_write;
  LunAddressing addressing = LunAddressing::automatic;
  std::string volume_id{};      ///< The controller's name of the volume; 0..255 bytes.
  std::string expected_wwid{};  ///< The unit must have this identity, 1..255 bytes; empty: any.
  /// Names of open-iscsi ifaces, 1..16: each of them is a path to every portal.
  std::vector<std::string> ifaces{"default"};
  /// Whether attach() asks the portals for further ones of the same targets (SendTargets). Empty:
  /// if there is one portal only. It never does for Multipath::off. Portals that are found are
  /// paths like the others, with the LUN of their target; other targets are left alone.
  std::optional<bool> discovery{};
  bool enforce_multipath = false;            ///< Multipath::preferred means Multipath::required.
  std::optional<std::uint32_t> min_paths{};  ///< Goes before AttachOptions::min_paths.
  std::optional<std::chrono::nanoseconds> grace{};  ///< Goes before AttachOptions::grace.
  std::vector<std::string> notes{};  ///< Keys that were accepted and ignored, one line each.
};

/// Largest specification document that parse_volume_spec() reads, in bytes.
inline constexpr std::size_t kSpecBytesMax = 1024 * 1024;

/// Parses the JSON document that hawser(8) describes: the properties that Cinder hands out, bare or
/// inside {"driver_volume_type": "iscsi", "data": {...}}. The text holds the secrets still: it is
/// the caller's to wipe, as the result is to drop.
///
/// @errors  invalid_argument, naming the key.
/// @threads Safe from several threads at once.
HAWSER_API Result<VolumeSpec> parse_volume_spec(std::string_view json);

/// Checks what a caller put together by hand by the same rules as parse_volume_spec().
///
/// @errors  invalid_argument, naming the field.
HAWSER_API Status validate(const VolumeSpec& spec);

/// The stable identifier of the attachment that `spec` leads to: the same for every list of portals
/// of the same targets and LUNs, given or discovered; another set of targets or LUNs is another
/// attachment, see Client::find(). 16 lower-case hex digits.
HAWSER_API std::string attachment_id(const VolumeSpec& spec);

}  // namespace hawser
