#include "wire/journal_record.h"

#include <array>
#include <cstdio>

#include <gtest/gtest.h>

#include "base/crc32c.h"

namespace hawser {
namespace {

TEST(Crc32cTest, agrees_with_the_vectors_of_the_rfc) {
  // RFC 3720 appendix B.4.
  std::string ascending(32, '\0');
  std::string descending(32, '\0');
  for (int i = 0; i < 32; ++i) {
    ascending[static_cast<std::size_t>(i)] = static_cast<char>(i);
    descending[static_cast<std::size_t>(i)] = static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c(descending), 0x113fdb5cu);
}

Record sample(std::uint64_t seq = 1) {
  return {.seq = seq,
          .time_s = 1795537939,
          .type = RecordType::intent,
          .step = "session",
          .number = 3,
          .fields = {{"target", "iqn.x"}, {"text", "a b=%\n\xff\t"}, {"none", ""}}};
}

TEST(JournalRecordTest, any_bytes_in_a_value_survive_a_round_trip) {
  const std::string line = encode(sample());
  const Result<Record> back = decode_record(line.substr(0, line.size() - 1));

  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, sample());
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(JournalRecordTest, the_line_is_as_documented) {
  EXPECT_EQ(encode({.seq = 1,
                    .time_s = 5,
                    .type = RecordType::done,
                    .step = "map",
                    .number = 2,
                    .fields = {{"uuid", "mpath-3"}}}),
            "0c2443ec 1 5 done map 2 uuid=mpath-3\n");
}

TEST(JournalRecordTest, fields_have_one_order_and_no_name_twice) {
  const auto decode = [](const std::string& fields) {
    const std::string body = "1 0 note x 0 " + fields;
    std::array<char, 10> crc{};
    (void)std::snprintf(crc.data(), crc.size(), "%08x ", crc32c(body));
    return decode_record(crc.data() + body);
  };
  EXPECT_TRUE(decode("a=1 b=1"));
  for (const char* fields : {"b=1 a=1", "a=1 a=1"})
    EXPECT_EQ(decode(fields).error().code(), Errc::corrupt) << fields;
}

TEST(JournalRecordTest, every_changed_bit_is_noticed) {
  const std::string line = encode(sample());
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = line.substr(0, line.size() - 1);
      bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
      EXPECT_FALSE(decode_record(bad)) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(DecodeLogTest, a_torn_tail_is_dropped_and_measured) {
  const std::string whole = encode(sample(1)) + encode(sample(2));
  const std::string last = encode(sample(3));
  for (std::size_t kept = 0; kept < last.size(); ++kept) {
    std::size_t torn = 0;
    const Result<std::vector<Record>> records = decode_log(whole + last.substr(0, kept), &torn);
    ASSERT_TRUE(records) << kept;
    EXPECT_EQ(records->size(), 2u);
    EXPECT_EQ(torn, kept);
  }
}

TEST(DecodeLogTest, damage_before_the_tail_is_corrupt) {
  std::string text = encode(sample(1)) + encode(sample(2));
  text[3] = text[3] == '0' ? '1' : '0';

  const Result<std::vector<Record>> records = decode_log(text);

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code(), Errc::corrupt);
}

TEST(DecodeLogTest, a_gap_in_the_sequence_is_corrupt) {
  EXPECT_FALSE(decode_log(encode(sample(1)) + encode(sample(3))));
  EXPECT_FALSE(decode_log(encode(sample(2))));
}

TEST(DescribeTest, is_readable) {
  EXPECT_EQ(describe({.seq = 1,
                      .time_s = 0,
                      .type = RecordType::intent,
                      .step = "map",
                      .number = 2,
                      .fields = {{"uuid", "mpath-3"}}}),
            "1970-01-01T00:00:00Z  intent map #2 uuid=mpath-3");
}

}  // namespace
}  // namespace hawser
