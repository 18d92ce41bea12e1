#include "hawser/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace hawser {
namespace {

TEST(ErrorTest, an_errno_becomes_a_code_and_stays_readable) {
  const Error error = Error::from_errno(ECONNREFUSED, "connect to iscsid");

  EXPECT_EQ(error.code(), Errc::unavailable);
  EXPECT_EQ(error.sys_errno(), ECONNREFUSED);
  EXPECT_EQ(error.message(), "connect to iscsid: Connection refused");
  EXPECT_TRUE(error.retryable());
}

TEST(ErrorTest, the_innermost_stage_stays) {
  const Error error = Error(Errc::io, "x").with(Stage::scan).with(Stage::login);

  EXPECT_EQ(error.stage(), Stage::scan);
}

TEST(ErrorTest, carries_the_path_and_what_iscsid_said) {
  const Error error = Error(Errc::unauthenticated, "refused")
                          .with_iscsi_status(24)
                          .with_path("10.0.1.2:3260,1", "iqn.x", 7)
                          .with("login");

  EXPECT_EQ(error.iscsi_status(), 24);
  EXPECT_EQ(error.portal(), "10.0.1.2:3260,1");
  EXPECT_EQ(error.lun(), 7);
  EXPECT_EQ(error.message(), "login: refused");
  EXPECT_FALSE(error.retryable());
}

}  // namespace
}  // namespace hawser
