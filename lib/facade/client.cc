#include "hawser/client.h"

#include <utility>

#include "base/mutex.h"
#include "engine/attach.h"
#include "engine/detach.h"
#include "engine/find.h"
#include "engine/inventory.h"
#include "engine/join.h"
#include "engine/recover.h"
#include "engine/resize.h"
#include "host/linux_host.h"
#include "journal/file_journal.h"
#include "model/chap.h"

namespace hawser {

class Client::Impl {
 public:
  Impl(std::unique_ptr<Host> host, std::unique_ptr<Journal> journal, ClientOptions options)
      : host_(std::move(host)),
        journal_(std::move(journal)),
        on_event_(std::move(options.on_event)) {}

  Host& host() { return *host_; }
  Environment environment() {
    Environment environment{.host = *host_, .journal = *journal_};
    if (on_event_) environment.on_event = [this](const Event& event) { tell(event); };
    return environment;
  }

 private:
  // One at a time, whatever works side by side.
  void tell(const Event& event) {
    const MutexLock lock(event_mutex_);
    on_event_(event);
  }

  std::unique_ptr<Host> host_;
  std::unique_ptr<Journal> journal_;
  const std::function<void(const Event&)> on_event_;
  Mutex event_mutex_{};
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::open(ClientOptions options) {
  HAWSER_TRY_ASSIGN(auto host, LinuxHost::open());
  HAWSER_TRY_ASSIGN(auto journal, FileJournal::open(options.state_dir));
  return Client(std::make_unique<Impl>(std::move(host), std::move(journal), std::move(options)));
}

Result<Attachment> Client::attach(const Ctx& ctx, const VolumeSpec& spec,
                                  const AttachOptions& options) {
  return hawser::attach(ctx, impl_->environment(), spec, options);
}

Result<std::string> Client::find(const Ctx& ctx, const VolumeSpec& spec) {
  return hawser::find_attachment(ctx, impl_->environment(), spec);
}

Result<Attachment> Client::join(const Ctx& ctx, const std::string& id, const JoinOptions& options) {
  return hawser::join(ctx, impl_->environment(), id, options);
}

Result<ResizeReport> Client::resize(const Ctx& ctx, const std::string& id,
                                    const ResizeOptions& options) {
  return hawser::resize(ctx, impl_->environment(), id, options);
}

Result<DetachReport> Client::detach(const Ctx& ctx, const std::string& id,
                                    const DetachOptions& options) {
  return hawser::detach(ctx, impl_->environment(), id, options);
}

Result<std::vector<Attachment>> Client::list(const Ctx& ctx) {
  return hawser::list(ctx, impl_->environment());
}

Result<Attachment> Client::show(const Ctx& ctx, const std::string& id) {
  return hawser::show(ctx, impl_->environment(), id);
}

Result<std::vector<std::string>> Client::log(const Ctx& ctx, const std::string& id) {
  HAWSER_TRY(ctx.check());
  return hawser::log_lines(impl_->environment(), id);
}

Result<RecoverReport> Client::recover(const Ctx& ctx) {
  return hawser::recover(ctx, impl_->environment());
}

Result<std::vector<DiscoveredTarget>> Client::discover(const Ctx& ctx, const Portal& portal,
                                                       const std::optional<Chap>& chap) {
  HAWSER_TRY(check_chap("discovery_auth", chap));
  return impl_->host().discover(ctx, portal, chap);
}

Result<std::vector<SessionReport>> Client::sessions(const Ctx& ctx) {
  return hawser::sessions(ctx, impl_->environment());
}

}  // namespace hawser
