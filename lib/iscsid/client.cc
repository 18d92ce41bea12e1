#include "iscsid/client.h"

#include <string.h>

#include <utility>

#include "iscsid/detect.h"

namespace hawser {
namespace {

// How often a daemon may be replaced between the question what it is and our request.
constexpr int kReplacedMax = 3;

// Wipes the secrets of a request however its sending ends.
class Wiped {
 public:
  explicit Wiped(std::string& bytes) : bytes_(bytes) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { ::explicit_bzero(bytes_.data(), bytes_.size()); }

 private:
  std::string& bytes_;
};

}  // namespace

Result<IscsidLayoutCache::Entry> IscsidClient::known_daemon(const Ctx& ctx) {
  IscsidLayoutCache::Entry known = cache_->get();
  if (known.layout != nullptr) return known;
  HAWSER_TRY_ASSIGN(known, detect_layout(ctx, endpoint_));
  cache_->set(known);
  return known;
}

Result<const IscsidLayout*> IscsidClient::layout(const Ctx& ctx) {
  {
    HAWSER_TRY_ASSIGN(const IscsidConnection running, connect_iscsid(ctx, endpoint_));
    if (running.daemon != cache_->get().daemon) cache_->forget();
  }
  HAWSER_TRY_ASSIGN(const IscsidLayoutCache::Entry known, known_daemon(ctx));
  return known.layout;
}

Result<IscsidExchange> IscsidClient::start(const Ctx& ctx, IscsidCommand command,
                                           const Encode& encode, const IscsidLayout** used) {
  for (int replaced = 0; replaced < kReplacedMax; ++replaced) {
    HAWSER_TRY_ASSIGN(const IscsidLayoutCache::Entry known, known_daemon(ctx));
    HAWSER_TRY_ASSIGN(std::string request, encode(*known.layout));
    const Wiped wiped(request);
    HAWSER_TRY_ASSIGN(IscsidConnection connection, connect_iscsid(ctx, endpoint_));
    if (connection.daemon != known.daemon) {
      cache_->forget();
      continue;
    }
    if (used != nullptr) *used = known.layout;
    return send_request(ctx, std::move(connection), request, command, cache_);
  }
  return Error(Errc::unavailable, "iscsid is restarted again and again; see its log")
      .with(Stage::preflight);
}

Result<IscsidReply> IscsidClient::call(const Ctx& ctx, IscsidCommand command,
                                       const Encode& encode) {
  const IscsidLayout* used = nullptr;
  HAWSER_TRY_ASSIGN(IscsidExchange exchange, start(ctx, command, encode, &used));
  Result<IscsidReply> reply = exchange.read_reply(ctx);
  if (reply || reply.error().code() != Errc::unavailable) return reply;

  // It hung up. If another release runs by now (an upgrade restarts iscsid), ask that one. Should
  // the old one have done it all the same, no harm is done: sids are not used twice.
  const Result<const IscsidLayout*> now = layout(ctx);
  if (!now || *now == used) return reply;
  HAWSER_TRY_ASSIGN(IscsidExchange again, start(ctx, command, encode, nullptr));
  return again.read_reply(ctx);
}

Result<IscsidReply> IscsidClient::call_session(const Ctx& ctx, IscsidCommand command,
                                               std::uint32_t sid) {
  return call(ctx, command, [command, sid](const IscsidLayout& layout) {
    return encode_session_request(command, layout, sid);
  });
}

Result<IscsidExchange> IscsidClient::send_login(const Ctx& ctx, const LoginRequest& request) {
  const auto encode = [&request](const IscsidLayout& layout) {
    return encode_login(layout, request);
  };
  return start(ctx, IscsidCommand::session_login, encode, nullptr);
}

Status IscsidClient::logout(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply, call_session(ctx, IscsidCommand::session_logout, sid));
  if (reply.result == iscsid_result::kSuccess) return ok();
  return iscsid_error(reply.result, IscsidCommand::session_logout);
}

Result<SessionReport::Counters> IscsidClient::counters(const Ctx& ctx, std::uint32_t sid) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply, call_session(ctx, IscsidCommand::session_stats, sid));
  if (reply.counters) return *reply.counters;
  return iscsid_error(reply.result, IscsidCommand::session_stats);
}

Result<std::string> IscsidClient::initiator_name(const Ctx& ctx) {
  constexpr auto kCommand = IscsidCommand::config_initiator_name;
  HAWSER_TRY_ASSIGN(const IscsidReply reply, call(ctx, kCommand, [](const IscsidLayout& layout) {
                      return encode_request(kCommand, layout.request_bytes);
                    }));
  if (reply.result != iscsid_result::kSuccess) return iscsid_error(reply.result, kCommand);
  return reply.initiator_name;
}

Result<bool> IscsidClient::login_in_flight(const Ctx& ctx) {
  HAWSER_TRY_ASSIGN(const IscsidReply reply,
                    call_session(ctx, IscsidCommand::session_info, kSidOfFirstLogin));
  if (reply.result == iscsid_result::kSuccess) return true;
  if (reply.result == iscsid_result::kSessionNotFound) return false;
  return iscsid_error(reply.result, IscsidCommand::session_info);
}

}  // namespace hawser
