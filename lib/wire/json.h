// A reader of JSON (RFC 8259) that leaves nothing behind: documents hold secrets.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hawser/result.h"

#include "base/wipe.h"

namespace hawser {

using WipedText = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

// One value. Its memory is wiped when it goes, except that a document that is nothing but a short
// text has it elsewhere.
struct JsonValue {
  enum class Type { null, boolean, number, text, list, object };

  Type type = Type::null;
  bool flag = false;  // Of a boolean.
  WipedText text{};   // Of a text; of a number, as it is written.
  std::vector<JsonValue, WipingAllocator<JsonValue>> items{};  // Of a list, and of an object.
  std::vector<std::string> keys{};                             // Of an object's items.

  bool is(Type wanted) const { return type == wanted; }
  // The value of a member; null if there is none.
  const JsonValue* find(std::string_view key) const;
};

// Reads a document of at most 16 levels. Errors: invalid_argument, with the position in bytes; also
// for an object that has a key twice. No value is quoted.
Result<JsonValue> parse_json(std::string_view text);

}  // namespace hawser
