#include "wire/iface_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hawser {
namespace {

using ::testing::HasSubstr;

// As iscsiadm -m iface writes it.
constexpr const char* kNic1 =
    "# BEGIN RECORD 2.1.8\n"
    "iface.iscsi_ifacename = nic1\n"
    "iface.net_ifacename = eth1.100\n"
    "iface.hwaddress = 52:54:00:Ab:cd:01\n"
    "iface.transport_name = tcp\n"
    "iface.initiatorname = iqn.2026-11.org.example:host1\n"
    "iface.vlan_id = 0\n"
    "# END RECORD\n";

std::string with(const std::string& line) { return "iface.iscsi_ifacename = nic1\n" + line + "\n"; }

TEST(IfaceRecordTest, says_what_iscsiadm_wrote) {
  const Result<IfaceBinding> binding = parse_iface_record(kNic1, "nic1");

  ASSERT_TRUE(binding) << binding.error().message();
  EXPECT_EQ(binding->transport, "tcp");
  EXPECT_EQ(binding->netdev, "eth1.100");
  EXPECT_EQ(binding->hwaddress, "52:54:00:Ab:cd:01");
  EXPECT_EQ(binding->initiator_name, "iqn.2026-11.org.example:host1");
}

TEST(IfaceRecordTest, what_is_not_said_or_default_binds_nothing) {
  for (const char* line : {"", "iface.net_ifacename = default", "iface.net_ifacename = <empty>",
                           "iface.hwaddress=default", "iface.ipaddress = default",
                           "iface.net_ifacename =", "# iface.net_ifacename = eth1"}) {
    const Result<IfaceBinding> binding = parse_iface_record(with(line), "nic1");
    ASSERT_TRUE(binding) << line << ": " << binding.error().message();
    EXPECT_EQ(*binding, IfaceBinding{}) << line;
  }
}

TEST(IfaceRecordTest, blanks_are_where_people_put_them) {
  const Result<IfaceBinding> binding = parse_iface_record(
      "  iface.iscsi_ifacename   =nic1\r\n\tiface.net_ifacename=  eth1  \n"
      "iface.transport_name = iser",
      "nic1");
  ASSERT_TRUE(binding) << binding.error().message();
  EXPECT_EQ(binding->netdev, "eth1");
  EXPECT_EQ(binding->transport, "iser");
}

TEST(IfaceRecordTest, a_record_that_is_damaged_is_refused) {
  const std::string binary("\x7f\x45LF\0\0\xff=\n\0=", 12);
  for (const std::string& text :
       {std::string(), std::string("\n\n"), binary, std::string("iface.net_ifacename = eth1\n"),
        std::string("iface.iscsi_ifacename = nic2\n"), std::string(kNic1).substr(0, 30),
        with(std::string(kIfaceRecordBytesMax, '#'))}) {
    const Result<IfaceBinding> binding = parse_iface_record(text, "nic1");
    ASSERT_FALSE(binding) << text.substr(0, 60);
    EXPECT_EQ(binding.error().code(), Errc::invalid_argument);
    EXPECT_THAT(binding.error().message(), HasSubstr("iface 'nic1'"));
  }
}

TEST(IfaceRecordTest, a_value_that_cannot_be_is_refused_by_its_key) {
  struct Case {
    std::string line;
    Errc code;
    const char* key;
  };
  const Case cases[] = {
      {"iface.net_ifacename = sixteen-bytes-xx", Errc::invalid_argument, "net_ifacename"},
      {"iface.net_ifacename = ../eth1", Errc::invalid_argument, "net_ifacename"},
      {"iface.net_ifacename = et\x01h", Errc::invalid_argument, "net_ifacename"},
      {std::string("iface.net_ifacename = e\0h", 25), Errc::invalid_argument, "net_ifacename"},
      {"iface.hwaddress = 52:54:00:12:34", Errc::invalid_argument, "hwaddress"},
      {"iface.hwaddress = 52:54:00:12:34:5g", Errc::invalid_argument, "hwaddress"},
      {"iface.hwaddress = 52-54-00-12-34-56", Errc::invalid_argument, "hwaddress"},
      {"iface.initiatorname = host1", Errc::invalid_argument, "initiatorname"},
      {"iface.initiatorname = iqn." + std::string(220, 'x'), Errc::invalid_argument,
       "initiatorname"},
      {"iface.transport_name = bnx2i", Errc::unsupported, "transport_name"},
      {"iface.ipaddress = 10.0.0.1", Errc::unsupported, "ipaddress"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.line);
    const Result<IfaceBinding> binding = parse_iface_record(with(c.line), "nic1");
    ASSERT_FALSE(binding);
    EXPECT_EQ(binding.error().code(), c.code);
    EXPECT_THAT(binding.error().message(), HasSubstr(c.key));
  }
}

TEST(IfaceRecordTest, limits_themselves_are_allowed) {
  const std::string name = "iqn." + std::string(219, 'x');
  const Result<IfaceBinding> binding = parse_iface_record(
      with("iface.net_ifacename = fifteen-bytes-x\niface.initiatorname = " + name), "nic1");
  ASSERT_TRUE(binding) << binding.error().message();
  EXPECT_EQ(binding->initiator_name, name);
}

}  // namespace
}  // namespace hawser
