// A decoded batch of spans, as the engine reads it. ingest/ fills it from OTLP bytes by a pure function.
// Views point into the record's bytes (or into `owned`): valid as long as both the record and the batch live unchanged.
// A SpanBatch is reused from record to record; Clear() keeps its capacity. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_BATCH_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_BATCH_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "spanwatch/ids.h"

namespace spanwatch::core {

// Values as in OTLP. Numbers outside are mapped to kUnspecified / kUnset by the decoder.
enum class SpanKind : std::uint8_t {
  kUnspecified = 0,
  kInternal = 1,
  kServer = 2,
  kClient = 3,
  kProducer = 4,
  kConsumer = 5
};
enum class StatusCode : std::uint8_t { kUnset = 0, kOk = 1, kError = 2 };

const char* ToString(SpanKind kind);      // "unspecified", "internal", "server", "client", "producer", "consumer"
const char* ToString(StatusCode status);  // "unset", "ok", "error"

enum class AttributeType : std::uint8_t {
  kEmpty,
  kString,
  kBool,
  kInt,
  kDouble,
  kBytes,
  kJson /* array or map as JSON text */
};

struct AttributeView {
  std::string_view key;
  AttributeType type = AttributeType::kEmpty;
  std::int64_t integer = 0;  // kInt, kBool (0 or 1)
  double number = 0;         // kDouble
  std::string_view text;     // kString (valid UTF-8), kBytes (raw), kJson
};

// `first`..`first + count` of SpanBatch::attributes.
struct AttributeRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

struct EventView {
  std::int64_t time_ns = 0;  // since the epoch
  std::string_view name;
  AttributeRange attributes;
};

struct LinkView {
  TraceId trace_id;
  SpanId span_id;
};

struct ResourceView {
  std::string_view service_name;  // "unknown_service" if the resource has none
  std::string_view instance_id;   // service.instance.id, may be empty
  AttributeRange attributes;
};

// `mem_*` come from the attributes spanwatch.mem.*; kNoMemory if the span has no figure.
inline constexpr std::int64_t kNoMemory = INT64_MIN;

struct SpanView {
  TraceId trace_id;
  SpanId span_id;
  SpanId parent_id;           // invalid: a root
  std::int64_t start_ns = 0;  // since the epoch
  std::int64_t end_ns = 0;    // since the epoch; 0 in a batch of open spans; below start counts as duration 0
  std::string_view name;      // valid UTF-8
  std::string_view status_message;
  std::string_view scope_name;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  bool parent_is_remote = false;  // OTLP flags: known and remote
  std::uint32_t resource = 0;     // index into SpanBatch::resources
  AttributeRange attributes;
  std::uint32_t first_event = 0, event_count = 0;
  std::uint32_t first_link = 0, link_count = 0;
  std::uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  double weight = 1;                      // adjusted count: 1 / sampling probability (tracestate ot=th:...), >= 1
  std::int64_t memory_delta = kNoMemory;  // bytes the process grew while the span ran (spanwatch.mem.delta)
  std::int64_t memory_peak = kNoMemory;   // highest RSS in bytes while it ran (spanwatch.mem.peak)
  std::string_view error_type;            // exception.type of the last exception event, else error.type; may be empty
  std::string_view error_message;         // exception.message of it, else the status message; may be empty
  std::string_view trace_state;           // as it came; empty if longer than kMaxTraceStateBytes
};

inline constexpr std::size_t kMaxTraceStateBytes = 512;

// Why a span of a batch was not accepted.
struct Rejected {
  std::uint32_t invalid_id = 0;  // trace or span id of wrong length or all zero
  std::uint32_t malformed = 0;   // bytes that are not a span
  std::uint32_t limit = 0;       // over a limit of the decoder
  std::uint32_t Total() const { return invalid_id + malformed + limit; }
};

struct SpanBatch {
  std::vector<ResourceView> resources;
  std::vector<SpanView> spans;
  std::vector<AttributeView> attributes;
  std::vector<EventView> events;
  std::vector<LinkView> links;
  std::deque<std::string> owned;  // text that had to be made (repaired UTF-8, JSON of arrays); stable addresses
  Rejected rejected;

  void Clear() {
    resources.clear();
    spans.clear();
    attributes.clear();
    events.clear();
    links.clear();
    owned.clear();
    rejected = {};
  }
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_BATCH_H_
