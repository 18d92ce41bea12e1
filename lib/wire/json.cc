#include "wire/json.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

namespace hawser {
namespace {

using Type = JsonValue::Type;

constexpr int kDepthMax = 16;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(WipedText& out, std::uint32_t code) {
  const auto byte = [&out](std::uint32_t bits) { out += static_cast<char>(bits); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      byte(0xe0 | code >> 12);
    } else {
      byte(0xf0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3f));
    }
    byte(0x80 | (code >> 6 & 0x3f));
  }
  byte(0x80 | (code & 0x3f));
}

// How many bytes the UTF-8 sequence at the beginning has; 0 if it is none.
std::size_t utf8_length(std::string_view text) {
  const auto at = [text](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const std::uint32_t first = at(0);
  const std::size_t length = first < 0x80                     ? 1
                             : first >= 0xc2 && first <= 0xdf ? 2
                             : first >= 0xe0 && first <= 0xef ? 3
                             : first >= 0xf0 && first <= 0xf4 ? 4
                                                              : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool is_overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool is_outside = (first == 0xed && at(1) >= 0xa0) || (first == 0xf4 && at(1) >= 0x90);
  return is_overlong || is_outside ? 0 : length;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<JsonValue> document() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // A byte order mark.
    JsonValue root;
    HAWSER_TRY(value(root));
    skip_blanks();
    if (at_ != text_.size()) return wrong();
    return root;
  }

 private:
  Error wrong() const {
    return {Errc::invalid_argument, "not JSON, from byte " + std::to_string(at_ + 1)};
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  Status value(JsonValue& out) {
    skip_blanks();
    switch (peek()) {
      case '{': return nested(out, Type::object, '}');
      case '[': return nested(out, Type::list, ']');
      case '"': out.type = Type::text; return string(out.text);
      default: break;
    }
    if (peek() == '-' || is_digit(peek())) return number(out);
    if (take("null")) return ok();
    out.type = Type::boolean;
    out.flag = peek() == 't';
    return take("true") || take("false") ? ok() : Status(wrong());
  }

  Status nested(JsonValue& out, Type type, char end) {
    if (++depth_ > kDepthMax) {
      return Error(Errc::invalid_argument, "nested deeper than 16 levels");
    }
    out.type = type;
    ++at_;
    skip_blanks();
    std::set<std::string> seen;
    if (peek() != end) {
      do {
        if (type == Type::object) HAWSER_TRY(key(out, seen));
        HAWSER_TRY(value(out.items.emplace_back()));
        skip_blanks();
      } while (take(","));
    }
    if (peek() != end) return wrong();
    ++at_;
    --depth_;
    return ok();
  }

  Status key(JsonValue& out, std::set<std::string>& seen) {
    skip_blanks();
    if (peek() != '"') return wrong();
    WipedText name;
    HAWSER_TRY(string(name));
    skip_blanks();
    if (!take(":")) return wrong();
    std::string key(name);
    if (!seen.insert(key).second) {
      return Error(Errc::invalid_argument, key + ": is there twice");
    }
    out.keys.push_back(std::move(key));
    return ok();
  }

  Status string(WipedText& out) {
    ++at_;
    while (!take("\"")) {
      const char c = peek();
      if (c == '\\') {
        HAWSER_TRY(escape(out));
        continue;
      }
      const std::size_t length = utf8_length(text_.substr(at_));
      // Past the end peek() says NUL, which is a control character as well.
      if (length == 0 || (c >= '\0' && c < ' ')) return wrong();
      out.append(text_.substr(at_, length));
      at_ += length;
    }
    return ok();
  }

  Status escape(WipedText& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    ++at_;
    const std::size_t which = at_ < text_.size() ? kNames.find(peek()) : kNames.npos;
    if (which != kNames.npos) {
      out += kMeanings[which];
      ++at_;
      return ok();
    }
    std::optional<std::uint32_t> code = utf16();
    if (code && *code >= 0xd800 && *code < 0xdc00 && take("\\")) {
      const std::optional<std::uint32_t> low = utf16();
      const bool is_pair = low && *low >= 0xdc00 && *low < 0xe000;
      code = is_pair ? 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00) : code;
    }
    if (!code || (*code >= 0xd800 && *code < 0xe000)) return wrong();
    append_utf8(out, *code);
    return ok();
  }

  // "uXXXX"
  std::optional<std::uint32_t> utf16() {
    if (!take("u")) return std::nullopt;
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const char c = peek();
      const bool is_upper = c >= 'A' && c <= 'F';
      const std::size_t digit = kDigits.find(is_upper ? static_cast<char>(c - 'A' + 'a') : c);
      if (digit == kDigits.npos) return std::nullopt;
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    return code;
  }

  Status number(JsonValue& out) {
    const std::size_t start = at_;
    (void)take("-");
    if (!take("0") && !digits()) return wrong();
    if (take(".") && !digits()) return wrong();
    if (take("e") || take("E")) {
      if (!take("+")) (void)take("-");
      if (!digits()) return wrong();
    }
    out.type = Type::number;
    out.text.assign(text_.substr(start, at_ - start));
    return ok();
  }
  bool digits() {
    const std::size_t start = at_;
    while (is_digit(peek()))
      ++at_;
    return at_ != start;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

Result<JsonValue> parse_json(std::string_view text) { return Parser(text).document(); }

}  // namespace hawser
