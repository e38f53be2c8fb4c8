#include "sidecar/ingest/otlp_encode.h"

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/ingest/pbf.h"

namespace spanwatch::ingest {
namespace {

using core::AttributeCopy;
using core::AttributeType;
using core::SpanCopy;
using core::TraceCopy;
using protozero::pbf_writer;

constexpr std::size_t kMaxDepth = 64;
constexpr std::uint32_t kIsRemoteKnownAndTrue = 0x300;

void AppendBigEndian(std::uint64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

void AddId(std::uint32_t field, const TraceId& id, pbf_writer* out) {
  std::string bytes;
  AppendBigEndian(id.hi, &bytes);
  AppendBigEndian(id.lo, &bytes);
  out->add_bytes(field, bytes);
}

void AddId(std::uint32_t field, const SpanId& id, pbf_writer* out) {
  std::string bytes;
  AppendBigEndian(id.value, &bytes);
  out->add_bytes(field, bytes);
}

// The JSON text of an array or a map -> AnyValue. Keeps the order of members, repeated ones too.
class AnyValueBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  // Empty: not an array or a map, or too deep.
  std::string Build(std::string_view text) {
    try {
      if (!nlohmann::json::sax_parse(text, this)) return "";
    } catch (const std::exception&) {
      return "";
    }
    return std::move(result_);
  }

  bool null() override { return Emit(""); }
  bool boolean(bool value) override {
    std::string any;
    pbf_writer(any).add_bool(2, value);
    return Emit(any);
  }
  bool number_integer(number_integer_t value) override {
    std::string any;
    pbf_writer(any).add_int64(3, value);
    return Emit(any);
  }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMax = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return value <= kMax ? number_integer(static_cast<std::int64_t>(value)) : Double(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return Double(value); }
  bool string(string_t& value) override {
    std::string any;
    pbf_writer(any).add_string(1, value);
    return Emit(any);
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(6); }
  bool key(string_t& value) override {
    open_.back().key = value;
    return true;
  }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(5); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  struct Container {
    std::uint32_t field;  // of AnyValue
    std::string values;   // ArrayValue or KeyValueList
    std::string key;      // of the member that comes next
  };

  bool Double(double value) {
    std::string any;
    pbf_writer(any).add_double(4, value);
    return Emit(any);
  }
  bool Open(std::uint32_t field) {
    if (open_.size() >= kMaxDepth) return false;
    open_.push_back({field, {}, {}});
    return true;
  }
  bool Close() {
    std::string any;
    pbf_writer(any).add_message(open_.back().field, open_.back().values);
    open_.pop_back();
    if (!open_.empty()) return Emit(any);
    result_ = std::move(any);
    return true;
  }
  bool Emit(std::string_view any) {
    if (open_.empty()) return false;
    Container& container = open_.back();
    pbf_writer values(container.values);
    if (container.field == 5) {
      values.add_message(1, any.data(), any.size());
    } else {
      pbf_writer pair(values, 1);
      pair.add_string(1, container.key);
      pair.add_message(2, any.data(), any.size());
    }
    return true;
  }

  std::vector<Container> open_;
  std::string result_;
};

void AddAttribute(std::uint32_t field, const AttributeCopy& attribute, pbf_writer* out) {
  pbf_writer pair(*out, field);
  pair.add_string(1, attribute.key);
  if (attribute.type == AttributeType::kJson) {
    if (const std::string any = AnyValueBuilder().Build(attribute.text); !any.empty()) {
      pair.add_message(2, any);
      return;
    }
  }
  pbf_writer value(pair, 2);
  switch (attribute.type) {
    case AttributeType::kEmpty:
      break;
    case AttributeType::kBool:
      value.add_bool(2, attribute.integer != 0);
      break;
    case AttributeType::kInt:
      value.add_int64(3, attribute.integer);
      break;
    case AttributeType::kDouble:
      value.add_double(4, attribute.number);
      break;
    case AttributeType::kBytes:
      value.add_bytes(7, attribute.text);
      break;
    case AttributeType::kString:
    case AttributeType::kJson:
      value.add_string(1, attribute.text);
  }
}

void AddEvent(const SpanCopy::Event& event, pbf_writer* out) {
  pbf_writer message(*out, 11);
  message.add_fixed64(1, static_cast<std::uint64_t>(event.time_ns));
  message.add_string(2, event.name);
  for (const AttributeCopy& attribute : event.attributes) AddAttribute(3, attribute, &message);
}

void AddTail(const SpanCopy& span, pbf_writer* out) {
  if (span.dropped_attributes != 0) out->add_uint32(10, span.dropped_attributes);
  for (const SpanCopy::Event& event : span.events) AddEvent(event, out);
  if (span.dropped_events != 0) out->add_uint32(12, span.dropped_events);
  for (const core::LinkView& link : span.links) {
    pbf_writer message(*out, 13);
    AddId(1, link.trace_id, &message);
    AddId(2, link.span_id, &message);
  }
  if (span.dropped_links != 0) out->add_uint32(14, span.dropped_links);
  if (span.status != core::StatusCode::kUnset || !span.status_message.empty()) {
    pbf_writer status(*out, 15);
    if (!span.status_message.empty()) status.add_string(2, span.status_message);
    if (span.status != core::StatusCode::kUnset) status.add_enum(3, static_cast<std::int32_t>(span.status));
  }
  if (span.parent_is_remote) out->add_fixed32(16, kIsRemoteKnownAndTrue);
}

// As field 2 of ScopeSpans.
void AddSpan(const TraceId& trace_id, const SpanCopy& span, std::string* scope_spans) {
  pbf_writer parent(*scope_spans);
  pbf_writer out(parent, 2);
  AddId(1, trace_id, &out);
  AddId(2, span.span_id, &out);
  if (!span.trace_state.empty()) out.add_string(3, span.trace_state);
  if (span.parent_id.IsValid()) AddId(4, span.parent_id, &out);
  out.add_string(5, span.name);
  if (span.kind != core::SpanKind::kUnspecified) out.add_enum(6, static_cast<std::int32_t>(span.kind));
  out.add_fixed64(7, static_cast<std::uint64_t>(span.start_ns));
  out.add_fixed64(8, static_cast<std::uint64_t>(span.end_ns));
  for (const AttributeCopy& attribute : span.attributes) AddAttribute(9, attribute, &out);
  AddTail(span, &out);
}

std::string ScopeOf(std::string_view name) {
  std::string bytes, scope;
  if (!name.empty()) pbf_writer(scope).add_string(1, name.data(), name.size());
  pbf_writer(bytes).add_message(1, scope);
  return bytes;
}

std::string ResourceOf(const TraceCopy& trace, std::uint32_t resource, std::string_view service) {
  std::string bytes, attributes;
  {
    pbf_writer writer(attributes);
    if (resource < trace.resources.size()) {
      for (const AttributeCopy& attribute : trace.resources[resource]) AddAttribute(1, attribute, &writer);
    } else {
      AddAttribute(1, {"service.name", AttributeType::kString, 0, 0, std::string(service)}, &writer);
    }
  }
  pbf_writer(bytes).add_message(1, attributes);
  return bytes;
}

// The spans at hand, by resource and scope in order of their first span.
class Groups {
 public:
  explicit Groups(const TraceCopy& trace) : trace_(trace) {}

  void Add(const SpanCopy& span) {
    const auto [resource, new_resource] = resources_.try_emplace(span.resource, resource_list_.size());
    if (new_resource) {
      resource_list_.push_back({ResourceOf(trace_, span.resource, span.service), {}});
      bytes_ += resource_list_.back().head.size();
    }
    Resource& home = resource_list_[resource->second];
    const auto [scope, new_scope] = scopes_.try_emplace({span.resource, span.scope}, home.scopes.size());
    if (new_scope) home.scopes.push_back(ScopeOf(span.scope));
    std::string& scope_spans = home.scopes[scope->second];
    const std::size_t before = new_scope ? 0 : scope_spans.size();
    AddSpan(trace_.summary.trace_id, span, &scope_spans);
    bytes_ += scope_spans.size() - before;
  }
  std::size_t bytes() const { return bytes_; }

  void Write(std::string* out) const {
    pbf_writer writer(*out);
    for (const Resource& resource : resource_list_) {
      std::string message = resource.head;
      pbf_writer resource_spans(message);
      for (const std::string& scope_spans : resource.scopes) resource_spans.add_message(2, scope_spans);
      writer.add_message(1, message);
    }
  }

 private:
  struct Resource {
    std::string head;
    std::vector<std::string> scopes;  // ScopeSpans
  };

  const TraceCopy& trace_;
  std::map<std::uint32_t, std::size_t> resources_;
  std::map<std::pair<std::uint32_t, std::string_view>, std::size_t> scopes_;
  std::vector<Resource> resource_list_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::size_t AppendOtlp(const TraceCopy& trace, std::size_t first, std::size_t max_bytes, std::string* out) {
  Groups groups(trace);
  std::size_t next = first;
  while (next < trace.spans.size() && (next == first || groups.bytes() < max_bytes)) groups.Add(trace.spans[next++]);
  groups.Write(out);
  return next;
}

std::string EncodeOtlp(const TraceCopy& trace) {
  std::string bytes;
  AppendOtlp(trace, 0, std::numeric_limits<std::size_t>::max(), &bytes);
  return bytes;
}

}  // namespace spanwatch::ingest
