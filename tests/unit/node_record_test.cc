#include "wire/node_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hawser {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LoginRequest simple_login() {
  return {.target = "iqn.2004-10.test:disk",
          .address = "10.0.1.2",
          .port = 3261,
          .group = 7,
          .chap = nullptr,
          .login_timeout = std::chrono::seconds(11),
          .recovery_timeout = std::chrono::seconds(6)};
}

TEST(NodeRecordTest, a_record_says_what_a_login_says) {
  const Result<std::string> text = encode_node_record(simple_login());

  ASSERT_TRUE(text);
  EXPECT_EQ(*text,
            "# BEGIN RECORD 2.1.8\n"
            "node.name = iqn.2004-10.test:disk\n"
            "node.tpgt = 7\n"
            "node.startup = manual\n"
            "node.leading_login = No\n"
            "iface.iscsi_ifacename = default\n"
            "iface.transport_name = tcp\n"
            "node.discovery_type = static\n"
            "node.session.scan = manual\n"
            "node.session.initial_login_retry_max = 1\n"
            "node.session.timeo.replacement_timeout = 6\n"
            "node.conn[0].address = 10.0.1.2\n"
            "node.conn[0].port = 3261\n"
            "node.conn[0].timeo.login_timeout = 11\n"
            "# END RECORD\n");
}

TEST(NodeRecordTest, credentials_are_there_if_there_are_any) {
  Chap chap{.username = "user",
            .password = Secret("secret-out-1"),
            .username_in = "",
            .password_in = Secret()};
  LoginRequest login = simple_login();
  login.chap = &chap;
  const Result<std::string> one_way = encode_node_record(login);
  ASSERT_TRUE(one_way);
  EXPECT_THAT(*one_way, HasSubstr("node.session.auth.authmethod = CHAP\n"
                                  "node.session.auth.username = user\n"
                                  "node.session.auth.password = secret-out-1\n"));
  EXPECT_THAT(*one_way, Not(HasSubstr("_in")));

  chap.username_in = "peer";
  chap.password_in = Secret("secret-in-12");
  const Result<std::string> mutual = encode_node_record(login);
  ASSERT_TRUE(mutual);
  EXPECT_THAT(*mutual, HasSubstr("node.session.auth.username_in = peer\n"
                                 "node.session.auth.password_in = secret-in-12\n"));
}

TEST(NodeRecordTest, a_value_that_open_iscsi_would_read_differently_is_refused) {
  for (const std::string_view password :
       {"two\nnode.startup = automatic", " leading", "trailing ", "tab\t"}) {
    const Chap chap{.username = "user",
                    .password = Secret(password),
                    .username_in = "",
                    .password_in = Secret()};
    LoginRequest login = simple_login();
    login.chap = &chap;

    const Result<std::string> text = encode_node_record(login);

    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code(), Errc::invalid_argument);
    EXPECT_THAT(text.error().message(), Not(HasSubstr(std::string(password))));
  }
}

TEST(NodeRecordTest, what_the_iface_stands_for_is_in_it) {
  LoginRequest login = simple_login();
  login.binding = {.transport = "iser", .netdev = "eth1"};
  const Result<std::string> text = encode_node_record(login);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("iface.transport_name = iser\niface.net_ifacename = eth1\n"));

  login.binding.netdev = "eth1\nnode.startup = automatic";
  EXPECT_FALSE(encode_node_record(login));
}

TEST(NodeRecordTest, a_record_has_the_place_where_iscsiadm_looks) {
  const Result<NodeRecordPath> path = node_record_path(simple_login());

  ASSERT_TRUE(path);
  EXPECT_EQ(path->target_dir, "nodes/iqn.2004-10.test:disk");
  EXPECT_EQ(path->portal_dir, "nodes/iqn.2004-10.test:disk/10.0.1.2,3261,7");
  EXPECT_EQ(path->file, "nodes/iqn.2004-10.test:disk/10.0.1.2,3261,7/default");
}

TEST(NodeRecordTest, no_name_leads_out_of_the_database) {
  for (const std::string& evil :
       {std::string(".."), std::string("."), std::string(), std::string("a/../../x"),
        std::string("/etc/passwd"), std::string("a\nb"), std::string("a b"), std::string("a\0b", 3),
        std::string(256, 'x')}) {
    for (std::string LoginRequest::*field :
         {&LoginRequest::target, &LoginRequest::address, &LoginRequest::iface}) {
      LoginRequest login = simple_login();
      login.*field = evil;
      const Result<NodeRecordPath> path = node_record_path(login);
      ASSERT_FALSE(path) << evil;
      EXPECT_EQ(path.error().code(), Errc::invalid_argument);
      EXPECT_FALSE(encode_node_record(login));
    }
  }
}

}  // namespace
}  // namespace hawser
