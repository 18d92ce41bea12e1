#include "engine/report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace hawser {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

const SessionEntry* last_entry(const LogState& state, const SessionKey& key) {
  const SessionEntry* last = nullptr;
  for (const SessionEntry& entry : state.sessions) {
    if (entry.key == key) last = &entry;
  }
  return last;
}

std::string path_state(const Session& session, const ScsiDevice& device,
                       const std::optional<Map>& map) {
  if (session.state != SessionState::logged_in || device.state != "running") return "blocked";
  if (!map) return "active";
  const auto path = std::find_if(map->paths.begin(), map->paths.end(),
                                 [&](const MapPathStatus& p) { return p.dev == device.dev; });
  if (path == map->paths.end()) return "missing";
  // The kernel fails all I/O to a disk without a size. multipathd, which only asks whether the unit
  // is ready, brings it back every time.
  return path->is_active && device.sectors > 0 ? "active" : "faulty";
}

// Fills in what the log knows of a path; the kernel's part comes from fill_from_kernel().
PathReport from_log(const LoggedPath& path, const SessionEntry* entry) {
  PathReport report{.portal = path.spec.portal,
                    .target = path.spec.target,
                    .lun = path.spec.lun,
                    .state = "missing",
                    .iface = path.key.iface};
  if (entry == nullptr) return report;
  report.sid = entry->sid;
  if (entry->progress == Progress::intended) report.state = "pending";
  if (entry->progress == Progress::done) {
    report.login_time = std::chrono::milliseconds(entry->login_ms);
  }
  if (entry->progress == Progress::ended) {
    report.state = "failed";
    if (!entry->error.empty()) {
      report.error = Error(Errc::unavailable, entry->error)
                         .with(Stage::login)
                         .with_path(to_string(path.spec.portal), path.spec.target, path.spec.lun);
    }
  }
  return report;
}

Status fill_from_kernel(const Ctx& ctx, Host& host, const LoggedPath& path,
                        const std::vector<Session>& sessions, const std::optional<Map>& map,
                        PathReport& report) {
  if (!report.sid) return ok();
  const auto session = std::find_if(sessions.begin(), sessions.end(),
                                    [&](const Session& s) { return s.sid == *report.sid; });
  const bool is_read = session != sessions.end();
  if (is_read && !runs_through(*session, path.key)) return ok();
  HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, *report.sid));
  const auto device = std::find_if(devices.begin(), devices.end(), [&](const ScsiDevice& d) {
    return d.hctl.lun == path.kernel_lun;
  });
  if (device == devices.end()) return ok();
  report.hctl = to_string(device->hctl);
  report.device = device->name;
  // One that iscsid is taking over cannot be read, but has its disks.
  report.state = is_read ? path_state(*session, *device, map) : "blocked";
  return ok();
}

// Source: systemd src/udev/udev-builtin-path_id.c, handle_scsi_iscsi() and format_lun_number().
std::string by_path_link(const LoggedPath& path) {
  const std::uint32_t lun = path.kernel_lun;
  std::array<char, 24> text{};
  if (lun < 256) {
    (void)std::snprintf(text.data(), text.size(), "%u", lun);
  } else {
    (void)std::snprintf(text.data(), text.size(), "0x%04x%04x00000000", lun & 0xffffU, lun >> 16U);
  }
  return "/dev/disk/by-path/ip-" + path.key.address + ":" + std::to_string(path.key.port) +
         "-iscsi-" + path.key.target + "-lun-" + text.data();
}

std::string status_word(const LogState& state, bool is_there) {
  switch (state.phase) {
    case Phase::idle: break;  // Is shown to nobody.
    case Phase::attaching: return "attaching";
    case Phase::detaching: return "detaching";
    case Phase::attached: return is_there ? "attached" : "stale";
  }
  return "stale";
}

}  // namespace

Result<Attachment> report(const Ctx& ctx, Host& host, const std::string& id,
                          const LogState& state) {
  Attachment attachment{.id = id, .wwid = state.wwid, .volume_id = state.volume_id};
  attachment.read_only = state.read_only;
  HAWSER_TRY_ASSIGN(const std::string boot_id, host.boot_id());
  const bool is_this_boot = boot_id == state.boot_id;

  std::optional<Map> map;
  std::vector<Session> sessions;
  if (is_this_boot) {
    HAWSER_TRY_ASSIGN(sessions, host.sessions(ctx));
    if (state.is_multipath || state.phase == Phase::attaching) {
      HAWSER_TRY_ASSIGN(map, host.find_map(ctx, map_uuid_of(state.wwid)));
    }
  }

  std::size_t active = 0;
  for (const LoggedPath& path : state.paths) {
    PathReport one = from_log(path, last_entry(state, path.key));
    HAWSER_TRY(fill_from_kernel(ctx, host, path, sessions, map, one));
    if (one.state == "active") ++active;
    attachment.paths.push_back(std::move(one));
  }
  attachment.degraded = active < (state.is_multipath ? state.paths.size() : 1);
  attachment.multipath = map.has_value();
  if (map) {
    attachment.path = map->node();
    attachment.stable_path = "/dev/disk/by-id/dm-uuid-" + kernel_uuid(map->uuid);
    attachment.size_bytes = map->sectors * kSectorBytes;
    attachment.read_only = map->is_read_only;
  }
  // Another path may have left a disk as well, which nobody has looked at.
  const auto bare =
      std::find_if(attachment.paths.begin(), attachment.paths.end(), [&](const PathReport& p) {
        return !p.device.empty() && (!state.bare_sid || p.sid == state.bare_sid);
      });
  if (!state.is_multipath && !map && bare != attachment.paths.end()) {
    attachment.path = "/dev/" + bare->device;
    attachment.stable_path =
        by_path_link(state.paths[static_cast<std::size_t>(bare - attachment.paths.begin())]);
    HAWSER_TRY_ASSIGN(const std::vector<ScsiDevice> devices, host.devices(ctx, *bare->sid));
    for (const ScsiDevice& device : devices) {
      if (device.name != bare->device) continue;
      attachment.size_bytes = device.sectors * kSectorBytes;
      attachment.read_only = device.read_only;
    }
  }
  attachment.status = status_word(state, !attachment.path.empty());
  if (attachment.read_only != state.read_only) {
    attachment.warnings.push_back(attachment.read_only
                                      ? "was attached for writing, and is read-only now"
                                      : "was attached read-only, and can be written to now");
  }
  if (!is_this_boot) attachment.warnings.push_back("attached before the last reboot");
  return attachment;
}

}  // namespace hawser
