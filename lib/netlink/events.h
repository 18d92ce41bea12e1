#pragma once

#include <memory>
#include <vector>

#include "hawser/ctx.h"

#include "wire/iscsi_netlink.h"

namespace hawser {

// A member of the kernel's multicast group for iSCSI events. Events are hints to look at sysfs: the
// kernel drops them when we are slow, and sends none when a session has logged in. One thread at a
// time.
class IscsiEvents {
 public:
  // Errors: permission_denied (needs CAP_NET_ADMIN), unavailable (no iSCSI in this kernel, or not
  // the first network namespace).
  static Result<IscsiEvents> open();
  IscsiEvents(IscsiEvents&&) noexcept;
  IscsiEvents& operator=(IscsiEvents&&) noexcept;
  ~IscsiEvents();

  int fd() const;

  // Takes the events that are there. Does not block. Those that cannot be decoded, or were lost,
  // are not in it.
  std::vector<IscsiEvent> drain();

  // Asks the kernel for the counters of a session. The answer goes to the whole group, and with
  // nobody in the group the kernel would look for a listener for ever, holding its lock: so this is
  // a member function, and checks that we are in the group.
  Result<SessionReport::Counters> counters(const Ctx& ctx, std::uint64_t transport_handle,
                                           std::uint32_t sid);

 private:
  struct Handle;
  explicit IscsiEvents(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace hawser
