#pragma once

#include <cstring>
#include <optional>
#include <string>

#include "iscsid/client.h"
#include "support/fake_daemon.h"

namespace hawser {

// An iscsid of one layout on a real unix socket, as far as its management socket goes: it reads
// exactly the bytes that it wants, answers with 2464, and closes.
class FakeIscsid {
 public:
  enum class Manner {
    answers,
    answers_half,    // Half of the reply, then hangs up.
    hangs_up,        // Reads the request, then nothing.
    says_nothing,    // Until the client goes away.
    ignores_logins,  // As 2.1.10 with a manual scan; answers everything else.
    wrong_command,   // Its reply is to another command.
  };

  FakeIscsid(const std::string& path, const IscsidLayout& layout, Manner manner = Manner::answers)
      : layout_(layout),
        manner_(manner),
        daemon_(path, [this](const Ctx& ctx, int connection) { serve(ctx, connection); }) {}

  int result = 0;            // Of logins and logouts.
  std::string last_login{};  // The request; read it when the daemon is idle.

 private:
  // nullopt when the client ended early: a request of another, longer layout.
  std::optional<std::string> read_request(const Ctx& ctx, int connection) const {
    std::string request;
    while (request.size() < layout_.request_bytes) {
      if (!wait_readable(ctx, connection)) return std::nullopt;
      std::array<char, 65536> chunk{};
      const std::size_t want = layout_.request_bytes - request.size();
      const ssize_t got = ::recv(connection, chunk.data(), std::min(want, chunk.size()), 0);
      if (got <= 0) return std::nullopt;
      request.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return request;
  }

  void serve(const Ctx& ctx, int connection) {
    const std::optional<std::string> request = read_request(ctx, connection);
    if (!request || manner_ == Manner::hangs_up) return;
    std::uint32_t command = 0;
    std::memcpy(&command, request->data(), 4);
    const bool is_login = command == static_cast<std::uint32_t>(IscsidCommand::session_login);
    if (is_login) last_login = *request;
    if (manner_ == Manner::says_nothing || (is_login && manner_ == Manner::ignores_logins)) {
      (void)wait_readable(ctx, connection);  // The half-close of the client counts as readable...
      std::array<char, 1> byte{};
      while (ctx.check() && ::send(connection, byte.data(), 0, MSG_NOSIGNAL) == 0) {
        (void)pause(ctx, std::chrono::milliseconds(5));
        pollfd gone{.fd = connection, .events = 0, .revents = 0};
        if (::poll(&gone, 1, 0) > 0 && (gone.revents & (POLLHUP | POLLERR)) != 0) return;
      }
      return;
    }
    std::string reply = make_reply(command, *request);
    if (manner_ == Manner::answers_half) reply.resize(reply.size() / 2);
    (void)::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
  }

  std::string make_reply(std::uint32_t command, const std::string& request) const {
    std::string reply(kIscsidReplyBytes, '\0');
    const std::uint32_t said = manner_ == Manner::wrong_command ? command + 1 : command;
    std::memcpy(reply.data(), &said, 4);
    std::int32_t code = 0;
    switch (static_cast<IscsidCommand>(command)) {
      case IscsidCommand::session_sync: {
        // The transport's name is looked up where this layout has it.
        const std::string name =
            request.substr(layout_.offset(IscsidField::transport_name), 16).c_str();
        code = name == "tcp" ? iscsid_result::kSysfsLookup : iscsid_result::kTransportNotFound;
        break;
      }
      case IscsidCommand::session_info: code = iscsid_result::kSessionNotFound; break;
      case IscsidCommand::config_initiator_name: {
        constexpr std::string_view kName = "iqn.2026-11.org.example:fake";
        kName.copy(reply.data() + 8, kName.size());
        break;
      }
      case IscsidCommand::session_stats: {
        const std::uint64_t tx_bytes = 4096;
        std::memcpy(reply.data() + 64, &tx_bytes, 8);
        break;
      }
      default: code = result;
    }
    std::memcpy(reply.data() + 4, &code, 4);
    return reply;
  }

  const IscsidLayout& layout_;
  const Manner manner_;
  FakeDaemon daemon_;
};

}  // namespace hawser
