// The one file that includes <libudev.h>. libudev objects are for one thread; each has its own
// context here, which is cheap.
//
// All of them share the key of libudev's hash tables, which is made without a lock. Source:
// get_hash_key() in systemd's src/basic/hashmap.c. So they are made under one here.
#include "udev/udev.h"

#include <libudev.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/c_ptr.h"
#include "base/mutex.h"

namespace hawser {
namespace {

using Udev = CPtr<udev, &udev_unref>;
using Device = CPtr<udev_device, &udev_device_unref>;
using Monitor = CPtr<udev_monitor, &udev_monitor_unref>;

constexpr std::size_t kSerialBytesMax = 512;
constexpr int kEventsMax = 4096;  // What a receive buffer holds at most; more is a flood.

Mutex g_udev_mutex;

}  // namespace

struct UdevMonitor::Handle {
  Udev context;
  Monitor monitor;
};

UdevMonitor::UdevMonitor(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
UdevMonitor::UdevMonitor(UdevMonitor&&) noexcept = default;
UdevMonitor& UdevMonitor::operator=(UdevMonitor&&) noexcept = default;
UdevMonitor::~UdevMonitor() = default;

Result<UdevMonitor> UdevMonitor::open(Source source) {
  auto handle = std::make_unique<Handle>();
  const MutexLock lock(g_udev_mutex);
  handle->context.reset(::udev_new());
  if (!handle->context) return Error(Errc::exhausted, "udev_new");
  handle->monitor.reset(::udev_monitor_new_from_netlink(
      handle->context.get(), source == Source::kernel ? "kernel" : "udev"));
  if (!handle->monitor) return Error::from_errno(errno, "udev_monitor_new_from_netlink");
  const int added =
      ::udev_monitor_filter_add_match_subsystem_devtype(handle->monitor.get(), "block", nullptr);
  if (added < 0) return Error::from_errno(-added, "filter uevents");
  const int started = ::udev_monitor_enable_receiving(handle->monitor.get());
  if (started < 0) return Error::from_errno(-started, "receive uevents");
  return UdevMonitor(std::move(handle));
}

int UdevMonitor::fd() const { return ::udev_monitor_get_fd(handle_->monitor.get()); }

void UdevMonitor::drain() {
  const MutexLock lock(g_udev_mutex);
  for (int i = 0; i < kEventsMax; ++i) {
    const Device device(::udev_monitor_receive_device(handle_->monitor.get()));
    if (!device) return;
  }
}

// udevd makes this socket when it starts, and libudev itself asks no more than this.
bool udev_runs() { return ::access("/run/udev/control", F_OK) == 0; }

Result<std::optional<UdevRecord>> udev_record(const DevT& dev) {
  const MutexLock lock(g_udev_mutex);
  const Udev context(::udev_new());
  if (!context) return Error(Errc::exhausted, "udev_new");
  const Device device(
      ::udev_device_new_from_devnum(context.get(), 'b', ::makedev(dev.major, dev.minor)));
  if (!device || ::udev_device_get_is_initialized(device.get()) == 0) {
    return std::optional<UdevRecord>{};
  }
  UdevRecord record;
  const char* serial = ::udev_device_get_property_value(device.get(), "ID_SERIAL");
  if (serial != nullptr) record.serial = std::string(serial).substr(0, kSerialBytesMax);
  const std::chrono::microseconds age(::udev_device_get_usec_since_initialized(device.get()));
  record.handled = std::chrono::steady_clock::now() - age;
  return {std::move(record)};
}

// libudev tells of devices that are there only. Source: device_update_db() in systemd's
// src/libsystemd/sd-device/device-private.c.
bool udev_remembers(const DevT& dev) {
  return ::access(("/run/udev/data/b" + to_string(dev)).c_str(), F_OK) == 0;
}

}  // namespace hawser
