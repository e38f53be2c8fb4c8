#include "sidecar/ingest/otlp_schema.h"

namespace spanwatch::ingest {
namespace {

using T = OtlpType;

template <std::size_t kCount>
constexpr OtlpMessage Message(const OtlpField (&fields)[kCount]) {
  OtlpMessage message{fields, kCount, {}};
  for (auto& index : message.by_number) index = -1;
  for (std::size_t i = 0; i < kCount; ++i) message.by_number[fields[i].number] = static_cast<std::int8_t>(i);
  return message;
}

// AnyValue contains itself, through these two.
extern const OtlpMessage kArrayValue;
extern const OtlpMessage kKeyValueList;

constexpr OtlpField kAnyValueFields[] = {
    {1, T::kString, false, "stringValue", "string_value"},
    {2, T::kBool, false, "boolValue", "bool_value"},
    {3, T::kInt64, false, "intValue", "int_value"},
    {4, T::kDouble, false, "doubleValue", "double_value"},
    {5, T::kMessage, false, "arrayValue", "array_value", &kArrayValue},
    {6, T::kMessage, false, "kvlistValue", "kvlist_value", &kKeyValueList},
    {7, T::kBytes, false, "bytesValue", "bytes_value"},
};
constexpr OtlpField kKeyValueFields[] = {
    {1, T::kString, false, "key", "key"},
    {2, T::kMessage, false, "value", "value", &kOtlpAnyValue},
};
constexpr OtlpField kArrayValueFields[] = {{1, T::kMessage, true, "values", "values", &kOtlpAnyValue}};
constexpr OtlpField kKeyValueListFields[] = {{1, T::kMessage, true, "values", "values", &kOtlpKeyValue}};
constexpr OtlpMessage kArrayValue = Message(kArrayValueFields);
constexpr OtlpMessage kKeyValueList = Message(kKeyValueListFields);

constexpr OtlpField kEntityRefFields[] = {
    {1, T::kString, false, "schemaUrl", "schema_url"},
    {2, T::kString, false, "type", "type"},
    {3, T::kString, true, "idKeys", "id_keys"},
    {4, T::kString, true, "descriptionKeys", "description_keys"},
};
constexpr OtlpMessage kEntityRef = Message(kEntityRefFields);

constexpr OtlpField kResourceFields[] = {
    {1, T::kMessage, true, "attributes", "attributes", &kOtlpKeyValue},
    {2, T::kUint32, false, "droppedAttributesCount", "dropped_attributes_count"},
    {3, T::kMessage, true, "entityRefs", "entity_refs", &kEntityRef},
};
constexpr OtlpMessage kResource = Message(kResourceFields);

constexpr OtlpField kScopeFields[] = {
    {1, T::kString, false, "name", "name"},
    {2, T::kString, false, "version", "version"},
    {3, T::kMessage, true, "attributes", "attributes", &kOtlpKeyValue},
    {4, T::kUint32, false, "droppedAttributesCount", "dropped_attributes_count"},
};
constexpr OtlpMessage kScope = Message(kScopeFields);

constexpr OtlpField kEventFields[] = {
    {1, T::kFixed64, false, "timeUnixNano", "time_unix_nano"},
    {2, T::kString, false, "name", "name"},
    {3, T::kMessage, true, "attributes", "attributes", &kOtlpKeyValue},
    {4, T::kUint32, false, "droppedAttributesCount", "dropped_attributes_count"},
};
constexpr OtlpMessage kEvent = Message(kEventFields);

constexpr OtlpField kLinkFields[] = {
    {1, T::kTraceId, false, "traceId", "trace_id"},
    {2, T::kSpanId, false, "spanId", "span_id"},
    {3, T::kString, false, "traceState", "trace_state"},
    {4, T::kMessage, true, "attributes", "attributes", &kOtlpKeyValue},
    {5, T::kUint32, false, "droppedAttributesCount", "dropped_attributes_count"},
    {6, T::kFixed32, false, "flags", "flags"},
};
constexpr OtlpMessage kLink = Message(kLinkFields);

constexpr OtlpField kStatusFields[] = {
    {2, T::kString, false, "message", "message"},
    {3, T::kStatusCode, false, "code", "code"},
};
constexpr OtlpMessage kStatus = Message(kStatusFields);

constexpr OtlpField kSpanFields[] = {
    {1, T::kTraceId, false, "traceId", "trace_id"},
    {2, T::kSpanId, false, "spanId", "span_id"},
    {3, T::kString, false, "traceState", "trace_state"},
    {4, T::kSpanId, false, "parentSpanId", "parent_span_id"},
    {5, T::kString, false, "name", "name"},
    {6, T::kSpanKind, false, "kind", "kind"},
    {7, T::kFixed64, false, "startTimeUnixNano", "start_time_unix_nano"},
    {8, T::kFixed64, false, "endTimeUnixNano", "end_time_unix_nano"},
    {9, T::kMessage, true, "attributes", "attributes", &kOtlpKeyValue},
    {10, T::kUint32, false, "droppedAttributesCount", "dropped_attributes_count"},
    {11, T::kMessage, true, "events", "events", &kEvent},
    {12, T::kUint32, false, "droppedEventsCount", "dropped_events_count"},
    {13, T::kMessage, true, "links", "links", &kLink},
    {14, T::kUint32, false, "droppedLinksCount", "dropped_links_count"},
    {15, T::kMessage, false, "status", "status", &kStatus},
    {16, T::kFixed32, false, "flags", "flags"},
};

constexpr OtlpField kScopeSpansFields[] = {
    {1, T::kMessage, false, "scope", "scope", &kScope},
    {2, T::kMessage, true, "spans", "spans", &kOtlpSpan},
    {3, T::kString, false, "schemaUrl", "schema_url"},
};
constexpr OtlpMessage kScopeSpans = Message(kScopeSpansFields);

constexpr OtlpField kResourceSpansFields[] = {
    {1, T::kMessage, false, "resource", "resource", &kResource},
    {2, T::kMessage, true, "scopeSpans", "scope_spans", &kScopeSpans},
    {3, T::kString, false, "schemaUrl", "schema_url"},
};
constexpr OtlpMessage kResourceSpans = Message(kResourceSpansFields);

constexpr OtlpField kTracesDataFields[] = {{1, T::kMessage, true, "resourceSpans", "resource_spans", &kResourceSpans}};

}  // namespace

constexpr OtlpMessage kOtlpTracesData = Message(kTracesDataFields);
constexpr OtlpMessage kOtlpSpan = Message(kSpanFields);
constexpr OtlpMessage kOtlpKeyValue = Message(kKeyValueFields);
constexpr OtlpMessage kOtlpAnyValue = Message(kAnyValueFields);

const OtlpField* OtlpMessage::ByName(std::string_view name) const {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (fields[i].name == name || fields[i].proto_name == name) return &fields[i];
  }
  return nullptr;
}

}  // namespace spanwatch::ingest
