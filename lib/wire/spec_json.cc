// parse_volume_spec(). The one file of the library that includes nlohmann/json.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <nlohmann/json.hpp>

#include "hawser/volume.h"

#include "base/number.h"

namespace hawser {
namespace {

using Json = nlohmann::json;

constexpr int kDepthMax = 16;
constexpr std::size_t kPathsMax = 64;
constexpr double kGraceMaxS = 86400;

Error invalid(const std::string& key, const std::string& why) {
  return Error(Errc::invalid_argument, key + ": " + why).with(Stage::input);
}

// Builds nothing: finds out whether the document is worth building. nlohmann's own parser keeps the
// last of two equal keys without a word.
class Checker final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return enter();
  }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    return fail(name + ": is there twice");
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return fail("not JSON, from byte " + std::to_string(position));
  }
  const std::string& why() const { return why_; }

 private:
  bool enter() { return ++depth_ <= kDepthMax || fail("nested deeper than 16 levels"); }
  bool leave() {
    --depth_;
    return true;
  }
  bool fail(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return false;
  }

  int depth_ = 0;
  std::vector<std::set<std::string>> keys_{};
  std::string why_{};
};

// The members of one object, with their types checked; remembers which were asked for.
class Members {
 public:
  explicit Members(Json& object) : object_(object) {}

  // Null counts as not there.
  Json* find(const std::string& key) {
    seen_.insert(key);
    const auto member = object_.find(key);
    return member == object_.end() || member->is_null() ? nullptr : &*member;
  }
  Result<std::string> text(const std::string& key) {
    Json* value = find(key);
    if (value == nullptr) return std::string();
    if (!value->is_string()) return invalid(key, "must be a string");
    return value->get<std::string>();
  }
  // The bytes are wiped from the document, too.
  Result<Secret> secret(const std::string& key) {
    Json* value = find(key);
    if (value == nullptr) return Secret();
    if (!value->is_string()) return invalid(key, "must be a string");
    auto& bytes = value->get_ref<std::string&>();
    Secret secret(bytes);
    std::fill(bytes.begin(), bytes.end(), '\0');
    return secret;
  }
  Result<bool> flag(const std::string& key) {
    Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) return invalid(key, "must be true or false");
    return value->get<bool>();
  }
  const std::set<std::string>& seen() const { return seen_; }
  const Json& object() const { return object_; }

 private:
  Json& object_;
  std::set<std::string> seen_{};
};

Result<std::uint16_t> to_lun(const std::string& key, const Json& value) {
  std::optional<std::uint64_t> number;
  if (value.is_number_unsigned()) number = value.get<std::uint64_t>();
  if (value.is_string()) number = parse_number<std::uint64_t>(value.get_ref<const std::string&>());
  if (!number) return invalid(key, "must be a LUN: a number from 0 to 16383");
  if (*number > kLunMax) return invalid(key, std::to_string(*number) + " is beyond 16383");
  return static_cast<std::uint16_t>(*number);
}

Result<std::string> to_text(const std::string& key, const Json& value) {
  if (!value.is_string()) return invalid(key, "must hold strings");
  return value.get<std::string>();
}

// "target_portals" and its like; empty if it is not there.
Result<std::vector<Json>> list_of(Members& members, const std::string& key) {
  Json* value = members.find(key);
  if (value == nullptr) return std::vector<Json>{};
  if (!value->is_array()) return invalid(key, "must be a list");
  if (value->empty()) return invalid(key, "is empty");
  if (value->size() > kPathsMax) return invalid(key, "has more than 64 entries");
  return value->get<std::vector<Json>>();
}

Status add_path(VolumeSpec& spec, const std::string& suffix, const Json& portal, const Json& target,
                const Json& lun) {
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
  HAWSER_TRY_ASSIGN(const std::vector<Json> portals, list_of(members, "target_portals"));
  HAWSER_TRY_ASSIGN(const std::vector<Json> targets, list_of(members, "target_iqns"));
  HAWSER_TRY_ASSIGN(const std::vector<Json> luns, list_of(members, "target_luns"));
  Json* portal = members.find("target_portal");
  Json* target = members.find("target_iqn");
  Json* lun = members.find("target_lun");
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

Status read_modes(Members& members, VolumeSpec& spec) {
  HAWSER_TRY_ASSIGN(const std::string access, members.text("access_mode"));
  if (access == "ro") spec.access_mode = AccessMode::read_only;
  if (!access.empty() && access != "ro" && access != "rw") {
    return invalid("access_mode", "'" + access + "' is neither rw nor ro");
  }
  HAWSER_TRY_ASSIGN(const std::string addressing, members.text("addressing_mode"));
  if (addressing == "SAM3-flat") spec.addressing = LunAddressing::flat;
  if (!addressing.empty() && addressing != "SAM" && addressing != "SAM2" &&
      addressing != "SAM3-flat") {
    return invalid("addressing_mode", "'" + addressing + "' is none of SAM, SAM2, SAM3-flat");
  }
  HAWSER_TRY_ASSIGN(spec.enforce_multipath, members.flag("enforce_multipath"));
  HAWSER_TRY_ASSIGN(spec.volume_id, members.text("volume_id"));
  HAWSER_TRY_ASSIGN(spec.expected_wwid, members.text("expected_wwid"));
  HAWSER_TRY_ASSIGN(const std::string iface, members.text("iface"));
  if (!iface.empty()) spec.iface = iface;
  if (const Json* value = members.find("min_paths")) {
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > kPathsMax) {
      return invalid("min_paths", "must be a number from 1 to 64");
    }
    spec.min_paths = value->get<std::uint32_t>();
  }
  if (const Json* value = members.find("grace_s")) {
    const double seconds = value->is_number() ? value->get<double>() : -1;
    if (!(seconds >= 0 && seconds <= kGraceMaxS)) {
      return invalid("grace_s", "must be a number of seconds from 0 to 86400");
    }
    spec.grace = std::chrono::nanoseconds(std::llround(seconds * 1e9));
  }
  return ok();
}

// Names only: a value may be a secret.
void note_ignored(const Members& members, VolumeSpec& spec) {
  for (const auto& [key, value] : members.object().items()) {
    if (!members.seen().contains(key)) spec.notes.push_back("key '" + key + "' is ignored");
  }
}

Result<VolumeSpec> read_spec(Json& object) {
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
  Checker checker;
  if (!Json::sax_parse(json, &checker)) return invalid("specification", checker.why());
  Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return invalid("specification", "must be a JSON object");
  if (!document.contains("driver_volume_type")) return read_spec(document);

  const Json& type = document["driver_volume_type"];
  if (type != "iscsi") return invalid("driver_volume_type", "must be \"iscsi\"");
  const auto data = document.find("data");
  if (data == document.end() || !data->is_object()) return invalid("data", "must be an object");
  return read_spec(*data);
}

}  // namespace hawser
