// What a core dump would show: after each call that takes secrets, and once the caller has let go
// of them, they are nowhere in the memory of this process.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "iscsid/client.h"
#include "iscsid/node_db.h"
#include "portal/discovery.h"
#include "support/clock.h"
#include "support/fake_iscsid.h"
#include "support/memory_scan.h"
#include "support/temp_tree.h"

namespace hawser {
namespace {

using namespace std::chrono_literals;

// One that fits into a std::string itself, and one that does not.
const MaskedText kShort(1, 12);
const MaskedText kLong(2, 60);
constexpr std::size_t kTelling = 7;  // So much of a secret is a leak.

// As Secret's own constructor, without a second copy.
Secret reveal(const MaskedText& text) {
  std::array<char, 256> bytes{};
  text.unmask(bytes.data());
  Secret secret(std::string_view(bytes.data(), text.size()));
  ::explicit_bzero(bytes.data(), bytes.size());
  return secret;
}

Chap chap() {
  return {.username = "user",
          .password = reveal(kShort),
          .username_in = "peer",
          .password_in = reveal(kLong)};
}

// The call's stack and arena are those of a thread of its own, which nobody else writes to; it is
// still there when they are looked at, since the stack of a thread that has ended is given back.
void expect_forgotten_after(const std::function<void()>& call) {
  std::latch called(1);
  std::latch looked(1);
  std::thread caller([&] {
    call();
    called.count_down();
    looked.wait();
  });
  called.wait();
  EXPECT_EQ(find_in_memory(kShort, kTelling), "");
  EXPECT_EQ(find_in_memory(kLong, kTelling), "");
  looked.count_down();
  caller.join();
}

class SecretMemoryTest : public ::testing::Test {
 protected:
  Ctx within(std::chrono::milliseconds time) const {
    return {.clock = clock_, .deadline = clock_.now() + time};
  }
  SystemClock clock_{};
};

TEST_F(SecretMemoryTest, one_that_is_still_held_is_found) {
  const Chap held = chap();
  EXPECT_NE(find_in_memory(kShort, kTelling), "");
  EXPECT_NE(find_in_memory(kLong, kTelling), "");
}

// A document with secrets, in memory that is wiped.
class Document {
 public:
  explicit Document(const std::string& begin) {
    append(begin + R"(, "auth_username": "u", "auth_password": ")");
    append(kShort);
    append(R"(", "auth_username_in": "p", "auth_password_in": ")");
    append(kLong);
    append(R"(", "discovery_auth_username": "d", "discovery_auth_password": ")");
    append(kLong);
    append("\"}");
  }
  ~Document() { ::explicit_bzero(bytes_.data(), bytes_.size()); }
  std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  void append(std::string_view text) {
    text.copy(bytes_.data() + size_, text.size());
    size_ += text.size();
  }
  void append(const MaskedText& text) {
    text.unmask(bytes_.data() + size_);
    size_ += text.size();
  }
  std::array<char, 4096> bytes_{};
  std::size_t size_ = 0;
};

TEST_F(SecretMemoryTest, a_specification_that_was_read_leaves_none) {
  expect_forgotten_after([&] {
    const Document document(R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)");
    const Result<VolumeSpec> spec = parse_volume_spec(document.text());
    ASSERT_TRUE(spec) << spec.error().message();
    EXPECT_EQ(spec->chap->password.size(), kShort.size());
    VolumeSpec copy = *spec;
    const VolumeSpec moved = std::move(copy);
  });
}

TEST_F(SecretMemoryTest, a_specification_that_was_refused_leaves_none) {
  expect_forgotten_after([&] {
    const Document wrong_key(R"({"target_portal": "h", "target_iqn": "x", "target_lun": 0)");
    EXPECT_FALSE(parse_volume_spec(wrong_key.text()));
    const Document no_json(R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)");
    EXPECT_FALSE(parse_volume_spec(no_json.text().substr(0, no_json.text().size() - 1)));
  });
}

TEST_F(SecretMemoryTest, a_login_leaves_none) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t daemon = ::fork();
  ASSERT_GE(daemon, 0);
  if (daemon == 0) {  // In a process of its own: it keeps what it is sent.
    const FakeIscsid fake({.layout = &iscsid_layouts().front()});
    if (::write(pipe[1], fake.name().data(), fake.name().size()) < 0) ::_exit(1);
    for (;;)
      ::pause();
  }
  std::array<char, 100> name{};
  ASSERT_GT(::read(pipe[0], name.data(), name.size() - 1), 0);
  expect_forgotten_after([&] {
    IscsidClient client(name.data(), ::getuid());
    const Chap credentials = chap();
    Result<IscsidExchange> login = client.send_login(
        within(60s), {.target = "iqn.x", .address = "10.0.0.1", .chap = &credentials});
    ASSERT_TRUE(login) << login.error().message();
    ASSERT_TRUE(login->read_reply(within(60s)));
  });
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
}

TEST_F(SecretMemoryTest, a_node_record_leaves_none) {
  expect_forgotten_after([&] {
    const TempTree tree;
    std::filesystem::create_directories(tree.path("lock"));
    std::filesystem::create_directories(tree.path("iscsi"));
    const Chap credentials = chap();
    ASSERT_TRUE(
        NodeDb(tree.path("iscsi"), tree.path("lock"))
            .add(within(60s), {.target = "iqn.x", .address = "10.0.0.1", .chap = &credentials}));
  });
}

// A target that goes as far with CHAP as to have the answer computed, and hangs up. It keeps
// nothing of what it is sent.
class ChapTarget {
 public:
  ChapTarget() {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    HAWSER_ASSERT(::bind(listener_.get(), raw(), size) == 0 && ::listen(listener_.get(), 1) == 0 &&
                  ::getsockname(listener_.get(), raw(), &size) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  // True if an answer to the challenge came.
  bool finish() {
    thread_.join();
    return has_answer_;
  }
  std::uint16_t port() const { return ::ntohs(address_.sin_port); }

 private:
  static constexpr std::size_t kHeaderBytes = 48;

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&address_); }

  void serve() {
    const UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
    for (const std::string_view reply :
         {std::string_view("AuthMethod=CHAP\0", 16),
          std::string_view("CHAP_A=5\0CHAP_I=1\0CHAP_C=0x0123456789abcdef0123456789abcdef\0",
                           60)}) {
      std::array<unsigned char, kHeaderBytes> header{};
      if (!read(peer.get(), header, nullptr)) return;
      answer(peer.get(), header, reply);
    }
    std::array<unsigned char, kHeaderBytes> header{};
    std::string keys;
    has_answer_ = read(peer.get(), header, &keys) && keys.find("CHAP_R=") != keys.npos;
  }

  static bool read(int peer, std::array<unsigned char, kHeaderBytes>& header, std::string* keys) {
    if (::recv(peer, header.data(), header.size(), MSG_WAITALL) != kHeaderBytes) return false;
    const std::size_t size = (header[5] * 65536U + header[6] * 256U + header[7]) + 3U;
    std::string data(size / 4 * 4, '\0');
    const ssize_t got = ::recv(peer, data.data(), data.size(), MSG_WAITALL);
    if (keys != nullptr) *keys = data;
    return got == static_cast<ssize_t>(data.size());
  }

  // A login response (RFC 7143 section 11.13) that asks for more.
  static void answer(int peer, std::array<unsigned char, kHeaderBytes> header,
                     std::string_view keys) {
    header[0] = 0x23;
    header[1] = 0;
    header[7] = static_cast<unsigned char>(keys.size());
    header[5] = header[6] = 0;
    std::fill(header.begin() + 20, header.end(), static_cast<unsigned char>(0));
    HAWSER_ASSERT(keys.size() % 4 == 0);
    std::string bytes(header.begin(), header.end());
    bytes += keys;
    (void)::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  const UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address_{};
  bool has_answer_ = false;
  std::thread thread_{};
};

TEST_F(SecretMemoryTest, a_discovery_leaves_none) {
  ChapTarget target;
  expect_forgotten_after([&] {
    const std::optional<Chap> credentials = chap();
    EXPECT_FALSE(
        discover(within(60s), "iqn.y", {.host = "127.0.0.1", .port = target.port()}, credentials));
  });
  EXPECT_TRUE(target.finish());
}

}  // namespace
}  // namespace hawser
