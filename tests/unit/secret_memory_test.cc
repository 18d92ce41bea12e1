// What a core dump would show: after each call that takes secrets, and once the caller has let go
// of them, they are nowhere in the memory of this process.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>

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

void expect_forgotten() {
  EXPECT_EQ(find_in_memory(kShort, kTelling), "");
  EXPECT_EQ(find_in_memory(kLong, kTelling), "");
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
  {
    const Document document(R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)");
    const Result<VolumeSpec> spec = parse_volume_spec(document.text());
    ASSERT_TRUE(spec) << spec.error().message();
    EXPECT_EQ(spec->chap->password.size(), kShort.size());
    VolumeSpec copy = *spec;
    const VolumeSpec moved = std::move(copy);
  }
  expect_forgotten();
}

TEST_F(SecretMemoryTest, a_specification_that_was_refused_leaves_none) {
  {
    const Document wrong_key(R"({"target_portal": "h", "target_iqn": "x", "target_lun": 0)");
    EXPECT_FALSE(parse_volume_spec(wrong_key.text()));
    const Document no_json(R"({"target_portal": "h", "target_iqn": "iqn.x", "target_lun": 0)");
    EXPECT_FALSE(parse_volume_spec(no_json.text().substr(0, no_json.text().size() - 1)));
  }
  expect_forgotten();
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
  {
    IscsidClient client(name.data(), ::getuid());
    const Chap credentials = chap();
    Result<IscsidExchange> login = client.send_login(
        within(60s), {.target = "iqn.x", .address = "10.0.0.1", .chap = &credentials});
    ASSERT_TRUE(login) << login.error().message();
    ASSERT_TRUE(login->read_reply(within(60s)));
  }
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  expect_forgotten();
}

TEST_F(SecretMemoryTest, a_node_record_leaves_none) {
  {
    const TempTree tree;
    std::filesystem::create_directories(tree.path("lock"));
    std::filesystem::create_directories(tree.path("iscsi"));
    const Chap credentials = chap();
    ASSERT_TRUE(
        NodeDb(tree.path("iscsi"), tree.path("lock"))
            .add(within(60s), {.target = "iqn.x", .address = "10.0.0.1", .chap = &credentials}));
  }
  expect_forgotten();
}

// Somebody who takes connections and says nothing: the secrets are given to libiscsi all the same.
TEST_F(SecretMemoryTest, a_discovery_leaves_none) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  {
    const std::optional<Chap> credentials = chap();
    const auto targets =
        discover(within(200ms), "iqn.y", {.host = "127.0.0.1", .port = ::ntohs(address.sin_port)},
                 credentials);
    ASSERT_FALSE(targets);
    EXPECT_EQ(targets.error().code(), Errc::deadline_exceeded);
  }
  expect_forgotten();
}

}  // namespace
}  // namespace hawser
