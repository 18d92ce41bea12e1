// parse_volume_spec().
#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "hawser/volume.h"

#include "base/number.h"
#include "model/path_count.h"
#include "wire/json.h"

namespace hawser {
namespace {

using Type = JsonValue::Type;

constexpr double kGraceMaxS = 86400;

Error invalid(const std::string& key, const std::string& why) {
  return Error(Errc::invalid_argument, key + ": " + why).with(Stage::input);
}

std::string plain(const JsonValue& value) { return std::string(value.text); }

// The members of one object, with their types checked; remembers which were asked for.
class Members {
 public:
  explicit Members(const JsonValue& object) : object_(object) {}

  // Null counts as not there.
  const JsonValue* find(const std::string& key) {
    seen_.insert(key);
    const JsonValue* member = object_.find(key);
    return member == nullptr || member->is(Type::null) ? nullptr : member;
  }
  Result<std::string> text(const std::string& key) {
    const JsonValue* value = find(key);
    if (value == nullptr) return std::string();
    if (!value->is(Type::text)) return invalid(key, "must be a string");
    return plain(*value);
  }
  Result<Secret> secret(const std::string& key) {
    const JsonValue* value = find(key);
    if (value == nullptr) return Secret();
    if (!value->is(Type::text)) return invalid(key, "must be a string");
    return Secret(value->text);
  }
  Result<bool> flag(const std::string& key) {
    const JsonValue* value = find(key);
    if (value == nullptr) return false;
    if (!value->is(Type::boolean)) return invalid(key, "must be true or false");
    return value->flag;
  }
  const std::set<std::string>& seen() const { return seen_; }
  const JsonValue& object() const { return object_; }

 private:
  const JsonValue& object_;
  std::set<std::string> seen_{};
};

// A number or a text of digits.
Result<std::uint16_t> to_lun(const std::string& key, const JsonValue& value) {
  std::optional<std::uint64_t> number;
  if (value.is(Type::number) || value.is(Type::text)) {
    number = parse_number<std::uint64_t>(value.text);
  }
  if (!number) return invalid(key, "must be a LUN: a number from 0 to 16383");
  if (*number > kLunMax) return invalid(key, std::to_string(*number) + " is beyond 16383");
  return static_cast<std::uint16_t>(*number);
}

Result<std::string> to_text(const std::string& key, const JsonValue& value) {
  if (!value.is(Type::text)) return invalid(key, "must hold strings");
  return plain(value);
}

// "target_portals" and its like; empty if it is not there.
Result<std::span<const JsonValue>> list_of(Members& members, const std::string& key) {
  const JsonValue* value = members.find(key);
  if (value == nullptr) return std::span<const JsonValue>{};
  if (!value->is(Type::list)) return invalid(key, "must be a list");
  if (value->items.empty()) return invalid(key, "is empty");
  if (value->items.size() > kPathsMax) return invalid(key, "has more than 64 entries");
  return std::span<const JsonValue>(value->items);
}

Status add_path(VolumeSpec& spec, const std::string& suffix, const JsonValue& portal,
                const JsonValue& target, const JsonValue& lun) {
  PathSpec path;
  HAWSER_TRY_ASSIGN(const std::string portal_text, to_text("target_portal" + suffix, portal));
  Result<Portal> parsed = parse_portal(portal_text);
  if (!parsed) return invalid("target_portal" + suffix, parsed.error().message());
  path.portal = *std::move(parsed);
  HAWSER_TRY_ASSIGN(path.target, to_text("target_iqn" + suffix, target));
  HAWSER_TRY_ASSIGN(path.lun, to_lun("target_lun" + suffix, lun));
  if (std::find(spec.paths.begin(), spec.paths.end(), path) != spec.paths.end()) {
    spec.notes.push_back("portal " + portal_text + " is named twice");
    return ok();
  }
  spec.paths.push_back(std::move(path));
  return ok();
}

Status read_paths(Members& members, VolumeSpec& spec) {
  HAWSER_TRY_ASSIGN(const std::span<const JsonValue> portals, list_of(members, "target_portals"));
  HAWSER_TRY_ASSIGN(const std::span<const JsonValue> targets, list_of(members, "target_iqns"));
  HAWSER_TRY_ASSIGN(const std::span<const JsonValue> luns, list_of(members, "target_luns"));
  const JsonValue* portal = members.find("target_portal");
  const JsonValue* target = members.find("target_iqn");
  const JsonValue* lun = members.find("target_lun");
  if (portals.empty()) {
    if (!targets.empty() || !luns.empty()) return invalid("target_portals", "missing");
    if (portal == nullptr) return invalid("target_portal", "missing");
    if (target == nullptr) return invalid("target_iqn", "missing");
    if (lun == nullptr) return invalid("target_lun", "missing");
    return add_path(spec, "", *portal, *target, *lun);
  }
  // One target or LUN for all portals may be given by its singular key.
  const auto check = [&](const char* key, std::size_t size, bool has_singular) -> Status {
    if (size == portals.size() || (size == 0 && has_singular)) return ok();
    if (size == 0) return invalid(key, "missing");
    return invalid(key, "has " + std::to_string(size) + " entries, target_portals has " +
                            std::to_string(portals.size()));
  };
  // A list is what the controller knows; one portal alone is where to ask.
  spec.discovery = false;
  HAWSER_TRY(check("target_iqns", targets.size(), target != nullptr));
  HAWSER_TRY(check("target_luns", luns.size(), lun != nullptr));
  for (std::size_t i = 0; i < portals.size(); ++i) {
    HAWSER_TRY(add_path(spec, "s[" + std::to_string(i) + "]", portals[i],
                        targets.empty() ? *target : targets[i], luns.empty() ? *lun : luns[i]));
  }
  return ok();
}

Result<std::optional<Chap>> read_chap(Members& members, const std::string& prefix) {
  HAWSER_TRY_ASSIGN(const std::string method, members.text(prefix + "_method"));
  Chap chap;
  HAWSER_TRY_ASSIGN(chap.username, members.text(prefix + "_username"));
  HAWSER_TRY_ASSIGN(chap.password, members.secret(prefix + "_password"));
  HAWSER_TRY_ASSIGN(chap.username_in, members.text(prefix + "_username_in"));
  HAWSER_TRY_ASSIGN(chap.password_in, members.secret(prefix + "_password_in"));
  if (!method.empty() && method != "CHAP" && method != "None") {
    return invalid(prefix + "_method", "'" + method + "' is not supported; CHAP is");
  }
  const bool has_any = !chap.username.empty() || !chap.password.empty() ||
                       !chap.username_in.empty() || !chap.password_in.empty();
  if (!has_any && method != "CHAP") return std::optional<Chap>{};
  return {std::move(chap)};
}

// One name, or a list of them.
Status read_ifaces(Members& members, VolumeSpec& spec) {
  const JsonValue* value = members.find("iface");
  if (value == nullptr || (value->is(Type::text) && value->text.empty())) return ok();
  const bool is_list = value->is(Type::list);
  if (is_list && value->items.empty()) return invalid("iface", "is empty");
  if (is_list && value->items.size() > kIfacesMax) {
    return invalid("iface", "has more than 16 entries");
  }
  spec.ifaces.clear();
  for (const JsonValue& one : is_list ? std::span(value->items) : std::span(value, 1)) {
    if (!one.is(Type::text)) return invalid("iface", "must be a string, or a list of strings");
    spec.ifaces.push_back(plain(one));
  }
  return ok();
}

// The words are those of OpenStack's connectors, to which the first two are one.
Result<LunAddressing> to_addressing(const std::string& mode) {
  if (mode == "SAM" || mode == "transparent") return LunAddressing::transparent;
  if (mode.empty() || mode == "SAM2") return LunAddressing::automatic;
  if (mode == "SAM3-flat") return LunAddressing::flat;
  return invalid("addressing_mode", "'" + mode + "' is none of SAM, transparent, SAM2, SAM3-flat");
}

Status read_modes(Members& members, VolumeSpec& spec) {
  HAWSER_TRY_ASSIGN(const std::string access, members.text("access_mode"));
  if (access == "ro") spec.access_mode = AccessMode::read_only;
  if (!access.empty() && access != "ro" && access != "rw") {
    return invalid("access_mode", "'" + access + "' is neither rw nor ro");
  }
  HAWSER_TRY_ASSIGN(const std::string addressing, members.text("addressing_mode"));
  HAWSER_TRY_ASSIGN(spec.addressing, to_addressing(addressing));
  HAWSER_TRY_ASSIGN(spec.enforce_multipath, members.flag("enforce_multipath"));
  HAWSER_TRY_ASSIGN(spec.volume_id, members.text("volume_id"));
  HAWSER_TRY_ASSIGN(spec.expected_wwid, members.text("expected_wwid"));
  HAWSER_TRY(read_ifaces(members, spec));
  if (members.find("discovery") != nullptr) {
    HAWSER_TRY_ASSIGN(spec.discovery, members.flag("discovery"));
  }
  if (const JsonValue* value = members.find("min_paths")) {
    spec.min_paths = value->is(Type::number) ? parse_number<std::uint32_t>(value->text)
                                             : std::optional<std::uint32_t>();
    if (!spec.min_paths || *spec.min_paths > kPathsMax) {
      return invalid("min_paths", "must be a number from 1 to 64");
    }
  }
  if (const JsonValue* value = members.find("grace_s")) {
    const std::optional<double> seconds =
        value->is(Type::number) ? parse_number<double>(value->text) : std::optional<double>();
    if (!seconds || !(*seconds >= 0 && *seconds <= kGraceMaxS)) {
      return invalid("grace_s", "must be a number of seconds from 0 to 86400");
    }
    spec.grace = std::chrono::nanoseconds(std::llround(*seconds * 1e9));
  }
  return ok();
}

// Names only: a value may be a secret.
void note_ignored(const Members& members, VolumeSpec& spec) {
  for (const std::string& key : members.object().keys) {
    if (!members.seen().contains(key)) spec.notes.push_back("key '" + key + "' is ignored");
  }
}

Result<VolumeSpec> read_spec(const JsonValue& object) {
  Members members(object);
  VolumeSpec spec;
  HAWSER_TRY(read_paths(members, spec));
  HAWSER_TRY_ASSIGN(spec.chap, read_chap(members, "auth"));
  HAWSER_TRY_ASSIGN(spec.discovery_chap, read_chap(members, "discovery_auth"));
  HAWSER_TRY(read_modes(members, spec));
  note_ignored(members, spec);
  HAWSER_TRY(validate(spec));
  return spec;
}

}  // namespace

Result<VolumeSpec> parse_volume_spec(std::string_view json) {
  if (json.size() > kSpecBytesMax) {
    return invalid("specification", "is larger than 1 MiB");
  }
  const Result<JsonValue> document = parse_json(json);
  if (!document) return invalid("specification", document.error().message());
  if (!document->is(Type::object)) return invalid("specification", "must be a JSON object");
  const JsonValue* type = document->find("driver_volume_type");
  if (type == nullptr) return read_spec(*document);

  if (!type->is(Type::text) || type->text != "iscsi") {
    return invalid("driver_volume_type", "must be \"iscsi\"");
  }
  const JsonValue* data = document->find("data");
  if (data == nullptr || !data->is(Type::object)) return invalid("data", "must be an object");
  return read_spec(*data);
}

}  // namespace hawser
