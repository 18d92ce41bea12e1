#include "engine/log_state.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"

namespace hawser {
namespace {

LogState two_paths() {
  LogState state;
  state.boot_id = "boot";
  state.volume_id = "vol 1";
  for (const char* address : {"10.0.1.2", "fd00::2"}) {
    LoggedPath path{.spec = {.portal = {.host = address, .port = 3261, .group = 2},
                             .target = "iqn.x",
                             .lun = 300},
                    .key = {.target = "iqn.x", .address = address, .port = 3261, .iface = "eth"},
                    .kernel_lun = 0x412c};
    state.paths.push_back(std::move(path));
  }
  return state;
}

Record record(RecordType type, std::string_view step, std::uint32_t number, Fields fields = {}) {
  return {.seq = 1,
          .type = type,
          .step = std::string(step),
          .number = number,
          .fields = std::move(fields)};
}

Fields session_fields() {
  Fields fields{{"origin", "created"}, {"lun", "1"}, {"expires_ms", "500"}};
  put(fields, SessionKey{.target = "iqn.x", .address = "a", .port = 1, .iface = "i"});
  return fields;
}

TEST(LogStateTest, each_path_has_its_iface_and_in_older_logs_all_have_one) {
  LogState written = two_paths();
  written.paths[1].key.iface = "eth2";
  Fields fields = begin_fields(written);
  const auto ifaces = [&fields] {
    const auto state = replay({record(RecordType::begin, step::kAttach, 0, fields)});
    return state->paths[0].key.iface + " " + state->paths[1].key.iface;
  };
  EXPECT_EQ(ifaces(), "eth eth2");
  fields.erase("iface_0");
  fields.erase("iface_1");
  EXPECT_EQ(ifaces(), "eth eth");
}

TEST(LogStateTest, what_could_not_have_been_written_is_corrupt) {
  const auto begin_with = [](const std::string& name, const std::string& value) {
    Fields fields = begin_fields(two_paths());
    fields[name] = value;
    return replay({record(RecordType::begin, step::kAttach, 0, fields)});
  };
  ASSERT_TRUE(begin_with("portal_1", "10.0.1.2:3260"));
  EXPECT_EQ(begin_with("portal_1", "10.0.1.2:0").error().code(), Errc::corrupt);
  EXPECT_EQ(begin_with("paths", "65").error().code(), Errc::corrupt);

  ASSERT_TRUE(replay({record(RecordType::intent, step::kSession, 0xfffffffe, session_fields())}));
  EXPECT_EQ(replay({record(RecordType::intent, step::kSession, 0xffffffff, session_fields())})
                .error()
                .code(),
            Errc::corrupt);
}

TEST(LogStateTest, what_begin_writes_is_read_back) {
  const auto state =
      replay({record(RecordType::begin, step::kAttach, 0, begin_fields(two_paths()))});

  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(state->phase, Phase::attaching);
  EXPECT_EQ(state->boot_id, "boot");
  EXPECT_EQ(state->volume_id, "vol 1");
  ASSERT_EQ(state->paths.size(), 2u);
  EXPECT_EQ(state->paths[1].spec, two_paths().paths[1].spec);
  EXPECT_EQ(state->paths[1].key, two_paths().paths[1].key);
  EXPECT_EQ(state->paths[1].kernel_lun, 0x412cu);
}

TEST(LogStateTest, a_session_goes_from_intended_to_done_to_ended) {
  std::vector<Record> records{record(RecordType::intent, step::kSession, 1, session_fields())};
  EXPECT_EQ(replay(records)->sessions[0].progress, Progress::intended);

  records.push_back(record(RecordType::done, step::kSession, 1,
                           {{"sid", "7"}, {"origin", "shared"}, {"login_ms", "12"}}));
  EXPECT_EQ(replay(records)->sessions[0].progress, Progress::done);
  EXPECT_EQ(replay(records)->sessions[0].sid, 7u);
  EXPECT_EQ(replay(records)->sessions[0].origin, Origin::shared);

  records.push_back(record(RecordType::undone, step::kSession, 1));
  EXPECT_EQ(replay(records)->sessions[0].progress, Progress::ended);
  EXPECT_EQ(replay(records)->next_number, 2u);
}

TEST(LogStateTest, the_identity_survives_the_next_attach) {
  const Identity unit{.designators = {{.type = 3, .code_set = 1, .bytes = "\x60\x01"}},
                      .serial = "s n"};
  Fields fields{{"wwid", "36001"}};
  put(fields, unit);
  const auto state =
      replay({record(RecordType::note, step::kIdentity, 0, fields),
              record(RecordType::begin, step::kAttach, 0, begin_fields(two_paths()))});
  ASSERT_TRUE(state);
  EXPECT_EQ(state->identity, unit);
}

TEST(LogStateTest, the_list_of_wwids_from_before_is_known_by_its_checksums) {
  const auto begin = record(RecordType::begin, step::kAttach, 0, begin_fields(two_paths()));
  const auto before = [&](Fields fields) {
    return replay({begin, record(RecordType::note, step::kWwids, 0, std::move(fields))});
  };
  EXPECT_FALSE(replay({begin})->wwids_before);
  EXPECT_EQ(before(wwids_fields({}).value())->wwids_before->size(), 0U);
  const auto two = before(wwids_fields({"36001", "36002"}).value());
  ASSERT_TRUE(two);
  EXPECT_EQ(two->wwids_before, (std::set<std::uint32_t>{crc32c("36001"), crc32c("36002")}));
  EXPECT_EQ(before({{"before", "1,x"}}).error().code(), Errc::corrupt);
  EXPECT_FALSE(wwids_fields(std::vector<std::string>(5000, "36001")));
}

TEST(LogStateTest, a_detach_that_was_given_up_leaves_the_volume_attached) {
  const auto phase = [](std::vector<Record> records) { return replay(records)->phase; };
  const Record commit = record(RecordType::commit, step::kAttach, 0, {{"multipath", "1"}});
  const Record detach = record(RecordType::begin, step::kDetach, 0);
  const Record abort = record(RecordType::abort, step::kDetach, 0);
  EXPECT_EQ(phase({commit}), Phase::attached);
  EXPECT_EQ(phase({commit, detach}), Phase::detaching);
  EXPECT_EQ(phase({commit, detach, abort}), Phase::attached);
  const Record flush = record(RecordType::done, step::kFlush, 0, {{"forced", "1"}});
  const auto passed = replay({commit, detach, flush});
  EXPECT_TRUE(passed->flushed && passed->is_forced);
  // Whoever detaches next has to flush himself.
  const auto again = replay({commit, detach, flush, abort, detach});
  EXPECT_EQ(again->phase, Phase::detaching);
  EXPECT_FALSE(again->flushed || again->is_forced);
}

TEST(LogStateTest, a_record_without_its_fields_is_corrupt_and_named) {
  Fields fields = session_fields();
  fields.erase("port");
  const auto state = replay({record(RecordType::intent, step::kSession, 1, fields)});
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code(), Errc::corrupt);
  EXPECT_NE(state.error().message().find("'port'"), std::string::npos);
}

}  // namespace
}  // namespace hawser
