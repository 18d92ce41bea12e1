// iscsid over its management socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "iscsid/exchange.h"

namespace hawser {

// Thread-safe: each request has a socket of its own.
class IscsidClient {
 public:
  // `socket_name` is abstract (no leading NUL) unless it starts with '/'. Only a daemon of
  // `trusted_uid` is talked to: anybody can bind an abstract name while iscsid is down.
  explicit IscsidClient(std::string socket_name = "ISCSIADM_ABSTRACT_NAMESPACE",
                        uid_t trusted_uid = 0)
      : endpoint_{.socket_name = std::move(socket_name), .trusted_uid = trusted_uid} {}

  // The layout of the daemon that runs now, found by asking it; cached until it is replaced.
  //
  // Errors: unavailable (no daemon), permission_denied (it is not root's), unsupported (a layout
  // that is not known; says which size it wants), protocol, deadline_exceeded, cancelled.
  Result<const IscsidLayout*> layout(const Ctx& ctx);

  // Sends a login; see IscsidExchange for the answer, which 2.1.10 never gives for a manual scan:
  // watch sysfs beside it. Once this returned, the login goes on whatever we do.
  Result<IscsidExchange> send_login(const Ctx& ctx, const LoginRequest& request);

  // The rest wait for the reply. Errors: those of iscsid_error(), of layout(), and of
  // IscsidExchange::read_reply().
  Status logout(const Ctx& ctx, std::uint32_t sid);
  Result<SessionReport::Counters> counters(const Ctx& ctx, std::uint32_t sid);
  Result<std::string> initiator_name(const Ctx& ctx);

  // True if a first login is under way, anybody's.
  Result<bool> login_in_flight(const Ctx& ctx);

 private:
  using Encode = std::function<Result<std::string>(const IscsidLayout&)>;

  Result<IscsidLayoutCache::Entry> known_daemon(const Ctx& ctx);
  Result<IscsidExchange> start(const Ctx& ctx, IscsidCommand command, const Encode& encode,
                               const IscsidLayout** used);
  Result<IscsidReply> call(const Ctx& ctx, IscsidCommand command, const Encode& encode);
  Result<IscsidReply> call_session(const Ctx& ctx, IscsidCommand command, std::uint32_t sid);

  const IscsidEndpoint endpoint_;
  // Shared with exchanges, which may outlive us.
  const std::shared_ptr<IscsidLayoutCache> cache_ = std::make_shared<IscsidLayoutCache>();
};

}  // namespace hawser
