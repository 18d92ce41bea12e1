#include "hawser/secret.h"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <gtest/gtest.h>

namespace hawser {
namespace {

TEST(SecretTest, moves_and_copies_keep_the_bytes) {
  Secret one("correct horse");
  Secret two(one);
  Secret three(std::move(one));

  EXPECT_EQ(two.reveal(), "correct horse");
  EXPECT_EQ(three.reveal(), "correct horse");
  EXPECT_TRUE(one.empty());  // NOLINT(bugprone-use-after-move): that is what is tested.
  two = Secret("x");
  EXPECT_EQ(two.reveal(), "x");
}

TEST(SecretTest, a_short_secret_is_wiped_from_the_object_that_held_it) {
  // Short enough for the string's own buffer, so the bytes are inside the object.
  alignas(Secret) unsigned char room[sizeof(Secret)];
  auto* secret = new (room) Secret("tiger");
  ASSERT_NE(::memmem(room, sizeof room, "tiger", 5), nullptr);

  std::destroy_at(secret);

  EXPECT_EQ(::memmem(room, sizeof room, "tiger", 5), nullptr);
}

}  // namespace
}  // namespace hawser
