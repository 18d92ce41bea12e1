#pragma once

#include <memory>
#include <optional>
#include <string>

#include "hawser/ctx.h"

#include "model/scsi_device.h"

namespace hawser {

// A subscription to uevents of block devices, to be woken by. What they say is a hint: look at the
// kernel after each. Events of another network namespace are not seen, so whoever waits also looks
// again now and then. One thread at a time.
class UdevMonitor {
 public:
  enum class Source {
    kernel,  // As the kernel sends them.
    udev,    // After udev has run its rules.
  };

  static Result<UdevMonitor> open(Source source);
  UdevMonitor(UdevMonitor&&) noexcept;
  UdevMonitor& operator=(UdevMonitor&&) noexcept;
  ~UdevMonitor();

  int fd() const;
  // Takes all events that are there. Does not block.
  void drain();

 private:
  struct Handle;
  explicit UdevMonitor(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

// True if a udev daemon runs in sight.
bool udev_runs();

// What udev's database has for a block device; nullopt if udev has not handled the device yet.
struct UdevRecord {
  std::string serial{};  // ID_SERIAL
  TimePoint handled{};   // When udev first did. Before the device came, if it is of another one.
};
Result<std::optional<UdevRecord>> udev_record(const DevT& dev);

// True if the database still has something for this number, whether or not there is such a device.
// A device that gets the number next is taken for the one before by whoever asks too early.
bool udev_remembers(const DevT& dev);

}  // namespace hawser
