// The one file that includes libiscsi. Version 1.19 counts its time-outs in whole seconds of the
// wall clock and never ends a connection attempt, so only its asynchronous calls are used, under a
// deadline of ours. It reads LIBISCSI_* from the environment and seeds rand(): that is its way.
#include "portal/discovery.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include <iscsi/iscsi.h>

#include "base/c_ptr.h"
#include "os/poll.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// The context has room of its own for the secrets, and setting others overwrites all of it.
void destroy(iscsi_context* context) {
  ::iscsi_set_initiator_username_pwd(context, "", "");
  ::iscsi_set_target_username_pwd(context, "", "");
  ::iscsi_destroy_context(context);
}

using Context = CPtr<iscsi_context, &destroy>;

constexpr std::size_t kTargetsMax = 4096;
constexpr std::size_t kPortalsMax = 64;

// libiscsi wants to be called now and then even when its socket is silent.
constexpr auto kServiceInterval = 500ms;

// Filled by libiscsi's callbacks, which run inside iscsi_service() on this very thread.
struct Discovery {
  enum class Step { connecting, logging_in, asking, done, failed };
  Step step = Step::connecting;
  Errc code = Errc::unavailable;
  std::string what{};
  std::vector<DiscoveredTarget> targets{};
};

void fail(Discovery& discovery, Errc code, std::string_view what, iscsi_context* context) {
  discovery.step = Discovery::Step::failed;
  discovery.code = code;
  const char* text = ::iscsi_get_error(context);
  discovery.what = std::string(what) + ": " + (text == nullptr ? "no reason given" : text);
}

void take_targets(Discovery& discovery, const iscsi_discovery_address* list) {
  for (; list != nullptr; list = list->next) {
    DiscoveredTarget target{.target = list->target_name};
    for (const iscsi_target_portal* one = list->portals; one != nullptr; one = one->next) {
      Result<Portal> portal = parse_portal(one->portal);
      if (!portal) {
        discovery.step = Discovery::Step::failed;
        discovery.code = Errc::protocol;
        discovery.what = portal.error().message();
        return;
      }
      target.portals.push_back(*std::move(portal));
    }
    // libiscsi puts each portal in front of those before it. The first ones are kept.
    std::reverse(target.portals.begin(), target.portals.end());
    if (target.portals.size() > kPortalsMax) target.portals.resize(kPortalsMax);
    if (discovery.targets.size() == kTargetsMax) {
      discovery.step = Discovery::Step::failed;
      discovery.code = Errc::exhausted;
      discovery.what = "over 4096 targets";
      return;
    }
    discovery.targets.push_back(std::move(target));
  }
  std::reverse(discovery.targets.begin(), discovery.targets.end());
  discovery.step = Discovery::Step::done;
}

void on_discovered(iscsi_context* context, int status, void* data, void* opaque) {
  auto& discovery = *static_cast<Discovery*>(opaque);
  if (status != SCSI_STATUS_GOOD) {
    return fail(discovery, Errc::protocol, "SendTargets", context);
  }
  take_targets(discovery, static_cast<const iscsi_discovery_address*>(data));
}

struct Refusal {
  Errc code;
  std::string_view text;
};

// libiscsi says why a login failed only as text.
Refusal refusal_of(std::string_view reason) {
  const auto says = [reason](std::string_view words) { return reason.find(words) != reason.npos; };
  if (says("Invalid CHAP_R") || says("CHAP targetname") || says("return CHAP_N") ||
      says("return CHAP_R")) {
    return {Errc::unauthenticated,
            "this host refused the portal, which did not prove itself with the incoming (mutual) "
            "CHAP credentials"};
  }
  // Status 0201 and 0202.
  if (says("Authentication failure") || says("Authorization failure") || says("CHAP_A")) {
    return {Errc::unauthenticated, "the portal refused our CHAP credentials, or asks for some"};
  }
  return {Errc::protocol, "login"};
}

void on_logged_in(iscsi_context* context, int status, void*, void* opaque) {
  auto& discovery = *static_cast<Discovery*>(opaque);
  if (status != SCSI_STATUS_GOOD) {
    const char* text = ::iscsi_get_error(context);
    const std::string reason = text == nullptr ? "" : text;
    const Refusal refusal = refusal_of(reason);
    return fail(discovery, refusal.code, refusal.text, context);
  }
  discovery.step = Discovery::Step::asking;
  if (::iscsi_discovery_async(context, &on_discovered, opaque) != 0) {
    fail(discovery, Errc::io, "SendTargets", context);
  }
}

void on_connected(iscsi_context* context, int status, void*, void* opaque) {
  auto& discovery = *static_cast<Discovery*>(opaque);
  if (status != SCSI_STATUS_GOOD) return fail(discovery, Errc::unavailable, "connect", context);
  discovery.step = Discovery::Step::logging_in;
  if (::iscsi_login_async(context, &on_logged_in, opaque) != 0) {
    fail(discovery, Errc::io, "login", context);
  }
}

// libiscsi takes C strings, which end at a NUL.
bool has_nul(const Chap& chap) {
  return (chap.username + chap.username_in).find('\0') != std::string::npos ||
         chap.password.reveal().find('\0') != std::string_view::npos ||
         chap.password_in.reveal().find('\0') != std::string_view::npos;
}

Status set_up(iscsi_context* context, const std::optional<Chap>& chap) {
  if (chap && has_nul(*chap)) {
    return Error(Errc::invalid_argument, "a NUL in CHAP credentials is not supported");
  }
  ::iscsi_set_noautoreconnect(context, 1);
  int failed = ::iscsi_set_session_type(context, ISCSI_SESSION_DISCOVERY);
  failed |= ::iscsi_set_header_digest(context, ISCSI_HEADER_DIGEST_NONE);
  if (chap) {
    failed |=
        ::iscsi_set_initiator_username_pwd(context, chap->username.c_str(), chap->password.c_str());
    if (!chap->password_in.empty()) {
      failed |= ::iscsi_set_target_username_pwd(context, chap->username_in.c_str(),
                                                chap->password_in.c_str());
    }
  }
  if (failed == 0) return ok();
  return Error(Errc::invalid_argument, std::string("libiscsi: ") + ::iscsi_get_error(context));
}

// libiscsi asks to be told of more than readability while it connects, and has its own idea of what
// it waits for; a short tick serves both.
Status serve(const Ctx& ctx, iscsi_context* context, const Discovery& discovery) {
  while (discovery.step != Discovery::Step::done && discovery.step != Discovery::Step::failed) {
    const int wanted = ::iscsi_which_events(context);
    const int fd = ::iscsi_get_fd(context);
    short ready = 0;
    if (fd >= 0 && (wanted & POLLOUT) != 0) {
      const Status writable = wait_writable(ctx.within(kServiceInterval), fd);
      HAWSER_TRY(ctx.check());
      if (writable) ready = POLLOUT;
    } else {
      const std::array<int, 1> fds{fd};
      HAWSER_TRY_ASSIGN(const bool is_readable, wait_readable_for(ctx, fds, kServiceInterval));
      if (is_readable) ready = POLLIN;
    }
    if (::iscsi_service(context, ready) != 0 && discovery.step != Discovery::Step::failed &&
        discovery.step != Discovery::Step::done) {
      const char* text = ::iscsi_get_error(context);
      return Error(Errc::unavailable, text == nullptr ? "connection lost" : text);
    }
  }
  return ok();
}

}  // namespace

Result<std::vector<DiscoveredTarget>> discover(const Ctx& ctx, const std::string& initiator_name,
                                               const Portal& portal,
                                               const std::optional<Chap>& chap) {
  const Portal address{.host = portal.host, .port = portal.port};
  const auto label = [&](Error error) {
    return std::move(error)
        .with("discover at " + to_string(address))
        .with(Stage::discover)
        .with_path(to_string(address), "", std::nullopt);
  };
  Discovery discovery;  // The context tells it of what is still asked when it is destroyed.
  const Context context(::iscsi_create_context(initiator_name.c_str()));
  if (!context) return label(Error(Errc::exhausted, "libiscsi: no context"));
  Status ready = set_up(context.get(), chap);
  if (!ready) return label(std::move(ready).error());

  if (::iscsi_connect_async(context.get(), to_string(address).c_str(), &on_connected, &discovery) !=
      0) {
    const char* text = ::iscsi_get_error(context.get());
    return label(Error(Errc::unavailable, text == nullptr ? "connect" : text));
  }
  // libiscsi 1.19 does not do it.
  (void)::fcntl(::iscsi_get_fd(context.get()), F_SETFD, FD_CLOEXEC);
  Status served = serve(ctx, context.get(), discovery);
  if (!served) return label(std::move(served).error());
  if (discovery.step == Discovery::Step::failed) {
    return label(Error(discovery.code, discovery.what));
  }
  return std::move(discovery.targets);
}

}  // namespace hawser
