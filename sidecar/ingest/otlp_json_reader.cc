#include "sidecar/ingest/otlp_json_reader.h"

#include <utility>

namespace spanwatch::ingest {
namespace {

void AppendUtf8(std::uint32_t c, std::string* out) {
  const auto tail = [&](unsigned shift) { out->push_back(static_cast<char>(0x80 | (c >> shift & 0x3f))); };
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xc0 | c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | c >> 12));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xf0 | c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool JsonReader::Fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  return false;
}

void JsonReader::SkipSpace() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

JsonReader::Kind JsonReader::Peek() {
  SkipSpace();
  switch (At()) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
      return Kind::kTrue;
    case 'f':
      return Kind::kFalse;
    case 'n':
      return Kind::kNull;
    case '-':
      return Kind::kNumber;
    default:
      return IsDigit(At()) ? Kind::kNumber : Kind::kNothing;
  }
}

bool JsonReader::Enter(Kind kind) {
  if (!ok() || Peek() != kind) return Fail(kind == Kind::kObject ? "an object was expected" : "an array was expected");
  if (++depth_ > max_depth_) return Fail("nested more than " + std::to_string(max_depth_) + " levels deep");
  ++at_;
  return true;
}

bool JsonReader::NextMember(bool* first, std::string_view* name) {
  if (!ok()) return false;
  SkipSpace();
  if (At() == '}') {
    ++at_;
    --depth_;
    return false;
  }
  if (!*first) {
    if (At() != ',') return Fail("',' or '}' was expected");
    ++at_;
  }
  *first = false;
  if (Peek() != Kind::kString) return Fail("the name of a member was expected");
  if (!String(name)) return false;
  SkipSpace();
  if (At() != ':') return Fail("':' was expected");
  ++at_;
  return true;
}

bool JsonReader::NextElement(bool* first) {
  if (!ok()) return false;
  SkipSpace();
  if (At() == ']') {
    ++at_;
    --depth_;
    return false;
  }
  if (!*first) {
    if (At() != ',') return Fail("',' or ']' was expected");
    ++at_;
  }
  *first = false;
  if (Peek() == Kind::kNothing) return Fail("a value was expected");
  return true;
}

bool JsonReader::String(std::string_view* text) {
  if (!ok() || Peek() != Kind::kString) return Fail("a string was expected");
  const std::size_t begin = ++at_;
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      *text = text_.substr(begin, at_++ - begin);
      return true;
    }
    if (c == '\\') return Unescape(begin, text);
    if (static_cast<unsigned char>(c) < 0x20) return Fail("a control character in a string");
  }
  return Fail("the text ends inside a string");
}

bool JsonReader::Unescape(std::size_t begin, std::string_view* text) {
  scratch_.assign(text_.substr(begin, at_ - begin));
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"') {
      *text = scratch_;
      return true;
    }
    if (static_cast<unsigned char>(c) < 0x20) return Fail("a control character in a string");
    if (c != '\\') {
      scratch_.push_back(c);
    } else if (!Escape()) {
      return false;
    }
  }
  return Fail("the text ends inside a string");
}

// After a backslash.
bool JsonReader::Escape() {
  const char c = At();
  ++at_;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      scratch_.push_back(c);
      return true;
    case 'b':
      scratch_.push_back('\b');
      return true;
    case 'f':
      scratch_.push_back('\f');
      return true;
    case 'n':
      scratch_.push_back('\n');
      return true;
    case 'r':
      scratch_.push_back('\r');
      return true;
    case 't':
      scratch_.push_back('\t');
      return true;
    case 'u':
      break;
    default:
      return Fail("an unknown escape in a string");
  }
  std::uint32_t unit = 0;
  if (!CodeUnit(&unit)) return false;
  if (unit >= 0xd800 && unit < 0xdc00 && text_.substr(at_, 2) == "\\u") {
    const std::size_t second = at_;
    at_ += 2;
    std::uint32_t low = 0;
    if (!CodeUnit(&low)) return false;
    if (low >= 0xdc00 && low < 0xe000) {
      AppendUtf8(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), &scratch_);
      return true;
    }
    at_ = second;
  }
  AppendUtf8(unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit, &scratch_);
  return true;
}

bool JsonReader::CodeUnit(std::uint32_t* unit) {
  *unit = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = At();
    if (IsDigit(c)) {
      *unit = *unit << 4 | static_cast<std::uint32_t>(c - '0');
    } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
      *unit = *unit << 4 | static_cast<std::uint32_t>((c | 0x20) - 'a' + 10);
    } else {
      return Fail("\\u wants four hex digits");
    }
  }
  return true;
}

bool JsonReader::Digits() {
  if (!IsDigit(At())) return Fail("a digit was expected");
  while (IsDigit(At())) ++at_;
  return true;
}

bool JsonReader::Number(std::string_view* digits) {
  if (!ok() || Peek() != Kind::kNumber) return Fail("a number was expected");
  const std::size_t begin = at_;
  if (At() == '-') ++at_;
  if (At() == '0') {
    ++at_;
    if (IsDigit(At())) return Fail("a number begins with 0");
  } else if (!Digits()) {
    return false;
  }
  if (At() == '.') {
    ++at_;
    if (!Digits()) return false;
  }
  if (At() == 'e' || At() == 'E') {
    ++at_;
    if (At() == '+' || At() == '-') ++at_;
    if (!Digits()) return false;
  }
  *digits = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonReader::Literal() {
  if (!ok()) return false;
  SkipSpace();
  for (const std::string_view word : {"true", "false", "null"}) {
    if (text_.substr(at_, word.size()) != word) continue;
    at_ += word.size();
    return true;
  }
  return Fail("a value was expected");
}

bool JsonReader::Skip() {
  // The first of each open array or object, and which of both it is: no recursion, whatever the input.
  std::string open;
  do {
    if (!open.empty()) {
      bool first = (open.back() & 1) != 0;
      const bool object = (open.back() & 2) != 0;
      std::string_view name;
      const bool more = object ? NextMember(&first, &name) : NextElement(&first);
      if (!ok()) return false;
      if (!more) {
        open.pop_back();
        continue;
      }
      open.back() = static_cast<char>(object ? 2 : 0);
    }
    std::string_view ignored;
    switch (const Kind kind = Peek(); kind) {
      case Kind::kObject:
      case Kind::kArray:
        if (Enter(kind)) open.push_back(static_cast<char>(kind == Kind::kObject ? 3 : 1));
        break;
      case Kind::kString:
        String(&ignored);
        break;
      case Kind::kNumber:
        Number(&ignored);
        break;
      case Kind::kTrue:
      case Kind::kFalse:
      case Kind::kNull:
        Literal();
        break;
      case Kind::kNothing:
        Fail("a value was expected");
    }
  } while (ok() && !open.empty());
  return ok();
}

bool JsonReader::End() {
  if (!ok()) return false;
  SkipSpace();
  return at_ == text_.size() || Fail("more text after the end of the JSON value");
}

}  // namespace spanwatch::ingest
