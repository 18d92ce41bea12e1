#include "scsi/device.h"

#include <memory>
#include <string_view>
#include <utility>

#include "base/number.h"
#include "os/bounded.h"
#include "scsi/block_io.h"
#include "wire/sysfs_text.h"
#include "wire/vpd.h"

namespace hawser {
namespace {

// What the kernel's disk driver calls its own: "sda". That of CD drives has other names. Source:
// sd_probe() in Linux drivers/scsi/sd.c, sr_probe() in drivers/scsi/sr.c.
constexpr std::string_view kDiskPrefix = "sd";

// By its session, whose number is not given to another as that of a host is.
std::string unit_dir(const Hctl& unit, std::uint32_t sid) {
  const std::string address = to_string(unit);
  return "class/iscsi_session/session" + std::to_string(sid) + "/device/target" +
         address.substr(0, address.rfind(':')) + "/" + address + "/";
}

std::string dir_of(const ScsiDevice& device) { return unit_dir(device.hctl, device.sid); }

// What a device does not say is not an error; what it says wrongly is no identity. But to be out of
// descriptors says nothing of the device.
template <class Page>
Status take_page(const Result<std::string>& bytes, Page (*decode)(std::string_view), auto& into) {
  if (!bytes && bytes.error().code() == Errc::exhausted) return bytes.error();
  if (!bytes) return ok();
  Page page = decode(*bytes);
  if (page) into = *std::move(page);
  return ok();
}

Result<UnitKind> kind_of(const Sysfs& sysfs, const std::string& dir) {
  const Result<std::string> inquiry = sysfs.binary(dir + "inquiry");
  if (!inquiry && inquiry.error().code() == Errc::not_found) return UnitKind::none;
  HAWSER_TRY(inquiry);
  return decode_unit_kind(*inquiry);
}

// What is gone already has been deleted by somebody else.
Status delete_unit(const Sysfs& sysfs, const std::string& dir) {
  const Status written = sysfs.write(dir + "delete", "1");
  const bool is_gone = !written && (written.error().code() == Errc::not_found);
  return is_gone ? ok() : written;
}

}  // namespace

Result<std::vector<Hctl>> ScsiSysfs::addresses(std::uint32_t sid) const {
  // .../sessionN/targetH:C:T/H:C:T:L
  const std::string session = "class/iscsi_session/session" + std::to_string(sid) + "/device";
  HAWSER_TRY_ASSIGN(const std::vector<std::string> targets, sysfs_.list(session));
  std::vector<Hctl> addresses;
  for (const std::string& target : targets) {
    if (!target.starts_with("target")) continue;
    HAWSER_TRY_ASSIGN(const std::vector<std::string> entries, sysfs_.list(session + "/" + target));
    for (const std::string& entry : entries) {
      // What is no address is an attribute of the target itself.
      if (const std::optional<Hctl> hctl = parse_hctl(entry)) addresses.push_back(*hctl);
    }
  }
  return addresses;
}

Result<std::vector<Hctl>> ScsiSysfs::units(std::uint32_t sid) const {
  HAWSER_TRY_ASSIGN(const std::vector<Hctl> addresses, this->addresses(sid));
  std::vector<Hctl> units;
  for (const Hctl& unit : addresses) {
    const bool has_driver = sysfs_.exists(unit_dir(unit, sid) + "driver");
    HAWSER_TRY_ASSIGN(const bool is_probing, has_driver ? false : this->is_probing(unit, sid));
    if (has_driver || is_probing) units.push_back(unit);
  }
  return units;
}

Result<std::vector<ScsiDevice>> ScsiSysfs::devices(std::uint32_t sid) const {
  HAWSER_TRY_ASSIGN(const std::vector<Hctl> addresses, this->addresses(sid));
  std::vector<ScsiDevice> devices;
  for (const Hctl& address : addresses) {
    HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> device, this->device(address, sid));
    if (device) devices.push_back(*std::move(device));
  }
  return devices;
}

Result<std::optional<ScsiDevice>> ScsiSysfs::device(const Hctl& hctl, std::uint32_t sid) const {
  const std::optional<ScsiDevice> none;
  const std::string dir = unit_dir(hctl, sid);
  HAWSER_TRY_ASSIGN(const std::vector<std::string> disks, sysfs_.list(dir + "block"));
  if (disks.empty() || !disks.front().starts_with(kDiskPrefix)) return none;
  ScsiDevice device{.hctl = hctl, .sid = sid, .name = disks.front()};
  const std::string disk = dir + "block/" + device.name + "/";
  const Result<std::string> state = sysfs_.attribute(dir + "state");
  const Result<std::string> dev = sysfs_.attribute(disk + "dev");
  const Result<std::string> size = sysfs_.attribute(disk + "size");
  const Result<std::string> read_only = sysfs_.attribute(disk + "ro");
  for (const Result<std::string>* attribute : {&state, &dev, &size, &read_only}) {
    if (*attribute) continue;
    if (attribute->error().code() == Errc::exhausted) return attribute->error();
    return none;  // Coming or going.
  }

  const std::optional<DevT> number = parse_dev(*dev);
  const auto sectors = parse_number<std::uint64_t>(*size);
  if (!number)
    return Error(Errc::protocol, "sysfs attribute '" + disk + "dev' says '" + *dev + "'");
  if (!sectors) {
    return Error(Errc::protocol, "sysfs attribute '" + disk + "size' says '" + *size + "'");
  }
  device.dev = *number;
  device.sectors = *sectors;
  device.state = *state;
  device.read_only = *read_only != "0";
  const Result<std::string> access_state = sysfs_.attribute(dir + "access_state");
  if (access_state) device.access_state = *access_state;
  HAWSER_TRY(
      take_page(sysfs_.binary(dir + "vpd_pg83"), &decode_vpd83, device.identity.designators));
  HAWSER_TRY(take_page(sysfs_.binary(dir + "vpd_pg80"), &decode_vpd80, device.identity.serial));
  return {std::move(device)};
}

Result<std::optional<ScsiDevice>> ScsiSysfs::find(const DevT& dev) const {
  // Leads to .../sessionN/targetH:C:T/H:C:T:L/block/sdX
  const Result<std::string> link = sysfs_.link_target("dev/block/" + to_string(dev));
  if (!link && link.error().code() == Errc::not_found) return std::optional<ScsiDevice>{};
  HAWSER_TRY(link);
  const std::optional<DiskPlace> place = parse_disk_link(*link);
  if (!place) return {ScsiDevice{.name = link->substr(link->rfind('/') + 1), .dev = dev}};
  HAWSER_TRY_ASSIGN(std::optional<ScsiDevice> device, this->device(place->hctl, place->sid));
  // The number may have gone to another device while we looked.
  if (device && device->dev != dev) return std::optional<ScsiDevice>{};
  return device;
}

bool ScsiSysfs::exists(const ScsiDevice& device) const { return sysfs_.exists(dir_of(device)); }

Result<bool> ScsiSysfs::is_probing(const Hctl& unit, std::uint32_t sid) const {
  HAWSER_TRY_ASSIGN(const UnitKind kind, this->kind(unit, sid));
  return kind == UnitKind::disk && !sysfs_.exists(unit_dir(unit, sid) + "block");
}

Result<UnitKind> ScsiSysfs::kind(const Hctl& unit, std::uint32_t sid) const {
  return kind_of(sysfs_, unit_dir(unit, sid));
}

Result<std::string> ScsiSysfs::state(const ScsiDevice& device) const {
  const std::string dir = dir_of(device);
  const Result<std::string> dev = sysfs_.attribute(dir + "block/" + device.name + "/dev");
  if (!dev || parse_dev(*dev) != device.dev) {
    return Error(Errc::not_found, device.name + " is gone");
  }
  return sysfs_.attribute(dir + "state");
}

Result<std::shared_ptr<const Sysfs>> ScsiSysfs::own_root() const {
  HAWSER_TRY_ASSIGN(Sysfs own, sysfs_.duplicate());
  return std::make_shared<const Sysfs>(std::move(own));
}

// A write that starts SCSI commands cannot be interrupted.
Status ScsiSysfs::write(const Ctx& ctx, const std::string& path, const std::string& text) const {
  HAWSER_TRY_ASSIGN(const auto root, own_root());
  return run_bounded(ctx, "write '" + text + "' to " + path,
                     [root, path, text] { return root->write(path, text); });
}

Status ScsiSysfs::scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const {
  const std::string state_path =
      "class/iscsi_session/session" + std::to_string(session.sid) + "/state";
  const auto check = [&]() -> Status {
    HAWSER_TRY_ASSIGN(const std::string state, sysfs_.attribute(state_path));
    if (state == "LOGGED_IN") return ok();
    return Error(Errc::unavailable, "session " + std::to_string(session.sid) + " is " + state +
                                        ", so nothing is scanned");
  };
  HAWSER_TRY(check());
  HAWSER_TRY(write_scan(ctx, session, lun));
  return check();
}

// The kernel lets one caller at a time scan a host, and looks at the session's state when it is his
// turn. Source: iscsi_user_scan_session() in Linux drivers/scsi/scsi_transport_iscsi.c.
Status ScsiSysfs::finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const {
  return write_scan(ctx, session, lun);
}

Status ScsiSysfs::write_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) const {
  return write(ctx, "class/scsi_host/host" + std::to_string(session.host_no) + "/scan",
               "0 " + std::to_string(session.target_id) + " " + std::to_string(lun));
}

Status ScsiSysfs::rescan(const Ctx& ctx, const ScsiDevice& device, bool reads_first) const {
  const std::string path = dir_of(device) + "rescan";
  if (!reads_first) return write(ctx, path, "1");
  HAWSER_TRY_ASSIGN(const auto root, own_root());
  return run_bounded(ctx, "read and rescan " + device.name,
                     [root, path, node = "/dev/" + device.name, dev = device.dev]() -> Status {
                       HAWSER_TRY(read_first_block(node, dev));
                       return root->write(path, "1");
                     });
}

Status ScsiSysfs::remove(const Ctx& ctx, const ScsiDevice& device) const {
  // The address may have been given to another device since we looked.
  const Result<std::string> dev =
      sysfs_.attribute(dir_of(device) + "block/" + device.name + "/dev");
  if (!dev && !exists(device)) return ok();
  bool is_another = dev && parse_dev(*dev) != device.dev;
  if (!dev) {
    HAWSER_TRY_ASSIGN(const std::vector<std::string> disks, sysfs_.list(dir_of(device) + "block"));
    is_another = !disks.empty() && disks.front() != device.name;
  }
  if (is_another) {
    return Error(Errc::identity_mismatch, device.name + " is another device now");
  }
  HAWSER_TRY_ASSIGN(const auto root, own_root());
  return run_bounded(ctx, "delete " + device.name,
                     [root, dir = dir_of(device)] { return delete_unit(*root, dir); });
}

Status ScsiSysfs::remove_unless_disk(const Ctx& ctx, const Hctl& unit, std::uint32_t sid) const {
  HAWSER_TRY_ASSIGN(const auto root, own_root());
  return run_bounded(ctx, "delete unit " + to_string(unit),
                     [root, dir = unit_dir(unit, sid)]() -> Status {
                       HAWSER_TRY_ASSIGN(const UnitKind kind, kind_of(*root, dir));
                       if (kind == UnitKind::none || kind == UnitKind::disk) return ok();
                       return delete_unit(*root, dir);
                     });
}

Result<DevT> ScsiSysfs::number(const std::string& name) const {
  HAWSER_TRY_ASSIGN(const std::string text, sysfs_.attribute("class/block/" + name + "/dev"));
  const std::optional<DevT> dev = parse_dev(text);
  if (!dev) return Error(Errc::protocol, name + " has device number '" + text + "'");
  return *dev;
}

Result<std::vector<std::string>> ScsiSysfs::holders(const std::string& name) const {
  return sysfs_.list("class/block/" + name + "/holders");
}

}  // namespace hawser
