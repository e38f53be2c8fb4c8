// Builds OTLP bytes field by field, so that tests can also build wrong ones. Header only; tests, fuzzers' seeds and
// benches.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_OTLP_BUILDER_H_
#define SPANWATCH_TESTS_UNIT_INGEST_OTLP_BUILDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/ingest/pbf.h"

namespace spanwatch::ingest::testing {

inline std::string StringValue(std::string_view text) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_bytes(1, text);
  return bytes;
}
inline std::string BoolValue(bool value) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_bool(2, value);
  return bytes;
}
inline std::string IntValue(std::int64_t value) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_int64(3, value);
  return bytes;
}
inline std::string DoubleValue(double value) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_double(4, value);
  return bytes;
}
inline std::string BytesValue(std::string_view raw) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_bytes(7, raw);
  return bytes;
}
// `field` of a message that holds `values`: 1 in ArrayValue and KeyValueList.
inline std::string Repeated(std::uint32_t field, const std::vector<std::string>& values) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const std::string& value : values) writer.add_message(field, value);
  return bytes;
}
inline std::string Wrap(std::uint32_t field, std::string_view message) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_message(field, message);
  return bytes;
}
inline std::string ArrayValue(const std::vector<std::string>& values) { return Wrap(5, Repeated(1, values)); }
inline std::string MapValue(const std::vector<std::string>& members) { return Wrap(6, Repeated(1, members)); }
inline std::string KeyValue(std::string_view key, std::string_view value) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_bytes(1, key);
  writer.add_message(2, value);
  return bytes;
}

// A valid span unless a test says otherwise; `more` is appended as it is.
struct SpanSpec {
  std::string trace_id = "0123456789abcdef";
  std::string span_id = "span-id1";
  std::string parent_id;
  std::string name = "operation";
  std::int32_t kind = 1;
  std::uint64_t start_ns = 1'700'000'000'000'000'000;
  std::uint64_t end_ns = 1'700'000'000'250'000'000;
  std::vector<std::string> attributes;  // KeyValue()
  std::string more;

  std::string Encode() const {
    std::string bytes;
    protozero::pbf_writer writer(bytes);
    writer.add_bytes(1, trace_id);
    writer.add_bytes(2, span_id);
    if (!parent_id.empty()) writer.add_bytes(4, parent_id);
    writer.add_bytes(5, name);
    writer.add_enum(6, kind);
    writer.add_fixed64(7, start_ns);
    writer.add_fixed64(8, end_ns);
    for (const std::string& attribute : attributes) writer.add_message(9, attribute);
    return bytes + more;
  }
};

inline std::string Event(std::string_view name, const std::vector<std::string>& attributes, std::uint64_t time_ns = 5) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_fixed64(1, time_ns);
  writer.add_bytes(2, name);
  for (const std::string& attribute : attributes) writer.add_message(3, attribute);
  return Wrap(11, bytes);
}
inline std::string StatusField(std::int32_t code, std::string_view message) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_bytes(2, message);
  writer.add_enum(3, code);
  return Wrap(15, bytes);
}
inline std::string Link(std::string_view trace_id, std::string_view span_id) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_bytes(1, trace_id);
  writer.add_bytes(2, span_id);
  return Wrap(13, bytes);
}

inline std::string Resource(std::string_view service) {
  return Repeated(1, {KeyValue("service.name", StringValue(service))});
}
inline std::string ScopeSpans(const std::vector<std::string>& spans, std::string_view scope = "scope") {
  return Wrap(1,
              [&] {
                std::string bytes;
                protozero::pbf_writer(bytes).add_bytes(1, scope);
                return bytes;
              }()) +
         Repeated(2, spans);
}
inline std::string TracesData(std::string_view service, const std::vector<std::string>& spans) {
  return Wrap(1, Wrap(1, Resource(service)) + Wrap(2, ScopeSpans(spans)));
}

}  // namespace spanwatch::ingest::testing

#endif  // SPANWATCH_TESTS_UNIT_INGEST_OTLP_BUILDER_H_
