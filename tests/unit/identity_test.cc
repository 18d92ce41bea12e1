#include "model/identity.h"

#include <gtest/gtest.h>

#include "wire/vpd.h"

namespace hawser {
namespace {

using namespace std::string_literals;

Designator naa(const std::string& bytes) { return {.type = 3, .code_set = 1, .bytes = bytes}; }
Designator eui(const std::string& bytes) { return {.type = 2, .code_set = 1, .bytes = bytes}; }
Designator t10(const std::string& text) { return {.type = 1, .code_set = 2, .bytes = text}; }
Designator name(const std::string& text) { return {.type = 8, .code_set = 3, .bytes = text}; }

const std::string kNaa6 = "\x60\x01\x40\x50\xc7\xfc\x58\xf9\x26\x82\x3e\xe4\x0f\x8c\x63\xd9"s;
const std::string kNaa5 = "\x50\x00\xc5\x00\x01\x02\x03\x04"s;
const std::string kNaa2 = "\x20\x00\x00\x0c\x01\x02\x03\x04"s;
const std::string kNaa3 = "\x30\x00\x00\x0c\x01\x02\x03\x04"s;
const std::string kEui8 = "\x00\x25\x01\x02\x03\x04\x05\x06"s;

// What udev's rules (sg3-utils) make of each, as measured with crafted pages.
TEST(WwidTest, is_what_udev_calls_the_serial) {
  struct Case {
    std::vector<Designator> designators;
    std::string wwid;
  };
  const Case cases[] = {
      {{naa(kNaa6), t10("LIO-ORG volume:x")}, "360014050c7fc58f926823ee40f8c63d9"},
      {{naa("\x60" + std::string(15, 'a')), naa(kNaa6)}, "360014050c7fc58f926823ee40f8c63d9"},
      {{naa(kNaa5), name("iqn.2001-05.com.x:y,L,0x0")}, "35000c50001020304"},
      {{eui(kEui8), naa(kNaa3)}, "20025010203040506"},
      {{naa(kNaa2), t10("VENDOR  disk")}, "32000000c01020304"},
      {{naa(kNaa3), t10("LIO-ORG FILEIO   :x")}, "1LIO-ORG_FILEIO_:x"},
      {{name("naa.600A0B80")}, "8naa.600A0B80"},
      {{{.type = 6, .code_set = 1, .bytes = "abcd"}}, ""},
      {{}, ""},
      // Of blanks alone, which udev makes underscores of: every such unit would have the same.
      {{t10("        ")}, ""},
      {{t10("________"), name("    ")}, ""},
      {{t10("        "), naa(kNaa3)}, "33000000c01020304"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(wwid_of({.designators = c.designators}), c.wwid);
}

// Keeps: H1
TEST(WwidTest, is_never_something_that_a_file_a_command_or_a_map_cannot_carry) {
  const std::string long_name(200, 'x');
  for (const std::string& text : {"LIO-ORG\nvolume:x"s, "../../volume:x"s, "volume\x01:x__"s,
                                  "volume\xff:x__"s, "vol\"ume:x__"s, long_name}) {
    EXPECT_EQ(wwid_of({.designators = {t10(text)}}), "") << text;
    // The next best one is taken.
    EXPECT_EQ(wwid_of({.designators = {name(text), t10("LIO-ORG volume:x")}}), "1LIO-ORG_volume:x");
  }
  EXPECT_FALSE(is_usable_wwid(""));
  EXPECT_FALSE(is_usable_wwid("3600 1405"));
  // The kernel has each of these as four characters, of 128 in all.
  EXPECT_TRUE(is_usable_wwid("1" + std::string(28, '!')));
  EXPECT_FALSE(is_usable_wwid("1" + std::string(29, '!')));
}

// Keeps: A6
TEST(NamesUnitTest, takes_what_is_made_of_a_designator_and_nothing_else) {
  const Identity unit{.designators = {naa(kNaa6), t10("LIO-ORG FILEIO   :x")}, .serial = "s-17"};
  for (const char* wwid : {"360014050c7fc58f926823ee40f8c63d9", "1LIO-ORG_FILEIO_:x",
                           "1LIO-ORG_FILEIO___:x", "SLIO-ORG_volume_s-17"})
    EXPECT_TRUE(names_unit(unit, wwid)) << wwid;
  // That of the device that had the name before, and nonsense.
  for (const char* wwid : {"360014050c7fc58f926823ee40f8c63d8", "1LIO-ORG_FILEIO_:y", "3", "",
                           "s-17", "SLIO-ORG_volume_s-18"})
    EXPECT_FALSE(names_unit(unit, wwid)) << wwid;
  EXPECT_FALSE(names_unit({}, "360014050c7fc58f926823ee40f8c63d9"));
}

TEST(IsSerialNameTest, takes_the_name_by_the_whole_serial_number_and_no_short_one) {
  const Identity unit{.designators = {naa(kNaa6)}, .serial = "9e4e42cc66b0"};
  EXPECT_TRUE(is_serial_name(unit, "SLIO-ORG_FILEIO_9e4e42cc66b0"));
  for (const char* wwid :
       {"SLIO-ORG_FILEIO_9e4e42cc66b1", "SLIO-ORG_FILEIO_19e4e42cc66b0",
        "360014050c7fc58f926823ee40f8c63d9", "1LIO-ORG_FILEIO_9e4e42cc66b0", "S", ""})
    EXPECT_FALSE(is_serial_name(unit, wwid)) << wwid;
  EXPECT_FALSE(is_serial_name({.serial = "1234567"}, "SVENDOR_MODEL_1234567"));
  EXPECT_FALSE(is_serial_name({}, "SVENDOR_MODEL_"));
}

TEST(SameUnitTest, every_kind_that_both_have_must_agree) {
  const Identity unit{.designators = {naa(kNaa6), t10("LIO-ORG volume:x")}, .serial = "x"};
  EXPECT_TRUE(same_unit(unit, unit));
  EXPECT_TRUE(same_unit(unit, {.designators = {naa(kNaa6)}}));

  // Two targets that show the same NAA for different units.
  EXPECT_FALSE(same_unit(unit, {.designators = {naa(kNaa6), t10("LIO-ORG volume:y")}}));
  EXPECT_FALSE(same_unit(unit, {.designators = {naa(kNaa6)}, .serial = "y"}));
  EXPECT_FALSE(same_unit(unit, {.designators = {naa(kNaa5)}}));
}

TEST(SameUnitTest, what_cannot_be_compared_is_not_the_same) {
  EXPECT_FALSE(same_unit({}, {}));
  EXPECT_FALSE(same_unit({.designators = {naa(kNaa6)}}, {.serial = "x"}));
}

TEST(MatchesWwidTest, takes_the_spellings_in_use) {
  const Identity unit{.designators = {naa(kNaa6), eui(kEui8)}};
  for (const char* text :
       {"360014050c7fc58f926823ee40f8c63d9", "60014050C7FC58F926823EE40F8C63D9",
        "naa.60014050c7fc58f926823ee40f8c63d9", "0x60014050c7fc58f926823ee40f8c63d9",
        "eui.0025010203040506", "20025010203040506"})
    EXPECT_TRUE(matches_wwid(unit, text)) << text;
  for (const char* text : {"", "3", "60014050c7fc58f926823ee40f8c63d8", "0025"})
    EXPECT_FALSE(matches_wwid(unit, text)) << text;
}

std::string page83(const std::string& body) {
  return "\x00\x83"s + static_cast<char>(body.size() >> 8) + static_cast<char>(body.size()) + body;
}
std::string descriptor(int code_set, int association, int type, const std::string& bytes) {
  return std::string{static_cast<char>(code_set), static_cast<char>(association << 4 | type), 0,
                     static_cast<char>(bytes.size())} +
         bytes;
}

TEST(Vpd83Test, keeps_the_units_designators_and_leaves_those_of_ports) {
  const auto found =
      decode_vpd83(page83(descriptor(1, 0, 3, kNaa6) + descriptor(1, 1, 3, kNaa5) +
                          descriptor(2, 0, 1, "LIO-ORG x") + descriptor(1, 0, 3, kNaa6)));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<Designator>{naa(kNaa6), t10("LIO-ORG x"), naa(kNaa6)}));
}

TEST(Vpd83Test, a_page_cut_off_anywhere_is_refused) {
  const std::string page = page83(descriptor(1, 0, 3, kNaa6) + descriptor(2, 0, 1, "LIO-ORG x"));
  ASSERT_TRUE(decode_vpd83(page));
  for (std::size_t bytes = 0; bytes < page.size(); ++bytes)
    EXPECT_FALSE(decode_vpd83(page.substr(0, bytes))) << bytes;
  std::string lying = page;
  lying[7] = '\x7f';  // A designator longer than the page.
  EXPECT_FALSE(decode_vpd83(lying));
}

TEST(Vpd80Test, gives_the_serial_without_padding) {
  EXPECT_EQ(*decode_vpd80("\x00\x80\x00\x08  ab c  "s), "ab c");
  EXPECT_EQ(*decode_vpd80("\x00\x80\x00\x00"s), "");
  EXPECT_FALSE(decode_vpd80("\x00\x80\x00\x09  ab c  "s));
  EXPECT_FALSE(decode_vpd80("\x00\x83\x00\x00"s));
}

// Of the peripheral qualifiers the one that says "connected", and of the device types those that
// Linux has its disk driver for: direct access, optical, simplified direct access, zoned.
TEST(VpdTest, every_kind_of_unit) {
  for (unsigned first = 0; first < 256; ++first) {
    const bool is_connected = first < 32;
    const bool is_disk = first == 0 || first == 7 || first == 14 || first == 20;
    const UnitKind expected = !is_connected ? UnitKind::vacant
                              : is_disk     ? UnitKind::disk
                                            : UnitKind::other;
    const Result<UnitKind> kind = decode_unit_kind(std::string(36, static_cast<char>(first)));
    ASSERT_TRUE(kind);
    EXPECT_EQ(*kind, expected) << first;
  }
  EXPECT_FALSE(decode_unit_kind(""));
}

}  // namespace
}  // namespace hawser
