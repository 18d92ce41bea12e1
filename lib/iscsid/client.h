// iscsid over its management socket.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "hawser/ctx.h"

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "wire/iscsid_message.h"

namespace hawser {

// A request that was sent and half-closed: iscsid can never be left waiting for more of it.
class IscsidExchange {
 public:
  IscsidExchange(UniqueFd socket, IscsidCommand command)
      : socket_(std::move(socket)), command_(command) {}

  // Readable when there is something for poll_reply().
  int fd() const { return socket_.get(); }

  // Takes what has come; nullopt while the reply is not whole. Does not block.
  //
  // Errors: unavailable when iscsid hung up without a reply: it was restarted, or wanted a longer
  // request; protocol.
  Result<std::optional<IscsidReply>> poll_reply();

 private:
  UniqueFd socket_;
  IscsidCommand command_;
  std::string received_{};
};

// Thread-safe: each request has a socket of its own.
class IscsidClient {
 public:
  // `socket_name` is abstract (no leading NUL) unless it starts with '/'. Only a daemon of
  // `trusted_uid` is talked to: anybody can bind an abstract name while iscsid is down.
  explicit IscsidClient(std::string socket_name = "ISCSIADM_ABSTRACT_NAMESPACE",
                        uid_t trusted_uid = 0)
      : socket_name_(std::move(socket_name)), trusted_uid_(trusted_uid) {}

  // The layout of the daemon that runs now, found by asking it; cached until it is replaced.
  //
  // Errors: unavailable (no daemon), permission_denied (it is not root's), unsupported (a layout
  // that is not known; says which size it wants), protocol, deadline_exceeded, cancelled.
  Result<const IscsidLayout*> layout(const Ctx& ctx);

  // Sends a login; see IscsidExchange for the answer, which 2.1.10 never gives for a manual scan.
  // Once this returned, or failed with Outcome::unknown, the login goes on whatever we do.
  Result<IscsidExchange> send_login(const Ctx& ctx, const LoginRequest& request);

  // The rest wait for the reply. Errors: those of iscsid_error(), and of layout().
  Status logout(const Ctx& ctx, std::uint32_t sid);
  Result<SessionReport::Counters> counters(const Ctx& ctx, std::uint32_t sid);
  Result<std::string> initiator_name(const Ctx& ctx);

  // True if a first login is under way, anybody's.
  Result<bool> login_in_flight(const Ctx& ctx);

 private:
  struct Probe {
    bool has_reply = false;
    bool left_bytes = false;  // The daemon closed without reading all that we sent.
    int result = 0;
  };

  Result<UniqueFd> connect(const Ctx& ctx, pid_t* peer) const;
  Result<IscsidExchange> send(const Ctx& ctx, const std::string& request,
                              IscsidCommand command) const;
  Result<IscsidReply> call(const Ctx& ctx, IscsidCommand command, const std::string& request);
  Result<IscsidReply> call_session(const Ctx& ctx, IscsidCommand command, std::uint32_t sid);
  Result<Probe> probe(const Ctx& ctx, std::size_t bytes) const;
  Result<std::size_t> find_size(const Ctx& ctx) const;
  Result<bool> confirm(const Ctx& ctx, const IscsidLayout& layout) const;
  Result<const IscsidLayout*> detect(const Ctx& ctx) const;
  void forget_layout();

  const std::string socket_name_;
  const uid_t trusted_uid_;
  Mutex mutex_;
  const IscsidLayout* layout_ HAWSER_GUARDED_BY(mutex_) = nullptr;
  pid_t layout_pid_ HAWSER_GUARDED_BY(mutex_) = 0;
};

}  // namespace hawser
