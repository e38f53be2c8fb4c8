// The messages of OTLP traces as a table: opentelemetry/proto/{trace,common,resource}/v1. What reads JSON and what
// redacts walk it, so that they know the same fields. Constants; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_SCHEMA_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_SCHEMA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spanwatch::ingest {

enum class OtlpType : std::uint8_t {
  kString,
  kBytes,
  kTraceId,  // bytes on the wire, hex digits in JSON
  kSpanId,
  kBool,
  kInt64,
  kUint32,
  kFixed32,
  kFixed64,
  kDouble,
  kSpanKind,  // enums
  kStatusCode,
  kMessage,
};

struct OtlpMessage;

struct OtlpField {
  std::uint32_t number = 0;
  OtlpType type = OtlpType::kString;
  bool repeated = false;
  std::string_view name;        // JSON, lowerCamelCase
  std::string_view proto_name;  // as in the .proto file
  const OtlpMessage* message = nullptr;
};

inline constexpr std::uint32_t kMaxOtlpField = 16;

struct OtlpMessage {
  const OtlpField* fields;
  std::size_t field_count;
  std::array<std::int8_t, kMaxOtlpField + 1> by_number;  // index into fields, or -1

  // Null: not a field of this message.
  const OtlpField* ByNumber(std::uint32_t number) const {
    return number <= kMaxOtlpField && by_number[number] >= 0 ? &fields[by_number[number]] : nullptr;
  }
  const OtlpField* ByName(std::string_view name) const;  // either spelling
};

extern const OtlpMessage kOtlpTracesData;
extern const OtlpMessage kOtlpSpan;
extern const OtlpMessage kOtlpKeyValue;
extern const OtlpMessage kOtlpAnyValue;

// Protobuf's wire type of a field.
constexpr std::uint32_t OtlpWireType(OtlpType type) {
  switch (type) {
    case OtlpType::kString:
    case OtlpType::kBytes:
    case OtlpType::kTraceId:
    case OtlpType::kSpanId:
    case OtlpType::kMessage:
      return 2;
    case OtlpType::kFixed64:
    case OtlpType::kDouble:
      return 1;
    case OtlpType::kFixed32:
      return 5;
    case OtlpType::kBool:
    case OtlpType::kInt64:
    case OtlpType::kUint32:
    case OtlpType::kSpanKind:
    case OtlpType::kStatusCode:
      break;
  }
  return 0;
}

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_SCHEMA_H_
