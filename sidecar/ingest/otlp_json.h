// OTLP/JSON -> OTLP protobuf, so that one decoder reads both. Pure; any thread.
//
// Ids are hex; base64 ids, which some exporters send, are known by their length. 64-bit numbers may be strings or
// numbers and keep all digits. Enums may be numbers or names, field names camelCase or snake_case; unknown fields are
// skipped; null is the default. An id that is neither becomes one that the decoder rejects, with its span alone.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_JSON_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_JSON_H_

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace spanwatch::ingest {

inline constexpr int kMaxJsonDepth = 128;  // objects and arrays inside each other

// An ExportTraceServiceRequest (TracesData). The error says what is wrong, in which field and at which byte:
// "resourceSpans[0].scopeSpans[0].spans[3].startTimeUnixNano: ... (byte 812)".
tl::expected<std::string, std::string> OtlpFromJson(std::string_view json);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_JSON_H_
