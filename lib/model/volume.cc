#include "hawser/volume.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "model/chap.h"
#include "model/path_count.h"

namespace hawser {
namespace {

constexpr std::size_t kNameBytesMax = 223;  // RFC 7143 section 4.2.7.1.
constexpr std::size_t kChapBytesMax = 255;  // iscsid's fields hold 256 with their end.
constexpr std::size_t kIfaceBytesMax = 64;  // Likewise 65.
// Of names that others give: each is in the log, and in messages.
constexpr std::size_t kLabelBytesMax = 255;

Error invalid(const std::string& field, const std::string& why) {
  return Error(Errc::invalid_argument, field + ": " + why).with(Stage::input);
}

// Characters of RFC 3722 after normalisation, as far as ASCII goes: a login takes no others. A
// slash would matter in a path, white space in a log.
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == ':' || c == '_';
}

Status check_target(const std::string& target) {
  if (target.empty()) return invalid("target_iqn", "missing");
  if (target.size() > kNameBytesMax) return invalid("target_iqn", "longer than 223 bytes");
  const bool has_type =
      target.starts_with("iqn.") || target.starts_with("eui.") || target.starts_with("naa.");
  if (!has_type) return invalid("target_iqn", "'" + target + "' is no iqn., eui. or naa. name");
  if (!std::all_of(target.begin(), target.end(), is_name_char)) {
    return invalid("target_iqn", "'" + target + "' has a character that no iSCSI name may have");
  }
  return ok();
}

Status check_chap_text(const std::string& field, std::string_view text) {
  if (text.empty()) return invalid(field, "missing");
  if (text.size() > kChapBytesMax) return invalid(field, "over 255 bytes");
  if (text.find('\0') != text.npos) return invalid(field, "has a NUL in it");
  return ok();
}

Status check_iface(const std::string& iface) {
  const bool is_good = !iface.empty() && iface.size() <= kIfaceBytesMax && iface != "." &&
                       iface != ".." && std::all_of(iface.begin(), iface.end(), is_name_char);
  return is_good ? ok() : invalid("iface", "'" + iface + "' is no iface name");
}

Status check_ifaces(const std::vector<std::string>& ifaces) {
  if (ifaces.empty()) return invalid("iface", "missing");
  if (ifaces.size() > kIfacesMax) return invalid("iface", "more than 16 ifaces");
  for (const std::string& iface : ifaces)
    HAWSER_TRY(check_iface(iface));
  return ok();
}

// A path that is named twice is one; but it has one LUN.
Status check_luns_agree(const std::vector<PathSpec>& paths) {
  const auto at = [](const PathSpec& p) {
    return std::tie(p.portal.host, p.portal.port, p.target);
  };
  for (std::size_t i = 0; i < paths.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (at(paths[i]) != at(paths[k]) || paths[i].lun == paths[k].lun) continue;
      return invalid("target_luns", to_string(paths[i].portal) + " is there twice, with LUN " +
                                        std::to_string(paths[k].lun) + " and with LUN " +
                                        std::to_string(paths[i].lun));
    }
  }
  return ok();
}

bool is_numeric(const std::string& host) {
  return host.find(':') != host.npos || host.find_first_not_of("0123456789.") == host.npos;
}

}  // namespace

Status check_chap(const std::string& what, const std::optional<Chap>& chap) {
  if (!chap) return ok();
  HAWSER_TRY(check_chap_text(what + "_username", chap->username));
  HAWSER_TRY(check_chap_text(what + "_password", chap->password.reveal()));
  const bool is_mutual = !chap->username_in.empty() || !chap->password_in.empty();
  if (!is_mutual) return ok();
  HAWSER_TRY(check_chap_text(what + "_username_in", chap->username_in));
  return check_chap_text(what + "_password_in", chap->password_in.reveal());
}

bool wants_discovery(const VolumeSpec& spec) {
  return spec.discovery.value_or(spec.paths.size() == 1);
}

std::size_t paths_at_most(const VolumeSpec& spec) {
  const bool are_all_known =
      std::all_of(spec.paths.begin(), spec.paths.end(),
                  [](const PathSpec& path) { return is_numeric(path.portal.host); });
  if (wants_discovery(spec) || !are_all_known) return kPathsMax;
  std::set<std::tuple<std::string, std::uint16_t, std::string>> paths;
  for (const PathSpec& path : spec.paths)
    paths.emplace(path.portal.host, path.portal.port, path.target);
  const std::set<std::string> ifaces(spec.ifaces.begin(), spec.ifaces.end());
  return std::min(kPathsMax, paths.size() * ifaces.size());
}

Status validate(const VolumeSpec& spec) {
  if (spec.paths.empty()) return invalid("target_portal", "missing");
  if (spec.paths.size() > kPathsMax) return invalid("target_portals", "more than 64 portals");
  for (const PathSpec& path : spec.paths) {
    HAWSER_TRY(check_target(path.target));
    if (!parse_portal(to_string(path.portal))) {
      return invalid("target_portal", "'" + to_string(path.portal) + "' is no portal");
    }
    if (path.lun > kLunMax) {
      return invalid("target_lun", std::to_string(path.lun) + " is beyond 16383");
    }
  }
  HAWSER_TRY(check_luns_agree(spec.paths));
  if (spec.volume_id.size() > kLabelBytesMax) return invalid("volume_id", "over 255 bytes");
  if (spec.expected_wwid.size() > kLabelBytesMax) return invalid("expected_wwid", "over 255 bytes");
  HAWSER_TRY(check_chap("auth", spec.chap));
  HAWSER_TRY(check_chap("discovery_auth", spec.discovery_chap));
  HAWSER_TRY(check_ifaces(spec.ifaces));
  if (spec.min_paths && (*spec.min_paths == 0 || *spec.min_paths > paths_at_most(spec))) {
    return invalid("min_paths", std::to_string(*spec.min_paths) + " of " +
                                    std::to_string(paths_at_most(spec)) + " paths");
  }
  if (spec.grace && *spec.grace < std::chrono::nanoseconds(0)) {
    return invalid("grace_s", "negative");
  }
  return ok();
}

std::string attachment_id(const VolumeSpec& spec) {
  std::set<std::pair<std::string, std::uint16_t>> units;
  for (const PathSpec& path : spec.paths)
    units.emplace(path.target, path.lun);

  // FNV-1a, 64 bits: stable across versions and machines, which std::hash is not.
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text)
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  };
  for (const auto& [target, lun] : units)
    add(target + '\n' + std::to_string(lun) + '\n');

  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  for (int shift = 60; shift >= 0; shift -= 4)
    id += kDigits[(hash >> shift) & 15];
  return id;
}

}  // namespace hawser
