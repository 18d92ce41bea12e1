#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "hawser/detail/assert.h"

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "os/poll.h"
#include "support/clock.h"
#include "wire/iscsid_message.h"

namespace hawser {

// What an iscsid of some release does on its management socket, on a real unix socket: it takes one
// connection at a time, reads exactly as much as its own request has, answers, and closes. What it
// did not read then reaches the client as ECONNRESET behind the reply, because it is a real socket.
class FakeIscsid {
 public:
  enum class Answer {
    whole,
    half,          // Some of the reply, then the end.
    hang_up,       // No reply.
    silence,       // No reply, and the connection stays open: 2.1.10 on a login with a manual scan.
    wrong_command  // A reply to something else.
  };
  enum class Name { abstract, padded };  // 2.0.873 binds the padded name.

  // How it behaves. A value: become() makes another daemon of it.
  struct Behaviour {
    // Bytes that it reads; 0: those of `layout`.
    std::size_t request_bytes = 0;
    const IscsidLayout* layout = nullptr;
    Answer answer = Answer::whole;        // To everything but logins.
    Answer login_answer = Answer::whole;  // To logins.
    int login_result = 0;
    int session_result = 0;  // Of logout, statistics and session information.
    bool refuses = false;    // As for a peer that is not root: before it reads anything.
    bool drops = false;      // Closes without reading what has come, and says nothing.
    bool reads_all = false;  // Whatever comes until the end, which no release does.
    bool has_initiator_name = true;
  };

  explicit FakeIscsid(const Behaviour& behaviour, Name name = Name::abstract)
      : name_(unique_name()),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        behaviour_(behaviour) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    name_.copy(address.sun_path + 1, name_.size());
    const std::size_t bytes =
        name == Name::padded ? sizeof address : offsetof(sockaddr_un, sun_path) + 1 + name_.size();
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    HAWSER_ASSERT(::bind(listener_.get(), raw, static_cast<socklen_t>(bytes)) == 0);
    HAWSER_ASSERT(::listen(listener_.get(), 32) == 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

  const std::string& name() const { return name_; }

  void become(const Behaviour& behaviour) {
    const MutexLock lock(mutex_);
    behaviour_ = behaviour;
  }
  // The same, and clients see that another process listens: whoever called listen() last.
  void become_another_process(const Behaviour& behaviour) {
    become(behaviour);
    const pid_t child = ::fork();
    HAWSER_ASSERT(child >= 0);
    if (child == 0) ::_exit(::listen(listener_.get(), 32) == 0 ? 0 : 1);
    int status = -1;
    HAWSER_ASSERT(::waitpid(child, &status, 0) == child && status == 0);
  }
  // The whole requests that it took, oldest first.
  std::vector<std::string> requests(IscsidCommand command) const {
    const MutexLock lock(mutex_);
    std::vector<std::string> found;
    for (const std::string& request : requests_)
      if (command_of(request) == static_cast<std::uint32_t>(command)) found.push_back(request);
    return found;
  }
  // Connections so far, whatever came over them.
  int connections() const { return connections_; }

 private:
  static std::string unique_name() {
    static std::atomic<int> number = 0;
    return "hawser-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  }
  static std::uint32_t command_of(const std::string& request) {
    std::uint32_t command = 0;
    std::memcpy(&command, request.data(), sizeof command);
    return command;
  }

  void serve(const std::stop_token& stop) {
    const SystemClock clock;
    const Ctx ctx{.clock = clock, .stop = stop};
    while (wait_readable(ctx, listener_.get())) {
      UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) continue;
      ++connections_;
      Behaviour behaviour;
      {
        const MutexLock lock(mutex_);
        behaviour = behaviour_;
      }
      talk(ctx, behaviour, std::move(connection));
    }
  }

  void talk(const Ctx& ctx, const Behaviour& behaviour, UniqueFd connection) {
    if (behaviour.refuses) return reply(connection.get(), 0, 13, {}, Answer::whole);
    if (behaviour.drops) {
      (void)wait_readable(ctx, connection.get());
      return;
    }
    const std::size_t wanted = behaviour.reads_all            ? std::string::npos
                               : behaviour.request_bytes != 0 ? behaviour.request_bytes
                                                              : behaviour.layout->request_bytes;
    std::string request;
    const bool is_whole = read_request(ctx, connection.get(), wanted, request);
    if (!is_whole && !(behaviour.reads_all && request.size() >= sizeof(std::uint32_t))) return;
    {
      const MutexLock lock(mutex_);
      requests_.push_back(request);
    }
    const std::uint32_t command = command_of(request);
    const Answer answer = command == static_cast<std::uint32_t>(IscsidCommand::session_login)
                              ? behaviour.login_answer
                              : behaviour.answer;
    if (answer == Answer::silence) return held_.push_back(std::move(connection));
    reply(connection.get(), command, result_of(behaviour, request), body_of(command), answer);
  }

  // Blocks until it has everything, like the real one; false at an early end.
  static bool read_request(const Ctx& ctx, int connection, std::size_t wanted,
                           std::string& request) {
    while (request.size() < wanted) {
      if (!wait_readable(ctx, connection)) return false;
      std::array<char, 4096> chunk{};
      const std::size_t room = std::min(chunk.size(), wanted - request.size());
      const ssize_t got = ::recv(connection, chunk.data(), room, 0);
      if (got <= 0) return false;
      request.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return true;
  }

  static int result_of(const Behaviour& behaviour, const std::string& request) {
    switch (static_cast<IscsidCommand>(command_of(request))) {
      case IscsidCommand::session_login:
      case IscsidCommand::session_sync: {
        // It looks for the transport where its own record has it.
        const bool has_transport =
            behaviour.layout != nullptr &&
            std::strcmp(request.c_str() + behaviour.layout->offset(IscsidField::transport_name),
                        "tcp") == 0;
        if (!has_transport) return 12;
        if (!behaviour.has_initiator_name) return 5;
        const bool is_login =
            command_of(request) == static_cast<std::uint32_t>(IscsidCommand::session_login);
        return is_login ? behaviour.login_result : 22;
      }
      case IscsidCommand::config_initiator_name: return 0;
      default: return behaviour.session_result;
    }
  }

  static std::string body_of(std::uint32_t command) {
    std::string body(kIscsidReplyBytes - 8, '\0');
    const auto put64 = [&body](std::size_t offset, std::uint64_t value) {
      std::memcpy(body.data() + offset - 8, &value, sizeof value);
    };
    const auto put32 = [&body](std::size_t offset, std::uint32_t value) {
      std::memcpy(body.data() + offset - 8, &value, sizeof value);
    };
    if (command == static_cast<std::uint32_t>(IscsidCommand::config_initiator_name)) {
      std::string("iqn.2004-10.test:initiator").copy(body.data(), 100);
    }
    if (command == static_cast<std::uint32_t>(IscsidCommand::session_stats)) {
      // Offsets of the reply: see open-iscsi include/iscsi_if.h, struct iscsi_stats, at 64.
      put64(64, 111);
      put64(72, 0x100000222);
      put32(84, 333);
      put32(116, 444);
      put32(148, 5);
      put32(152, 6);
    }
    return body;
  }

  static void reply(int connection, std::uint32_t command, int result, const std::string& body,
                    Answer answer) {
    if (answer == Answer::hang_up) return;
    if (answer == Answer::wrong_command) command = 99;
    std::string bytes(kIscsidReplyBytes, '\0');
    std::memcpy(bytes.data(), &command, sizeof command);
    std::memcpy(bytes.data() + 4, &result, sizeof result);
    body.copy(bytes.data() + 8, body.size());
    const std::size_t size = answer == Answer::half ? bytes.size() / 2 : bytes.size();
    (void)::send(connection, bytes.data(), size, MSG_NOSIGNAL);  // A client may have gone.
  }

  const std::string name_;
  UniqueFd listener_;
  std::atomic<int> connections_ = 0;
  mutable Mutex mutex_{};
  Behaviour behaviour_ HAWSER_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ HAWSER_GUARDED_BY(mutex_){};
  std::vector<UniqueFd> held_{};  // Of the thread.
  std::jthread thread_{};         // Last: it stops and joins before the rest goes away.
};

}  // namespace hawser
