#include "wire/iscsi_netlink.h"

#include <cstring>

#include <gtest/gtest.h>

namespace hawser {
namespace {

template <class Number>
void put(std::string& bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

TEST(IscsiNetlinkTest, a_lost_connection_names_its_session_and_why) {
  std::string payload(56, '\0');
  put(payload, 0, std::uint32_t{102});
  put(payload, 40, std::uint32_t{7});
  put(payload, 48, std::uint32_t{1022});
  const auto event = decode_iscsi_event(payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->sid, 7u);
  EXPECT_EQ(event->error, 1022u);
}

TEST(IscsiNetlinkTest, a_destroyed_session_is_named_behind_its_host) {
  std::string payload(56, '\0');
  put(payload, 0, std::uint32_t{104});
  put(payload, 40, std::uint32_t{3});
  put(payload, 44, std::uint32_t{7});
  EXPECT_EQ(decode_iscsi_event(payload)->sid, 7u);
}

TEST(IscsiNetlinkTest, counters_are_read_where_the_kernel_puts_them) {
  std::string payload(56 + 96, '\0');
  put(payload, 0, std::uint32_t{20});
  put(payload, 16, std::uint32_t{7});
  put(payload, 56, std::uint64_t{1000});
  put(payload, 64, std::uint64_t{2000});
  put(payload, 76, std::uint32_t{3});
  put(payload, 108, std::uint32_t{4});
  const auto event = decode_iscsi_event(payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->sid, 7u);
  EXPECT_EQ(event->counters->tx_bytes, 1000u);
  EXPECT_EQ(event->counters->rx_bytes, 2000u);
  EXPECT_EQ(event->counters->commands, 3u);
  EXPECT_EQ(event->counters->responses, 4u);
  EXPECT_FALSE(decode_iscsi_event(payload.substr(0, 151)));
}

TEST(IscsiNetlinkTest, what_is_too_short_is_refused_and_what_is_unknown_passes) {
  EXPECT_FALSE(decode_iscsi_event(""));
  EXPECT_FALSE(decode_iscsi_event(std::string(55, '\0')));
  std::string unknown(56, '\0');
  put(unknown, 0, std::uint32_t{9999});
  EXPECT_EQ(decode_iscsi_event(unknown)->type, 9999u);
}

TEST(IscsiNetlinkTest, a_request_for_counters_carries_handle_and_session) {
  const std::string payload = encode_get_stats(0x1122334455667788, 7);
  ASSERT_EQ(payload.size(), 56u);
  std::uint64_t handle = 0;
  std::memcpy(&handle, payload.data() + 8, 8);
  EXPECT_EQ(handle, 0x1122334455667788u);
  EXPECT_EQ(payload[0], 20);
  EXPECT_EQ(payload[16], 7);
}

}  // namespace
}  // namespace hawser
