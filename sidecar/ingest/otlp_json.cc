#include "sidecar/ingest/otlp_json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "sidecar/ingest/otlp_json_reader.h"
#include "sidecar/ingest/otlp_schema.h"
#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest {
namespace {

using Kind = JsonReader::Kind;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool FromHex(std::string_view text, std::string* out) {
  if (text.size() % 2 != 0) return false;
  out->clear();
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]), low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

// Both alphabets, padded or not, as proto3's JSON readers take it.
bool FromBase64(std::string_view text, std::string* out) {
  out->clear();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out->push_back(static_cast<char>(bits >> count & 0xff));
  }
  return true;
}

// `size`: of the id in bytes. What cannot be an id becomes a single zero byte, which no id is.
void IdFromText(std::string_view text, std::size_t size, std::string* out) {
  const std::size_t digits = (size * 8 + 5) / 6;  // of base64, without padding
  const bool base64 = text.size() != 2 * size && (text.size() == digits || text.size() == (size + 2) / 3 * 4);
  if (!(base64 ? FromBase64(text, out) : FromHex(text, out))) out->assign(1, '\0');
}

// An integer as text: all digits count. Also 1.5e3 and 12.0, if that is an integer which a double holds.
template <typename Integer>
std::optional<Integer> ParseInteger(std::string_view text) {
  Integer value = 0;
  const char* end = text.data() + text.size();
  if (const auto parsed = std::from_chars(text.data(), end, value); parsed.ec == std::errc() && parsed.ptr == end)
    return value;
  if (text.find_first_of(".eE") == std::string_view::npos) return std::nullopt;
  double number = 0;
  const auto parsed = std::from_chars(text.data(), end, number);
  // 2^63 and 2^64 are doubles, the largest integers are not.
  const double limit = std::ldexp(1.0, std::numeric_limits<Integer>::digits);
  const double lowest = std::is_signed_v<Integer> ? -limit : 0;
  if (parsed.ec != std::errc() || parsed.ptr != end || number != std::trunc(number)) return std::nullopt;
  if (number < lowest || number >= limit) return std::nullopt;
  return static_cast<Integer>(number);
}

std::optional<double> ParseDouble(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ptr != end || text.empty()) return std::nullopt;
  if (parsed.ec == std::errc()) return std::isfinite(value) ? std::optional(value) : std::nullopt;
  // Out of range: too small is zero, too large is a mistake.
  const std::size_t exponent = text.find_first_of("eE");
  if (parsed.ec == std::errc::result_out_of_range && exponent != std::string_view::npos && text[exponent + 1] == '-')
    return 0.0;
  return std::nullopt;
}

constexpr std::array<std::string_view, 6> kSpanKinds = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                                        "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                                        "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
constexpr std::array<std::string_view, 3> kStatusCodes = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};

// Names that nobody knows count as 0, as unknown numbers do.
template <std::size_t kCount>
std::int64_t EnumFromName(const std::array<std::string_view, kCount>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? 0 : found - names.begin();
}

class Transcoder {
 public:
  explicit Transcoder(std::string_view json) : reader_(json, kMaxJsonDepth) {}

  tl::expected<std::string, std::string> Run() {
    std::string out;
    if (reader_.Peek() != Kind::kObject) reader_.Fail("a JSON object with \"resourceSpans\" was expected");
    if (reader_.ok() && Message(kOtlpTracesData, &out) && reader_.End()) return out;
    return tl::unexpected(Error());
  }

 private:
  struct Place {
    std::string_view name;  // of a field; empty: an element
    std::size_t index = 0;
  };

  std::string Error() const {
    std::string text;
    for (const Place& place : path_) {
      if (place.name.empty()) {
        text += "[" + std::to_string(place.index) + "]";
      } else {
        if (!text.empty()) text += ".";
        text += place.name;
      }
    }
    if (!text.empty()) text += ": ";
    return text + reader_.error() + " (byte " + std::to_string(reader_.offset()) + ")";
  }

  // The content of a message; the reader stands before its object. Null is an empty one.
  bool Message(const OtlpMessage& type, std::string* out) {
    if (reader_.Peek() == Kind::kNull) return reader_.Literal();
    if (!reader_.Enter(Kind::kObject)) return false;
    bool first = true;
    std::string_view name;
    while (reader_.NextMember(&first, &name)) {
      const OtlpField* field = type.ByName(name);
      if (field == nullptr) {
        if (!reader_.Skip()) return false;
        continue;
      }
      path_.push_back({field->name});
      if (!(field->repeated ? Elements(*field, out) : Value(*field, out))) return false;
      path_.pop_back();
    }
    return reader_.ok();
  }

  bool Elements(const OtlpField& field, std::string* out) {
    if (reader_.Peek() == Kind::kNull) return reader_.Literal();
    if (!reader_.Enter(Kind::kArray)) return false;
    path_.push_back({});
    for (bool first = true; reader_.NextElement(&first); ++path_.back().index) {
      // Null among others keeps its place: an empty message or string.
      if (reader_.Peek() == Kind::kNull ? !Null(field, out) : !Value(field, out)) return false;
    }
    if (!reader_.ok()) return false;
    path_.pop_back();
    return true;
  }

  bool Null(const OtlpField& field, std::string* out) {
    AppendField(field.number, {}, out);
    return reader_.Literal();
  }

  bool Value(const OtlpField& field, std::string* out) {
    if (reader_.Peek() == Kind::kNull) return reader_.Literal();
    switch (field.type) {
      case OtlpType::kMessage:
        return SubMessage(field, out);
      case OtlpType::kString:
      case OtlpType::kBytes:
      case OtlpType::kTraceId:
      case OtlpType::kSpanId:
        return Text(field, out);
      case OtlpType::kBool:
        return Bool(field, out);
      case OtlpType::kDouble:
        return Double(field, out);
      case OtlpType::kInt64:
        return Integer<std::int64_t>(field, "a 64-bit integer, as a string or a number", out);
      case OtlpType::kFixed64:
        return Integer<std::uint64_t>(field, "nanoseconds from 0, as a string or a number", out);
      case OtlpType::kUint32:
      case OtlpType::kFixed32:
        return Integer<std::uint32_t>(field, "a number from 0 to 4294967295", out);
      case OtlpType::kSpanKind:
      case OtlpType::kStatusCode:
        return Enum(field, out);
    }
    return false;
  }

  // The length stands before the content and is known after it: one byte is kept free, and more are made if they are
  // needed.
  bool SubMessage(const OtlpField& field, std::string* out) {
    AppendTag(field.number, 2, out);
    const std::size_t length_at = out->size();
    out->push_back('\0');
    if (!Message(*field.message, out)) return false;
    std::string length;
    AppendVarint(out->size() - length_at - 1, &length);
    out->replace(length_at, 1, length);
    return true;
  }

  bool Text(const OtlpField& field, std::string* out) {
    std::string_view text;
    if (!reader_.String(&text)) return false;
    if (field.type == OtlpType::kTraceId || field.type == OtlpType::kSpanId) {
      IdFromText(text, field.type == OtlpType::kTraceId ? 16 : 8, &bytes_);
      text = bytes_;
    } else if (field.type == OtlpType::kBytes) {
      if (!FromBase64(text, &bytes_)) return reader_.Fail("not base64");
      text = bytes_;
    }
    AppendField(field.number, text, out);
    return true;
  }

  bool Bool(const OtlpField& field, std::string* out) {
    const Kind kind = reader_.Peek();
    if (kind != Kind::kTrue && kind != Kind::kFalse) return reader_.Fail("true or false was expected");
    AppendTag(field.number, 0, out);
    out->push_back(kind == Kind::kTrue ? '\1' : '\0');
    return reader_.Literal();
  }

  // A number, or a string that holds one.
  bool NumberText(std::string_view* text) {
    return reader_.Peek() == Kind::kString ? reader_.String(text) : reader_.Number(text);
  }

  bool Double(const OtlpField& field, std::string* out) {
    std::string_view text;
    if (!NumberText(&text)) return false;
    const std::optional<double> value = ParseDouble(text);
    if (!value) return reader_.Fail("a number, \"NaN\", \"Infinity\" or \"-Infinity\" was expected");
    AppendTag(field.number, 1, out);
    AppendFixed(std::bit_cast<std::uint64_t>(*value), out);
    return true;
  }

  template <typename T>
  bool Integer(const OtlpField& field, const char* wanted, std::string* out) {
    std::string_view text;
    if (!NumberText(&text)) return false;
    const std::optional<T> value = ParseInteger<T>(text);
    if (!value) return reader_.Fail(std::string(wanted) + ", was expected");
    const std::uint32_t wire_type = OtlpWireType(field.type);
    AppendTag(field.number, wire_type, out);
    if (wire_type == 0) {
      AppendVarint(static_cast<std::uint64_t>(*value), out);
    } else {
      AppendFixed(*value, out);
    }
    return true;
  }

  bool Enum(const OtlpField& field, std::string* out) {
    std::string_view text;
    const bool named = reader_.Peek() == Kind::kString;
    if (!NumberText(&text)) return false;
    std::optional<std::int64_t> value = ParseInteger<std::int32_t>(text);
    if (!value && named) {
      value = field.type == OtlpType::kSpanKind ? EnumFromName(kSpanKinds, text) : EnumFromName(kStatusCodes, text);
    }
    if (!value) return reader_.Fail("a small integer or a name was expected");
    AppendTag(field.number, 0, out);
    AppendVarint(static_cast<std::uint64_t>(*value), out);
    return true;
  }

  template <typename T>
  static void AppendFixed(T value, std::string* out) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
  }

  JsonReader reader_;
  std::vector<Place> path_;
  std::string bytes_;
};

}  // namespace

tl::expected<std::string, std::string> OtlpFromJson(std::string_view json) { return Transcoder(json).Run(); }

}  // namespace spanwatch::ingest
