// The one file that includes libnl.
#include "netlink/events.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "base/c_ptr.h"
#include "os/poll.h"

namespace hawser {
namespace {

using Socket = CPtr<nl_sock, &nl_socket_free>;
using Message = CPtr<nl_msg, &nlmsg_free>;

constexpr int kGroupIscsid = 1;  // ISCSI_NL_GRP_ISCSID
constexpr int kBatchMax = 1024;

Error nl_error(int code, const std::string& doing) {
  Errc errc = Errc::io;
  if (code == -NLE_PERM || code == -NLE_NOACCESS) errc = Errc::permission_denied;
  if (code == -NLE_OBJ_NOTFOUND || code == -NLE_PROTO_MISMATCH) errc = Errc::unavailable;
  return Error(errc, doing + ": " + ::nl_geterror(code));
}

struct Batch {
  std::vector<IscsiEvent> events{};
};

int take(nl_msg* message, void* batch) {
  const nlmsghdr* header = ::nlmsg_hdr(message);
  const auto bytes = static_cast<std::size_t>(::nlmsg_datalen(header));
  const std::string_view payload(static_cast<const char*>(::nlmsg_data(header)), bytes);
  const Result<IscsiEvent> event = decode_iscsi_event(payload);
  if (event) static_cast<Batch*>(batch)->events.push_back(*event);
  return NL_OK;
}

// libnl reads the kernel's acknowledgement into this; iSCSI sends none, and its messages have no
// sequence numbers to check.
int skip_check(nl_msg*, void*) { return NL_OK; }

}  // namespace

struct IscsiEvents::Handle {
  Socket socket;
  Batch batch{};
};

IscsiEvents::IscsiEvents(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
IscsiEvents::IscsiEvents(IscsiEvents&&) noexcept = default;
IscsiEvents& IscsiEvents::operator=(IscsiEvents&&) noexcept = default;
IscsiEvents::~IscsiEvents() = default;

Result<IscsiEvents> IscsiEvents::open() {
  auto handle = std::make_unique<Handle>();
  handle->socket.reset(::nl_socket_alloc());
  if (!handle->socket) return Error(Errc::exhausted, "nl_socket_alloc");
  nl_sock* socket = handle->socket.get();
  ::nl_socket_disable_auto_ack(socket);
  ::nl_socket_disable_seq_check(socket);
  int failed = ::nl_connect(socket, NETLINK_ISCSI);
  if (failed < 0) return nl_error(failed, "connect to NETLINK_ISCSI");
  failed = ::nl_socket_add_membership(socket, kGroupIscsid);
  if (failed < 0) return nl_error(failed, "join the iSCSI event group");
  failed = ::nl_socket_set_nonblocking(socket);
  if (failed < 0) return nl_error(failed, "set a socket non-blocking");
  ::nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, &take, &handle->batch);
  ::nl_socket_modify_cb(socket, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, &skip_check, nullptr);
  return IscsiEvents(std::move(handle));
}

int IscsiEvents::fd() const { return ::nl_socket_get_fd(handle_->socket.get()); }

std::vector<IscsiEvent> IscsiEvents::drain() {
  handle_->batch.events.clear();
  for (int i = 0; i < kBatchMax; ++i) {
    // Overflow is one of the errors; the caller looks at sysfs in any case.
    if (::nl_recvmsgs_default(handle_->socket.get()) < 0) break;
  }
  return std::exchange(handle_->batch.events, {});
}

Result<SessionReport::Counters> IscsiEvents::counters(const Ctx& ctx,
                                                      std::uint64_t transport_handle,
                                                      std::uint32_t sid) {
  std::uint32_t groups = 0;
  socklen_t bytes = sizeof groups;
  const bool is_known =
      ::getsockopt(fd(), SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, &groups, &bytes) == 0;
  if (!is_known || (groups & 1U << (kGroupIscsid - 1)) == 0) {
    return Error(Errc::unsupported, "not a member of the iSCSI event group: nothing is asked");
  }
  const Message message(::nlmsg_alloc());
  const std::string payload = encode_get_stats(transport_handle, sid);
  if (!message ||
      ::nlmsg_put(message.get(), NL_AUTO_PORT, 0, static_cast<int>(IscsiEventType::get_stats), 0,
                  0) == nullptr ||
      ::nlmsg_append(message.get(), const_cast<char*>(payload.data()), payload.size(), 0) < 0) {
    return Error(Errc::exhausted, "make a netlink message");
  }
  const int sent = ::nl_send_auto(handle_->socket.get(), message.get());
  if (sent < 0) return nl_error(sent, "ask the kernel for counters");
  for (;;) {
    HAWSER_TRY(wait_readable(ctx, fd()));
    for (const IscsiEvent& event : drain()) {
      if (event.type == static_cast<std::uint32_t>(IscsiEventType::interface_error)) {
        return Error(Errc::not_found,
                     "the kernel has no counters of session " + std::to_string(sid));
      }
      if (event.counters && event.sid == sid) return *event.counters;
    }
  }
}

}  // namespace hawser
