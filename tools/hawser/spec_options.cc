#include "tools/hawser/spec_options.h"

#include <charconv>
#include <set>

#include "tools/hawser/input_file.h"

namespace hawser::tool {
namespace {

constexpr std::size_t kChapBytesMax = 4096;  // Four values of 255 bytes, and comments.
constexpr std::string_view kUsername = "username";
constexpr std::string_view kPassword = "password";

Error invalid(const std::string& message) {
  return Error(Errc::invalid_argument, message).with(Stage::input);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

Result<std::uint16_t> parse_lun(const std::string& text) {
  std::uint32_t lun = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, lun);
  if (error != std::errc() && error != std::errc::result_out_of_range) {
    return invalid("--lun: '" + text + "' is no whole number");
  }
  if (rest != end) return invalid("--lun: '" + text + "' is no whole number");
  if (error != std::errc() || lun > kLunMax) {
    return invalid("--lun: " + text + " is beyond " + std::to_string(kLunMax));
  }
  return static_cast<std::uint16_t>(lun);
}

Result<VolumeSpec> spec_from_words(const SpecOptions& options) {
  if (options.target.empty()) return invalid("--target: missing (or --spec)");
  if (options.portals.empty()) return invalid("--portal: missing");
  if (options.lun.empty()) return invalid("--lun: missing");
  HAWSER_TRY_ASSIGN(const std::uint16_t lun, parse_lun(options.lun));
  VolumeSpec spec;
  for (const std::string& text : options.portals) {
    HAWSER_TRY_ASSIGN(Portal portal, parse_portal_option(text));
    spec.paths.push_back({.portal = std::move(portal), .target = options.target, .lun = lun});
  }
  if (!options.ifaces.empty()) spec.ifaces = options.ifaces;
  return spec;
}

Result<VolumeSpec> spec_from_file(const Ctx& ctx, const std::string& path) {
  HAWSER_TRY_ASSIGN(const InputText document,
                    read_input(ctx, "--spec", path, kSpecBytesMax, Privacy::any));
  Result<VolumeSpec> spec = parse_volume_spec(document.text());
  if (spec) return spec;
  return std::move(spec).error().with(Stage::input);
}

// The first line of `text`, which loses it.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// A line that is wrong is not quoted: it may hold half a secret.
Status add_chap_line(std::string_view line, std::set<std::string_view>& seen, Chap& chap) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return invalid("is no 'key = value'");
  const std::string_view key = trim(line.substr(0, equals));
  const std::string_view value = trim(line.substr(equals + 1));
  if (key == kUsername) {
    chap.username = value;
  } else if (key == kPassword) {
    chap.password = Secret(value);
  } else if (key == "username_in") {
    chap.username_in = value;
  } else if (key == "password_in") {
    chap.password_in = Secret(value);
  } else {
    return invalid("unknown key; known are username, password, username_in and password_in");
  }
  if (!seen.insert(key).second) return invalid(std::string(key) + " is there twice");
  return ok();
}

Status add_chap(const Ctx& ctx, const std::string& option, const std::string& file,
                std::optional<Chap>& chap) {
  if (file.empty()) return ok();
  if (chap) return invalid(option + ": the specification has such credentials as well");
  HAWSER_TRY_ASSIGN(chap, read_chap_file(ctx, option, file));
  return ok();
}

Status check(const VolumeSpec& spec) {
  Status valid = validate(spec);
  if (valid) return ok();
  return std::move(valid).error().with(Stage::input);
}

}  // namespace

Result<VolumeSpec> read_spec(const Ctx& ctx, const SpecOptions& options) {
  const bool has_words = !options.target.empty() || !options.portals.empty() ||
                         !options.lun.empty() || !options.ifaces.empty();
  if (!options.file.empty() && has_words) {
    return invalid("--spec: cannot go with --target, --portal, --lun or --iface");
  }
  HAWSER_TRY_ASSIGN(VolumeSpec spec, options.file.empty() ? spec_from_words(options)
                                                          : spec_from_file(ctx, options.file));
  if (options.discovery) spec.discovery = options.discovery;
  HAWSER_TRY(add_chap(ctx, "--chap-file", options.chap_file, spec.chap));
  HAWSER_TRY(
      add_chap(ctx, "--discovery-chap-file", options.discovery_chap_file, spec.discovery_chap));
  HAWSER_TRY(check(spec));
  return spec;
}

Result<VolumeSpec> read_spec_to_attach(const Ctx& ctx, const Invocation& invocation) {
  HAWSER_TRY_ASSIGN(VolumeSpec spec, read_spec(ctx, invocation.spec));
  const std::string& wwid = invocation.expected_wwid;
  if (!wwid.empty() && !spec.expected_wwid.empty() && wwid != spec.expected_wwid) {
    return invalid("--expect-wwid: the specification has another expected_wwid, '" +
                   spec.expected_wwid + "'");
  }
  if (!wwid.empty()) spec.expected_wwid = wwid;
  if (invocation.min_paths) spec.min_paths = invocation.min_paths;
  if (invocation.grace) spec.grace = invocation.grace;
  HAWSER_TRY(check(spec));
  return spec;
}

Result<Chap> parse_chap(std::string_view text) {
  Chap chap;
  std::set<std::string_view> seen;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = trim(next_line(text));
    if (line.empty() || line.front() == '#') continue;
    const Status added = add_chap_line(line, seen, chap);
    if (!added) return invalid("line " + std::to_string(number) + ": " + added.error().message());
  }
  for (const std::string_view key : {kUsername, kPassword}) {
    if (!seen.contains(key)) return invalid(std::string(key) + ": missing");
  }
  return chap;
}

Result<Chap> read_chap_file(const Ctx& ctx, const std::string& option, const std::string& path) {
  HAWSER_TRY_ASSIGN(const InputText file,
                    read_input(ctx, option, path, kChapBytesMax, Privacy::owner_only));
  Result<Chap> chap = parse_chap(file.text());
  if (chap) return chap;
  return std::move(chap).error().with(option + ": " + path);
}

Result<Portal> parse_portal_option(const std::string& text) {
  Result<Portal> portal = parse_portal(text);
  if (portal) return portal;
  return std::move(portal).error().with("--portal").with(Stage::input);
}

}  // namespace hawser::tool
