#include "wire/json.h"

#include <gtest/gtest.h>

namespace hawser {
namespace {

using Type = JsonValue::Type;

std::string text_of(const std::string& json) {
  const Result<JsonValue> value = parse_json(json);
  return value && value->is(Type::text) ? std::string(value->text) : "not a text";
}

TEST(JsonTest, reads_each_kind_of_value) {
  const Result<JsonValue> root = parse_json(
      " {\"null\": null, \"yes\" : true, \"no\":false, \"n\": -12.5e+3, \"t\": \"x\",\n"
      "\t\"list\": [1, [], {}], \"object\": {\"a\": \"b\"}} ");

  ASSERT_TRUE(root) << root.error().message();
  EXPECT_TRUE(root->find("null")->is(Type::null));
  EXPECT_TRUE(root->find("yes")->flag);
  EXPECT_TRUE(root->find("no")->is(Type::boolean));
  EXPECT_FALSE(root->find("no")->flag);
  EXPECT_EQ(root->find("n")->text, "-12.5e+3");
  EXPECT_EQ(root->find("t")->text, "x");
  ASSERT_EQ(root->find("list")->items.size(), 3U);
  EXPECT_EQ(root->find("list")->items[0].text, "1");
  EXPECT_EQ(root->find("object")->find("a")->text, "b");
  EXPECT_EQ(root->find("other"), nullptr);
}

TEST(JsonTest, escapes_mean_what_they_say) {
  EXPECT_EQ(text_of(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(text_of(R"("\u0041\u00e9\u20AC\ud83d\ude00")"),
            "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(text_of(R"("\u0000")"), std::string(1, '\0'));
  EXPECT_EQ(text_of("\"\xc3\xa9\xf0\x9f\x98\x80\""), "\xc3\xa9\xf0\x9f\x98\x80");
}

TEST(JsonTest, a_byte_order_mark_is_passed_over) { EXPECT_EQ(text_of("\xef\xbb\xbf\"x\""), "x"); }

TEST(JsonTest, what_is_not_json_is_refused) {
  for (const std::string& text : {
           std::string(),
           std::string(" "),
           std::string("{"),
           std::string("}"),
           std::string("[1,]"),
           std::string("[1 2]"),
           std::string("{\"a\"}"),
           std::string("{\"a\":}"),
           std::string("{\"a\":1,}"),
           std::string("{a:1}"),
           std::string("{1:1}"),
           std::string("'x'"),
           std::string("\"x"),
           std::string("\"\\"),
           std::string("\"\\x\""),
           std::string("\"\\u12\""),
           std::string("\"\\u12g4\""),
           std::string("\"\\ud800\""),
           std::string("\"\\ud800\\u0041\""),
           std::string("\"\\udc00\""),
           std::string("\"a\nb\""),
           std::string("\"a\0b\"", 5),
           std::string("nul"),
           std::string("True"),
           std::string("nullx"),
           std::string("01"),
           std::string("-"),
           std::string("1."),
           std::string(".5"),
           std::string("1e"),
           std::string("+1"),
           std::string("0x1"),
           std::string("NaN"),
           std::string("1 2"),
           // Not UTF-8: alone, cut, overlong, surrogates, beyond U+10FFFF.
           std::string("\"\x80\""),
           std::string("\"\xc3\""),
           std::string("\"\xc0\xaf\""),
           std::string("\"\xe0\x80\xaf\""),
           std::string("\"\xed\xa0\x80\""),
           std::string("\"\xf4\x90\x80\x80\""),
           std::string("\"\xff\""),
           std::string("\"\xe2\x82"),
           std::string("\"\xf4"),
       }) {
    const Result<JsonValue> value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code(), Errc::invalid_argument);
    EXPECT_TRUE(value.error().message().starts_with("not JSON, from byte ")) << text;
  }
}

TEST(JsonTest, a_key_that_is_there_twice_is_refused_at_every_level) {
  for (const char* text : {R"({"a": 1, "a": 1})", R"({"x": [{"a": 1, "\u0061": 2}]})"}) {
    const Result<JsonValue> value = parse_json(text);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().message(), "a: is there twice");
  }
  EXPECT_TRUE(parse_json(R"({"a": {"a": 1}, "b": {"a": 1}})"));
}

TEST(JsonTest, sixteen_levels_are_enough) {
  EXPECT_TRUE(parse_json(std::string(16, '[') + std::string(16, ']')));
  EXPECT_FALSE(parse_json(std::string(17, '[') + std::string(17, ']')));
  EXPECT_FALSE(parse_json(std::string(1000000, '[')));
}

}  // namespace
}  // namespace hawser
