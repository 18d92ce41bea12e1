#include "wire/json.h"

#include <algorithm>
#include <set>
#include <utility>

#include <rapidjson/reader.h>

namespace hawser {
namespace {

using Type = JsonValue::Type;

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kCharacterBytesMax = 4;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// In place, so that RapidJSON keeps no copy of a text; numbers stay as they were written.
constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseValidateEncodingFlag |
                            rapidjson::kParseNumbersAsStringsFlag;

// RapidJSON makes three bytes of an escape that is half of a surrogate pair, which is no UTF-8.
bool has_half_a_pair(std::string_view text) {
  for (std::size_t at = text.find('\xed'); at != text.npos; at = text.find('\xed', at + 1)) {
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0xa0) return true;
  }
  return false;
}

// Takes what RapidJSON reads, and puts it together. A function that returns false ends the reading.
class Builder {
 public:
  using Ch = char;
  using Size = rapidjson::SizeType;

  JsonValue take() { return std::move(root_); }
  // Why it ended the reading, if it did.
  const std::string& refusal() const { return refusal_; }

  bool Null() {
    next(Type::null);
    return true;
  }
  bool Bool(bool flag) {
    next(Type::boolean)->flag = flag;
    return true;
  }
  bool RawNumber(const Ch* text, Size bytes, bool) { return take_text(Type::number, text, bytes); }
  bool String(const Ch* text, Size bytes, bool) { return take_text(Type::text, text, bytes); }
  bool StartObject() { return start(Type::object); }
  bool StartArray() { return start(Type::list); }
  bool EndObject(Size) { return end(); }
  bool EndArray(Size) { return end(); }

  bool Key(const Ch* text, Size bytes, bool) {
    std::string key(text, bytes);
    if (has_half_a_pair(key)) return false;
    if (!seen_.back().insert(key).second) {
      refusal_ = key + ": is there twice";
      return false;
    }
    open_.back()->keys.push_back(std::move(key));
    return true;
  }

  // With numbers as texts these are never called.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }

 private:
  JsonValue* next(Type type) {
    JsonValue* const value = open_.empty() ? &root_ : &open_.back()->items.emplace_back();
    value->type = type;
    return value;
  }
  bool take_text(Type type, const Ch* text, Size bytes) {
    next(type)->text.assign(text, bytes);
    return !has_half_a_pair({text, bytes});
  }
  bool start(Type type) {
    if (open_.size() == kDepthMax) {
      refusal_ = "nested deeper than 16 levels";
      return false;
    }
    open_.push_back(next(type));  // Its parent grows no more before it is closed.
    seen_.emplace_back();
    return true;
  }
  bool end() {
    open_.pop_back();
    seen_.pop_back();
    return true;
  }

  JsonValue root_{};
  std::vector<JsonValue*> open_{};
  std::vector<std::set<std::string>> seen_{};  // The keys of each of those.
  std::string refusal_{};
};

Error not_json(std::size_t offset) {
  return {Errc::invalid_argument, "not JSON, from byte " + std::to_string(offset + 1)};
}

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

Result<JsonValue> parse_json(std::string_view text) {
  const std::size_t skipped = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  // To RapidJSON a NUL is the end.
  if (const std::size_t nul = text.find('\0'); nul != text.npos) return not_json(nul);
  WipedText buffer(text.substr(skipped));
  // It takes all bytes of a character before it looks at them, and so passes the NUL at the end.
  buffer.append(kCharacterBytesMax, '\0');
  rapidjson::InsituStringStream stream(buffer.data());
  rapidjson::Reader reader;
  Builder builder;
  const rapidjson::ParseResult read = reader.Parse<kFlags>(stream, builder);
  if (!builder.refusal().empty()) return Error(Errc::invalid_argument, builder.refusal());
  if (read.IsError()) return not_json(skipped + read.Offset());
  return builder.take();
}

}  // namespace hawser
