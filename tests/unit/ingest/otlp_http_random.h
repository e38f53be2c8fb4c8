// Random OTLP messages, walked out of the schema's table, and their JSON: what the property tests compare. Header only,
// tests.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_OTLP_HTTP_RANDOM_H_
#define SPANWATCH_TESTS_UNIT_INGEST_OTLP_HTTP_RANDOM_H_

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "sidecar/ingest/otlp_schema.h"
#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest::testing {

class RandomOtlp {
 public:
  explicit RandomOtlp(std::uint64_t seed) : random_(seed) {}

  std::size_t Below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool Maybe() { return Below(2) == 0; }

  std::string TracesData() { return Message(kOtlpTracesData, 0); }

  std::string Text() {
    static constexpr std::string_view kPieces[] = {"a", "service.name", " ", "\"", "\\", "\n", "\x01", "ä", "€", "𝄞",
                                                   "/", "GET /users"};
    std::string text;
    for (std::size_t n = Below(5); n > 0; --n) text += kPieces[Below(std::size(kPieces))];
    return text;
  }

  // The message as JSON; spelled in one of the ways that are allowed.
  std::string Json(const OtlpMessage& type, std::string_view bytes) {
    std::string out = "{";
    for (std::size_t i = 0; i < type.field_count; ++i) {
      const OtlpField& field = type.fields[i];
      std::string values;
      std::size_t count = 0;
      WireReader reader(bytes);
      for (WireField wire; reader.Next(&wire);) {
        if (wire.number != field.number) continue;
        values += (count++ > 0 ? ", " : "") + Value(field, wire.value);
      }
      if (count == 0) continue;
      if (out.size() > 1) out += Maybe() ? "," : " ,\n";
      if (Below(20) == 0) out += "\"someFutureField\": {\"deep\": [1, {\"x\": null}], \"y\": -1.5e3}, ";
      out += "\"" + std::string(Maybe() ? field.name : field.proto_name) + "\": ";
      out += field.repeated ? "[" + values + "]" : values;
    }
    return out + "}";
  }

 private:
  std::string Message(const OtlpMessage& type, int depth) {
    std::string out;
    const bool oneof = &type == &kOtlpAnyValue;
    const std::size_t chosen = Below(type.field_count);
    for (std::size_t i = 0; i < type.field_count; ++i) {
      const OtlpField& field = type.fields[i];
      if (oneof ? i != chosen : Below(8) == 0) continue;
      if (field.message != nullptr && depth > 10) continue;
      for (std::size_t n = field.repeated ? Below(3) : 1; n > 0; --n) Append(field, depth, &out);
    }
    return out;
  }

  void Append(const OtlpField& field, int depth, std::string* out) {
    switch (field.type) {
      case OtlpType::kMessage:
        return AppendField(field.number, Message(*field.message, depth + 1), out);
      case OtlpType::kString:
        return AppendField(field.number, Text(), out);
      case OtlpType::kBytes:
        return AppendField(field.number, Raw(Below(20)), out);
      case OtlpType::kTraceId:
        return AppendField(field.number, Raw(16), out);
      case OtlpType::kSpanId:
        return AppendField(field.number, Raw(8), out);
      default:
        break;
    }
    AppendTag(field.number, OtlpWireType(field.type), out);
    std::uint64_t number = random_() >> Below(64);
    switch (field.type) {
      case OtlpType::kBool:
        number &= 1;
        break;
      case OtlpType::kUint32:
        number &= UINT32_MAX;
        break;
      case OtlpType::kSpanKind:
      case OtlpType::kStatusCode:
        number = Below(9);
        break;
      case OtlpType::kDouble:
        number = std::bit_cast<std::uint64_t>(Double());
        break;
      default:
        break;
    }
    const std::uint32_t wire_type = OtlpWireType(field.type);
    if (wire_type == 0) return AppendVarint(number, out);
    for (int i = 0; i < (wire_type == 1 ? 8 : 4); ++i) out->push_back(static_cast<char>(number >> (8 * i)));
  }

  double Double() {
    static constexpr double kSpecial[] = {0,
                                          -0.0,
                                          1e308,
                                          5e-324,
                                          std::numeric_limits<double>::infinity(),
                                          -std::numeric_limits<double>::infinity(),
                                          std::numeric_limits<double>::quiet_NaN()};
    return Maybe() ? kSpecial[Below(std::size(kSpecial))]
                   : std::ldexp(static_cast<double>(random_() >> 11), static_cast<int>(Below(100)) - 70);
  }

  std::string Raw(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random_());
    return bytes;
  }

  static std::uint64_t Little(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  static std::uint64_t Varint(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= static_cast<std::uint64_t>(bytes[i] & 0x7f) << (7 * i);
    return value;
  }

  std::string Value(const OtlpField& field, std::string_view value) {
    switch (field.type) {
      case OtlpType::kMessage:
        return Json(*field.message, value);
      case OtlpType::kString:
        return Quote(value);
      case OtlpType::kBytes:
        return "\"" + Base64(value) + "\"";
      case OtlpType::kTraceId:
      case OtlpType::kSpanId:
        return "\"" + (Below(4) == 0 ? Base64(value) : Hex(value)) + "\"";
      case OtlpType::kBool:
        return Varint(value) != 0 ? "true" : "false";
      case OtlpType::kInt64:
        return Number(std::to_string(static_cast<std::int64_t>(Varint(value))));
      case OtlpType::kUint32:
        return Number(std::to_string(Varint(value)));
      case OtlpType::kFixed32:
      case OtlpType::kFixed64:
        return Number(std::to_string(Little(value)));
      case OtlpType::kDouble:
        return DoubleText(std::bit_cast<double>(Little(value)));
      case OtlpType::kSpanKind:
        return Enum(Varint(value), {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"},
                    "SPAN_KIND_");
      case OtlpType::kStatusCode:
        return Enum(Varint(value), {"UNSET", "OK", "ERROR"}, "STATUS_CODE_");
    }
    return "null";
  }

  std::string Number(const std::string& digits) { return Maybe() ? digits : "\"" + digits + "\""; }

  std::string Enum(std::uint64_t value, std::initializer_list<std::string_view> names, const std::string& prefix) {
    if (value >= names.size() || Maybe()) return std::to_string(value);
    return "\"" + prefix + std::string(names.begin()[value]) + "\"";
  }

  std::string DoubleText(double value) {
    if (std::isnan(value)) return "\"NaN\"";
    if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    return Number(text);
  }

  std::string Hex(std::string_view bytes) {
    const char* digits = Maybe() ? "0123456789abcdef" : "0123456789ABCDEF";
    std::string text;
    for (const char c : bytes) {
      text += digits[static_cast<unsigned char>(c) >> 4];
      text += digits[c & 15];
    }
    return text;
  }

  static std::string Base64(std::string_view bytes) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      std::uint32_t word = 0;
      for (std::size_t j = 0; j < 3; ++j)
        word = word << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
      for (std::size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kDigits[word >> (18 - 6 * j) & 63] : '=';
    }
    return text;
  }

  std::string Quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || (c == '/' && Maybe())) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04X", static_cast<unsigned>(c));
        out += escape;
      } else {
        out += c;
      }
    }
    return out + "\"";
  }

  std::mt19937_64 random_;
};

}  // namespace spanwatch::ingest::testing

#endif  // SPANWATCH_TESTS_UNIT_INGEST_OTLP_HTTP_RANDOM_H_
