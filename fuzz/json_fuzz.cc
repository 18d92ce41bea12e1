// Property: a document that is read, written again, is read as the same; it is no deeper than 16
// levels, has no key twice, and has no more values than bytes.
#include <set>
#include <string>

#include "hawser/detail/assert.h"

#include "wire/json.h"

namespace {

using hawser::JsonValue;
using Type = JsonValue::Type;

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < ' ';
    char escape[8];
    (void)std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
    if (is_control || c == '"' || c == '\\')
      result += escape;
    else
      result += c;
  }
  return result + '"';
}

std::string write(const JsonValue& value) {
  switch (value.type) {
    case Type::null: return "null";
    case Type::boolean: return value.flag ? "true" : "false";
    case Type::number: return std::string(value.text);
    case Type::text: return quoted(value.text);
    case Type::list:
    case Type::object: break;
  }
  const bool is_object = value.is(Type::object);
  std::string text(1, is_object ? '{' : '[');
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (i != 0) text += ", ";
    if (is_object) text += quoted(value.keys[i]) + ": ";
    text += write(value.items[i]);
  }
  return text + (is_object ? '}' : ']');
}

// How many values it is.
std::size_t check(const JsonValue& value, std::size_t level) {
  const bool is_leaf = !value.is(Type::list) && !value.is(Type::object);
  HAWSER_ASSERT(is_leaf ? value.items.empty() : level <= 16);
  HAWSER_ASSERT(value.keys.size() == (value.is(Type::object) ? value.items.size() : 0));
  HAWSER_ASSERT(std::set(value.keys.begin(), value.keys.end()).size() == value.keys.size());
  std::size_t count = 1;
  for (const JsonValue& item : value.items)
    count += check(item, level + 1);
  return count;
}

bool is_equal(const JsonValue& a, const JsonValue& b) {
  if (a.type != b.type || a.flag != b.flag || a.text != b.text || a.keys != b.keys) return false;
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!is_equal(a.items[i], b.items[i])) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const hawser::Result<JsonValue> value = hawser::parse_json(text);
  if (!value) {
    HAWSER_ASSERT(value.error().code() == hawser::Errc::invalid_argument);
    return 0;
  }
  HAWSER_ASSERT(check(*value, 1) <= size);
  const hawser::Result<JsonValue> again = hawser::parse_json(write(*value));
  HAWSER_ASSERT(again);
  HAWSER_ASSERT(is_equal(*value, *again));
  return 0;
}
