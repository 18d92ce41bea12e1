#include "wire/iscsid_layout.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace hawser {
namespace {

using F = IscsidField;

// How much each field takes. The address is 255 bytes on musl, 1025 with glibc.
std::size_t width(F field) {
  switch (field) {
    case F::target_name:
    case F::address: return 255;
    case F::username:
    case F::password:
    case F::username_in:
    case F::password_in: return 256;
    case F::iface_name: return 65;
    case F::transport_name: return 16;
    case F::chap_algorithms: return 20;
    default: return 4;
  }
}

std::vector<F> fields() {
  std::vector<F> all;
  for (std::size_t i = 0; i < static_cast<std::size_t>(F::count); ++i)
    all.push_back(static_cast<F>(i));
  return all;
}

// Measured with probe programs that were compiled against the headers of each release.
struct Measured {
  std::size_t request_bytes;
  std::size_t address;
  std::size_t transport_name;
};
constexpr Measured kMeasured[] = {
    {12856, 1460, 11282}, {16080, 2228, 14506}, {16080, 2228, 14510}, {16088, 2236, 14514},
    {16088, 2236, 14518}, {16104, 2252, 14534}, {16112, 2260, 14542}, {16128, 2260, 14558},
    {16136, 2268, 14566}, {8368, 2228, 7570},   {8376, 2236, 7582},   {8392, 2252, 7598},
    {8400, 2260, 7606},   {8416, 2260, 7622},   {8424, 2268, 7630},
};

TEST(IscsidLayoutTest, the_layouts_are_those_that_were_measured) {
  ASSERT_EQ(iscsid_layouts().size(), std::size(kMeasured));
  for (const Measured& measured : kMeasured) {
    const auto matches = [&](const IscsidLayout& layout) {
      return layout.request_bytes == measured.request_bytes &&
             layout.offset(F::address) == measured.address &&
             layout.offset(F::transport_name) == measured.transport_name;
    };
    EXPECT_EQ(std::ranges::count_if(iscsid_layouts(), matches), 1) << measured.transport_name;
  }
}

TEST(IscsidLayoutTest, every_field_lies_in_the_record_and_overlaps_no_other) {
  for (const IscsidLayout& layout : iscsid_layouts()) {
    std::map<std::size_t, std::size_t> taken;
    for (const F field : fields())
      if (layout.has(field)) taken.emplace(layout.offset(field), width(field));
    std::size_t end = 16;  // Of the header: command, length, session id.
    for (const auto& [offset, bytes] : taken) {
      EXPECT_GE(offset, end) << layout.releases;
      end = offset + bytes;
    }
    EXPECT_LE(end, layout.request_bytes) << layout.releases;
  }
}

TEST(IscsidLayoutTest, numbers_are_aligned) {
  for (const IscsidLayout& layout : iscsid_layouts())
    for (const F field : fields())
      if (width(field) == 4 || field == F::chap_algorithms) {
        EXPECT_EQ(layout.offset(field) % 4, 0U)
            << layout.releases << " field " << static_cast<std::size_t>(field);
      }
}

TEST(IscsidLayoutTest, the_transport_name_tells_layouts_of_one_size_apart) {
  std::set<std::pair<std::size_t, std::size_t>> seen;
  for (const IscsidLayout& layout : iscsid_layouts())
    EXPECT_TRUE(seen.emplace(layout.request_bytes, layout.offset(F::transport_name)).second)
        << layout.releases;
}

TEST(IscsidLayoutTest, only_releases_that_have_a_field_have_an_offset_for_it) {
  const auto with = [](F field) {
    std::set<std::string_view> releases;
    for (const IscsidLayout& layout : iscsid_layouts())
      if (layout.has(field)) releases.insert(layout.releases);
    return releases;
  };

  EXPECT_EQ(with(F::login_redirect_max), (std::set<std::string_view>{"2.1.13", "2.1.13 (musl)"}));
  EXPECT_EQ(with(F::reopen_log_frequency),
            (std::set<std::string_view>{"2.1.11", "2.1.11 (musl)", "2.1.12", "2.1.12 (musl)",
                                        "2.1.13", "2.1.13 (musl)"}));
  EXPECT_FALSE(with(F::chap_algorithms).contains("2.0.876 to 2.1.0"));
  EXPECT_TRUE(with(F::chap_algorithms).contains("2.1.1 to 2.1.10"));
  EXPECT_FALSE(with(F::scan).contains("2.0.874"));
  EXPECT_TRUE(with(F::scan).contains("2.0.875"));
}

}  // namespace
}  // namespace hawser
