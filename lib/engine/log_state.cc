#include "engine/log_state.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/crc32c.h"
#include "model/path_count.h"

namespace hawser {
namespace {

// They are to fit in a record of 64 KiB.
constexpr std::size_t kLoggedWwidsMax = 4096;

constexpr std::string_view kHex = "0123456789abcdef";

// The greatest number is no step's: there would be none for the next.
constexpr std::uint32_t kNumberNone = std::numeric_limits<std::uint32_t>::max();

std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kHex[byte >> 4];
    hex += kHex[byte & 15];
  }
  return hex;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const std::size_t high = kHex.find(hex[i]);
    const std::size_t low = kHex.find(hex[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Reads the fields of one record; remembers the first one that was missing or malformed.
class FieldReader {
 public:
  explicit FieldReader(const Record& record) : record_(record) {}

  std::string text(std::string_view name) {
    const auto field = record_.fields.find(name);
    if (field != record_.fields.end()) return field->second;
    note(name);
    return {};
  }
  std::string text_or(std::string_view name, std::string fallback) const {
    const auto field = record_.fields.find(name);
    return field == record_.fields.end() ? std::move(fallback) : field->second;
  }
  bool has(std::string_view name) const { return record_.fields.contains(name); }

  template <class Number>
  Number number(std::string_view name) {
    const std::optional<Number> value = to_number<Number>(text(name));
    if (!value) note(name);
    return value.value_or(0);
  }
  bool flag(std::string_view name) { return number<unsigned>(name) != 0; }

  Portal portal(std::string_view name) {
    Result<Portal> portal = parse_portal(text(name));
    if (portal) return *std::move(portal);
    note(name);
    return {};
  }
  SessionKey key() {
    return {.target = text("target"),
            .address = text("address"),
            .port = number<std::uint16_t>("port"),
            .iface = text("iface")};
  }
  Origin origin() {
    const std::string word = text("origin");
    for (const Origin origin : {Origin::created, Origin::shared, Origin::foreign}) {
      if (word == to_string(origin)) return origin;
    }
    note("origin");
    return Origin::foreign;
  }
  Identity identity();
  std::set<std::uint32_t> checksums(std::string_view name);
  std::size_t path_count() {
    const auto count = number<std::size_t>("paths");
    if (count <= kPathsMax) return count;
    note("paths");
    return 0;
  }

  // Says that a field is no good.
  void note(std::string_view name) {
    if (bad_.empty()) bad_ = name;
  }
  Status status() const {
    if (bad_.empty()) return ok();
    return Error(Errc::corrupt, "log record " + std::to_string(record_.seq) + " (" + record_.step +
                                    "): bad or missing field '" + bad_ + "'")
        .with(Stage::journal);
  }

 private:
  const Record& record_;
  std::string bad_{};
};

// "type.code_set.hex,..." and the serial number in hex.
Identity FieldReader::identity() {
  Identity identity;
  const std::string list = text("designators");
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const std::size_t dot = one.find('.');
    const std::size_t second = dot == one.npos ? one.npos : one.find('.', dot + 1);
    if (second == one.npos) {
      note("designators");
      break;
    }
    const auto type = to_number<std::uint8_t>(one.substr(0, dot));
    const auto code_set = to_number<std::uint8_t>(one.substr(dot + 1, second - dot - 1));
    const auto bytes = from_hex(one.substr(second + 1));
    if (!type || !code_set || !bytes) {
      note("designators");
      break;
    }
    identity.designators.push_back({.type = *type, .code_set = *code_set, .bytes = *bytes});
  }
  const auto serial = from_hex(text("serial"));
  if (!serial) note("serial");
  identity.serial = serial.value_or("");
  return identity;
}

std::set<std::uint32_t> FieldReader::checksums(std::string_view name) {
  std::set<std::uint32_t> sums;
  const std::string list = text(name);
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const auto sum = to_number<std::uint32_t>(one);
    if (!sum) note(name);
    sums.insert(sum.value_or(0));
  }
  return sums;
}

// Applies one record to the state.
class Replayer {
 public:
  explicit Replayer(LogState& state) : state_(state) {}

  Status apply(const Record& record) {
    FieldReader fields(record);
    if (record.number == kNumberNone) fields.note("number");
    state_.next_number = std::max(state_.next_number, record.number + 1);
    switch (record.type) {
      case RecordType::begin: begin(record, fields); break;
      case RecordType::intent: intend(record, fields); break;
      case RecordType::done: finish(record, fields); break;
      case RecordType::failed:
      case RecordType::undone: end(record, fields); break;
      case RecordType::commit:
        state_.phase = Phase::attached;
        state_.is_multipath = fields.flag("multipath");
        if (fields.has("sid")) state_.bare_sid = fields.number<std::uint32_t>("sid");
        break;
      case RecordType::abort:
        state_.phase = state_.phase == Phase::detaching ? Phase::attached : Phase::idle;
        state_.flushed = false;
        state_.is_forced = false;
        break;
      case RecordType::note:
        if (record.step == step::kIdentity) {
          state_.identity = fields.identity();
          state_.wwid = fields.text("wwid");
        } else if (record.step == step::kWwids) {
          state_.wwids_before = fields.checksums("before");
        } else if (record.step == step::kFlush) {
          state_.lost_writes = fields.text("lost");
        }
        break;
    }
    return fields.status();
  }

 private:
  void begin(const Record& record, FieldReader& fields);
  void intend(const Record& record, FieldReader& fields);
  void intend_join(const Record& record, FieldReader& fields);
  void finish(const Record& record, FieldReader& fields);
  void end(const Record& record, FieldReader& fields);

  LogState& state_;
};

void Replayer::begin(const Record& record, FieldReader& fields) {
  if (record.step == step::kDetach) {
    state_.phase = Phase::detaching;
    return;
  }
  LogState fresh;
  fresh.identity = state_.identity;
  fresh.is_remembered = !state_.identity.empty();
  fresh.next_number = state_.next_number;
  fresh.phase = Phase::attaching;
  fresh.boot_id = fields.text("boot");
  fresh.volume_id = fields.text("volume");
  fresh.read_only = fields.flag("read_only");
  const std::size_t count = fields.path_count();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    LoggedPath path{.spec = {.portal = fields.portal("portal_" + n)}};
    path.spec.target = fields.text("target_" + n);
    path.spec.lun = fields.number<std::uint16_t>("lun_" + n);
    path.kernel_lun = fields.number<std::uint32_t>("kernel_lun_" + n);
    path.key = {.target = path.spec.target,
                .address = fields.text("address_" + n),
                .port = path.spec.portal.port,
                // Logs of 0.1.0 have one iface for all paths.
                .iface = fields.text_or("iface_" + n, fields.text("iface"))};
    fresh.paths.push_back(std::move(path));
  }
  state_ = std::move(fresh);
}

void Replayer::intend(const Record& record, FieldReader& fields) {
  if (record.step == step::kSession) {
    state_.sessions.push_back({.number = record.number,
                               .key = fields.key(),
                               .origin = fields.origin(),
                               .lun = fields.number<std::uint32_t>("lun"),
                               .expires_ms = fields.number<std::int64_t>("expires_ms")});
  } else if (record.step == step::kDevice) {
    state_.devices.push_back({.number = record.number,
                              .sid = fields.number<std::uint32_t>("sid"),
                              .lun = fields.number<std::uint32_t>("lun"),
                              .existed = fields.flag("existed")});
  } else if (record.step == step::kNode) {
    NodeEntry node{.number = record.number, .key = fields.key()};
    if (fields.has("group")) node.group = fields.number<std::uint16_t>("group");
    state_.nodes.push_back(std::move(node));
  } else if (record.step == step::kWwid) {
    state_.wwids.push_back({.number = record.number, .wwid = fields.text("wwid")});
  } else if (record.step == step::kMap) {
    state_.maps.push_back({.number = record.number,
                           .uuid = fields.text("uuid"),
                           .existed = !fields.has("existed") || fields.flag("existed")});
  } else if (record.step == step::kReadOnly) {
    state_.read_only_devices.push_back({.number = record.number,
                                        .name = fields.text("name"),
                                        .map_uuid = fields.text("uuid"),
                                        .sid = fields.number<std::uint32_t>("sid"),
                                        .hctl = fields.text("hctl")});
  } else if (record.step == step::kExpel) {
    state_.expelled.push_back({.number = record.number,
                               .sid = fields.number<std::uint32_t>("sid"),
                               .hctl = fields.text("hctl"),
                               .name = fields.text("name")});
  } else if (record.step == step::kJoin) {
    intend_join(record, fields);
  } else if (record.step == step::kResize) {
    state_.resizes.push_back({.number = record.number});
  }
}

// A portal that the attach did not know of is one of the volume's from now on.
void Replayer::intend_join(const Record& record, FieldReader& fields) {
  LoggedPath path{.spec = {.portal = fields.portal("portal")},
                  .key = fields.key(),
                  .kernel_lun = fields.number<std::uint32_t>("kernel_lun")};
  path.spec.target = path.key.target;
  path.spec.lun = fields.number<std::uint16_t>("lun");
  // What an earlier try has begun is this one's now.
  for (JoinEntry& join : state_.joins) {
    if (join.key == path.key && join.progress == Progress::intended)
      join.progress = Progress::ended;
  }
  state_.joins.push_back({.number = record.number, .key = path.key});
  const bool is_known = std::any_of(state_.paths.begin(), state_.paths.end(),
                                    [&](const LoggedPath& p) { return p.key == path.key; });
  if (!is_known) state_.paths.push_back(std::move(path));
}

template <class Entry>
Entry* find_entry(std::vector<Entry>& entries, std::uint32_t number) {
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [number](const Entry& e) { return e.number == number; });
  return entry == entries.end() ? nullptr : &*entry;
}

void Replayer::finish(const Record& record, FieldReader& fields) {
  if (record.step == step::kFlush) {
    state_.flushed = true;
    state_.is_forced = fields.has("forced") && fields.flag("forced");
  } else if (SessionEntry* session = find_entry(state_.sessions, record.number)) {
    session->progress = Progress::done;
    session->sid = fields.number<std::uint32_t>("sid");
    session->origin = fields.origin();
    session->login_ms = fields.number<std::int64_t>("login_ms");
  } else if (DeviceEntry* device = find_entry(state_.devices, record.number)) {
    device->progress = Progress::done;
    if (fields.has("designators")) device->identity = fields.identity();
    const std::optional<DevT> dev = parse_dev(fields.text_or("dev", ""));
    const std::optional<Hctl> hctl = parse_hctl(fields.text_or("hctl", ""));
    if (dev && hctl) {
      device->name = fields.text_or("name", "");
      device->dev = *dev;
      device->hctl = *hctl;
    }
  } else if (NodeEntry* node = find_entry(state_.nodes, record.number)) {
    node->progress = Progress::done;
  } else if (WwidEntry* wwid = find_entry(state_.wwids, record.number)) {
    wwid->progress = Progress::done;
  } else if (MapEntry* map = find_entry(state_.maps, record.number)) {
    map->progress = Progress::done;
  } else if (ReadOnlyEntry* made_so = find_entry(state_.read_only_devices, record.number)) {
    made_so->progress = Progress::done;
  } else if (ExpelEntry* expelled = find_entry(state_.expelled, record.number)) {
    expelled->progress = Progress::done;
  } else if (JoinEntry* join = find_entry(state_.joins, record.number)) {
    join->progress = Progress::done;
  } else if (ResizeEntry* resize = find_entry(state_.resizes, record.number)) {
    resize->progress = Progress::done;
  }
}

void Replayer::end(const Record& record, FieldReader& fields) {
  if (SessionEntry* session = find_entry(state_.sessions, record.number)) {
    session->progress = Progress::ended;
    session->error = fields.text_or("error", "");
  } else if (DeviceEntry* device = find_entry(state_.devices, record.number)) {
    device->progress = Progress::ended;
  } else if (NodeEntry* node = find_entry(state_.nodes, record.number)) {
    node->progress = Progress::ended;
  } else if (WwidEntry* wwid = find_entry(state_.wwids, record.number)) {
    wwid->progress = Progress::ended;
  } else if (MapEntry* map = find_entry(state_.maps, record.number)) {
    map->progress = Progress::ended;
  } else if (ReadOnlyEntry* made_so = find_entry(state_.read_only_devices, record.number)) {
    made_so->progress = Progress::ended;
  } else if (ExpelEntry* expelled = find_entry(state_.expelled, record.number)) {
    expelled->progress = Progress::ended;
  } else if (JoinEntry* join = find_entry(state_.joins, record.number)) {
    join->progress = Progress::ended;
  } else if (ResizeEntry* resize = find_entry(state_.resizes, record.number)) {
    resize->progress = Progress::ended;
  }
}

}  // namespace

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::created: return "created";
    case Origin::shared: return "shared";
    case Origin::foreign: return "foreign";
  }
  return "foreign";
}

std::string to_string(const SessionKey& key) {
  return key.target + " at " + to_string(Portal{.host = key.address, .port = key.port}) +
         " iface " + key.iface;
}

bool runs_through(const Session& session, const SessionKey& key) {
  return session.target == key.target && session.address == key.address &&
         session.port == key.port && session.iface == key.iface;
}

Result<LogState> replay(const std::vector<Record>& records) {
  LogState state;
  Replayer replayer(state);
  for (const Record& record : records)
    HAWSER_TRY(replayer.apply(record));
  return state;
}

void put(Fields& fields, const SessionKey& key) {
  fields["target"] = key.target;
  fields["address"] = key.address;
  fields["port"] = std::to_string(key.port);
  fields["iface"] = key.iface;
}

void put(Fields& fields, const Identity& identity) {
  std::string list;
  for (const Designator& d : identity.designators) {
    if (!list.empty()) list += ',';
    list += std::to_string(d.type) + '.' + std::to_string(d.code_set) + '.' + to_hex(d.bytes);
  }
  fields["designators"] = list;
  fields["serial"] = to_hex(identity.serial);
}

Fields begin_fields(const LogState& state) {
  Fields fields{{"boot", state.boot_id},
                {"volume", state.volume_id},
                {"read_only", state.read_only ? "1" : "0"},
                {"iface", state.paths.empty() ? "" : state.paths.front().key.iface},
                {"paths", std::to_string(state.paths.size())}};
  for (std::size_t i = 0; i < state.paths.size(); ++i) {
    const LoggedPath& path = state.paths[i];
    const std::string n = std::to_string(i);
    fields["portal_" + n] = to_string(path.spec.portal);
    fields["target_" + n] = path.spec.target;
    fields["lun_" + n] = std::to_string(path.spec.lun);
    fields["kernel_lun_" + n] = std::to_string(path.kernel_lun);
    fields["address_" + n] = path.key.address;
    fields["iface_" + n] = path.key.iface;
  }
  return fields;
}

bool DeviceEntry::is_of(const ScsiDevice& device) const {
  return sid == device.sid && lun == device.hctl.lun && progress != Progress::ended;
}

bool DeviceEntry::is_of_other_unit(const ScsiDevice& device) const {
  return !identity.empty() && !device.identity.empty() && !same_unit(identity, device.identity);
}

std::string place_of(const LoggedPath& path) {
  return path.spec.target + " LUN " + std::to_string(path.spec.lun);
}

bool LogState::has_ended() const {
  const auto have_ended = [](const auto&... lists) {
    const auto has_ended = [](const auto& entry) { return entry.progress == Progress::ended; };
    return (std::all_of(lists.begin(), lists.end(), has_ended) && ...);
  };
  return have_ended(sessions, devices, nodes, wwids, maps, read_only_devices, expelled, joins,
                    resizes);
}

bool LogState::has_map(const std::string& uuid) const {
  return std::any_of(maps.begin(), maps.end(), [&](const MapEntry& entry) {
    return entry.uuid == uuid && entry.progress != Progress::ended;
  });
}

bool LogState::lacks_wwid(const std::string& wanted) const {
  if (wanted.empty() || !wwids_before || wwids_before->contains(crc32c(wanted))) return false;
  return std::none_of(wwids.begin(), wwids.end(), [&](const WwidEntry& entry) {
    return entry.wwid == wanted && entry.progress != Progress::ended;
  });
}

bool LogState::names(const ScsiDevice& device) const {
  return std::any_of(devices.begin(), devices.end(),
                     [&](const DeviceEntry& entry) { return entry.is_of(device); });
}

bool LogState::names_as_another(const ScsiDevice& device) const {
  return std::any_of(devices.begin(), devices.end(), [&](const DeviceEntry& entry) {
    return entry.is_of(device) && !entry.identity.empty() &&
           !same_unit(entry.identity, device.identity);
  });
}

bool LogState::has_brought(const ScsiDevice& device) const {
  return std::any_of(devices.begin(), devices.end(), [&](const DeviceEntry& entry) {
    return entry.is_of(device) && !entry.existed;
  });
}

std::optional<Fields> wwids_fields(const std::vector<std::string>& wwids) {
  if (wwids.size() > kLoggedWwidsMax) return std::nullopt;
  std::string list;
  for (const std::string& wwid : wwids)
    list += (list.empty() ? "" : ",") + std::to_string(crc32c(wwid));
  return Fields{{"before", list}};
}

Fields join_fields(const LoggedPath& path) {
  Fields fields{{"portal", to_string(path.spec.portal)},
                {"lun", std::to_string(path.spec.lun)},
                {"kernel_lun", std::to_string(path.kernel_lun)}};
  put(fields, path.key);
  return fields;
}

}  // namespace hawser
