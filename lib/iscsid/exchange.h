// One request to iscsid and its reply, on a socket of its own.
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

// Where iscsid listens, and as whom.
struct IscsidEndpoint {
  std::string socket_name{};  // Abstract (no leading NUL) unless it starts with '/'.
  uid_t trusted_uid = 0;
};

// The layout of the daemon that was asked last. Thread-safe; exchanges share it, and empty it when
// the way in which the daemon answers says that it is another one by now.
class IscsidLayoutCache {
 public:
  struct Entry {
    const IscsidLayout* layout = nullptr;
    pid_t daemon = 0;  // Under socket activation that is process 1, whichever daemon runs.
  };

  Entry get() const;
  void set(const Entry& entry);
  void forget();

 private:
  mutable Mutex mutex_{};
  Entry entry_ HAWSER_GUARDED_BY(mutex_){};
};

// A connected socket on which nothing was sent yet. iscsid does nothing else until it has the
// request: never wait for anything while holding one.
struct IscsidConnection {
  UniqueFd socket{};
  pid_t daemon = 0;
};

// Errors: unavailable (nobody listens), permission_denied (somebody else does), deadline_exceeded,
// cancelled.
Result<IscsidConnection> connect_iscsid(const Ctx& ctx, const IscsidEndpoint& endpoint);

// A request that was sent and half-closed: iscsid can never be left waiting for more of it.
class IscsidExchange {
 public:
  // Readable when there is something for poll_reply().
  int fd() const { return socket_.get(); }

  // Takes what has come; nullopt while the reply is not whole. Does not block. After a reply or an
  // error there is nothing more to come.
  //
  // Errors: unavailable when iscsid hung up without a reply: it was restarted, or is of another
  // release and wanted a longer request; protocol. Outcome::unknown if the command changes things.
  Result<std::optional<IscsidReply>> poll_reply();

  // Waits for the reply. Errors: those of poll_reply(), and deadline_exceeded and cancelled with
  // the same outcome: iscsid does not notice that nobody waits any more.
  Result<IscsidReply> read_reply(const Ctx& ctx);

 private:
  friend Result<IscsidExchange> send_request(const Ctx& ctx, IscsidConnection connection,
                                             const std::string& request, IscsidCommand command,
                                             std::shared_ptr<IscsidLayoutCache> cache);

  IscsidExchange(UniqueFd socket, IscsidCommand command, std::shared_ptr<IscsidLayoutCache> cache)
      : socket_(std::move(socket)), command_(command), cache_(std::move(cache)) {}

  Error failed(Error error) const;

  UniqueFd socket_;
  IscsidCommand command_;
  std::shared_ptr<IscsidLayoutCache> cache_;  // Null while the layout is being found out.
  std::string received_{};
};

// Errors: deadline_exceeded, cancelled, io. iscsid acts on whole requests only, so they all mean
// that nothing happened.
Result<IscsidExchange> send_request(const Ctx& ctx, IscsidConnection connection,
                                    const std::string& request, IscsidCommand command,
                                    std::shared_ptr<IscsidLayoutCache> cache);

}  // namespace hawser
