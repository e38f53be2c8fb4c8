#include "sidecar/http/otlp_json.h"

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using core::AttributeCopy;
using core::AttributeType;
using core::SpanCopy;
using core::TraceCopy;

constexpr std::size_t kMaxDepth = 64;
constexpr std::string_view kIsRemoteKnownAndTrue = "768";

void AppendInt(std::int64_t value, std::string* out) {
  *out += '"';
  AppendJsonNumber(value, out);
  *out += '"';
}

// JSON text of an array or a map -> AnyValue. Keeps the order of members, repeated ones too. Not recursive.
class AnyValueWriter : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit AnyValueWriter(std::string* out) : out_(out), begin_(out->size()) {}

  // False: not an array or a map, or too deep; nothing was written.
  bool Write(std::string_view text) {
    try {
      if (nlohmann::json::sax_parse(text, this)) return true;
    } catch (const std::exception&) {
    }
    out_->resize(begin_);
    return false;
  }

  bool null() override { return Before() && After("{}"); }
  bool boolean(bool value) override {
    return Before() && After(value ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
  }
  bool number_integer(number_integer_t value) override {
    if (!Before()) return false;
    *out_ += "{\"intValue\":";
    AppendInt(value, out_);
    return After("}");
  }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMax = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return value <= kMax ? number_integer(static_cast<std::int64_t>(value)) : Double(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return Double(value); }
  bool string(string_t& value) override {
    if (!Before()) return false;
    *out_ += "{\"stringValue\":";
    AppendJsonString(value, out_);
    return After("}");
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(true, "{\"kvlistValue\":{\"values\":["); }
  bool key(string_t& value) override {
    if (std::exchange(open_.back().filled, true)) *out_ += ',';
    *out_ += "{\"key\":";
    AppendJsonString(value, out_);
    *out_ += ",\"value\":";
    return true;
  }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(false, "{\"arrayValue\":{\"values\":["); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  struct Container {
    bool map;
    bool filled = false;
  };

  bool Double(double value) {
    if (!Before()) return false;
    *out_ += "{\"doubleValue\":";
    AppendJsonNumber(value, out_);
    return After("}");
  }
  // A value outside of an array or a map is not for this class.
  bool Before() {
    if (open_.empty()) return false;
    if (!open_.back().map && std::exchange(open_.back().filled, true)) *out_ += ',';
    return true;
  }
  bool After(std::string_view end) {
    *out_ += end;
    if (!open_.empty() && open_.back().map) *out_ += '}';  // of the pair
    return true;
  }
  bool Open(bool map, std::string_view begin) {
    if (open_.size() >= kMaxDepth || (!open_.empty() && !Before())) return false;
    open_.push_back({map});
    *out_ += begin;
    return true;
  }
  bool Close() {
    open_.pop_back();
    return After("]}}");
  }

  std::string* const out_;
  const std::size_t begin_;
  std::vector<Container> open_;
};

void AppendAnyValue(const AttributeCopy& attribute, std::string* out) {
  switch (attribute.type) {
    case AttributeType::kEmpty:
      *out += "{}";
      return;
    case AttributeType::kBool:
      *out += attribute.integer != 0 ? "{\"boolValue\":true}" : "{\"boolValue\":false}";
      return;
    case AttributeType::kInt:
      *out += "{\"intValue\":";
      AppendInt(attribute.integer, out);
      break;
    case AttributeType::kDouble:
      *out += "{\"doubleValue\":";
      AppendJsonNumber(attribute.number, out);
      break;
    case AttributeType::kBytes:
      *out += "{\"bytesValue\":\"" + Base64(attribute.text) + "\"";
      break;
    case AttributeType::kJson:
      if (AnyValueWriter(out).Write(attribute.text)) return;
      [[fallthrough]];
    case AttributeType::kString:
      *out += "{\"stringValue\":";
      AppendJsonString(attribute.text, out);
  }
  *out += '}';
}

// ,"attributes":[...] without the comma; nothing if there are none.
bool AppendAttributes(const std::vector<AttributeCopy>& attributes, std::string* out) {
  if (attributes.empty()) return false;
  *out += "\"attributes\":[";
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    *out += i == 0 ? "{\"key\":" : ",{\"key\":";
    AppendJsonString(attributes[i].key, out);
    *out += ",\"value\":";
    AppendAnyValue(attributes[i], out);
    *out += '}';
  }
  *out += ']';
  return true;
}

void AppendMoreAttributes(const std::vector<AttributeCopy>& attributes, std::string* out) {
  *out += ',';
  if (!AppendAttributes(attributes, out)) out->pop_back();
}

void AppendCount(std::string_view name, std::uint32_t count, std::string* out) {
  if (count == 0) return;
  *out += name;
  AppendJsonNumber(std::int64_t{count}, out);
}

void AppendEvents(const SpanCopy& span, std::string* out) {
  if (span.events.empty()) return;
  *out += ",\"events\":[";
  for (const SpanCopy::Event& event : span.events) {
    *out += "{\"timeUnixNano\":";
    AppendInt(event.time_ns, out);
    *out += ",\"name\":";
    AppendJsonString(event.name, out);
    AppendMoreAttributes(event.attributes, out);
    *out += "},";
  }
  out->back() = ']';
}

void AppendLinks(const SpanCopy& span, std::string* out) {
  if (span.links.empty()) return;
  *out += ",\"links\":[";
  for (const core::LinkView& link : span.links)
    *out += "{\"traceId\":\"" + link.trace_id.ToHex() + "\",\"spanId\":\"" + link.span_id.ToHex() + "\"},";
  out->back() = ']';
}

void AppendStatus(const SpanCopy& span, std::string* out) {
  if (span.status == core::StatusCode::kUnset && span.status_message.empty()) return;
  *out += ",\"status\":{";
  if (!span.status_message.empty()) {
    *out += "\"message\":";
    AppendJsonString(span.status_message, out);
  }
  if (span.status != core::StatusCode::kUnset) {
    if (!span.status_message.empty()) *out += ',';
    *out += "\"code\":";
    AppendJsonNumber(static_cast<std::int64_t>(span.status), out);
  }
  *out += '}';
}

void AppendSpan(const TraceCopy& trace, const SpanCopy& span, std::string* out) {
  *out += "{\"traceId\":\"" + trace.summary.trace_id.ToHex() + "\",\"spanId\":\"" + span.span_id.ToHex() + '"';
  if (!span.trace_state.empty()) {
    *out += ",\"traceState\":";
    AppendJsonString(span.trace_state, out);
  }
  if (span.parent_id.IsValid()) *out += ",\"parentSpanId\":\"" + span.parent_id.ToHex() + '"';
  if (span.parent_is_remote) (*out += ",\"flags\":") += kIsRemoteKnownAndTrue;
  *out += ",\"name\":";
  AppendJsonString(span.name, out);
  if (span.kind != core::SpanKind::kUnspecified) {
    *out += ",\"kind\":";
    AppendJsonNumber(static_cast<std::int64_t>(span.kind), out);
  }
  *out += ",\"startTimeUnixNano\":";
  AppendInt(span.start_ns, out);
  *out += ",\"endTimeUnixNano\":";
  AppendInt(span.end_ns, out);
  AppendMoreAttributes(span.attributes, out);
  AppendCount(",\"droppedAttributesCount\":", span.dropped_attributes, out);
  AppendEvents(span, out);
  AppendCount(",\"droppedEventsCount\":", span.dropped_events, out);
  AppendLinks(span, out);
  AppendCount(",\"droppedLinksCount\":", span.dropped_links, out);
  AppendStatus(span, out);
  *out += '}';
}

void AppendResource(const TraceCopy& trace, std::uint32_t resource, std::string_view service, std::string* out) {
  *out += "{\"resource\":{";
  if (resource < trace.resources.size()) {
    AppendAttributes(trace.resources[resource], out);
  } else {
    AppendAttributes({{"service.name", AttributeType::kString, 0, 0, std::string(service)}}, out);
  }
  *out += "},\"scopeSpans\":[";
}

// The spans by resource and scope, each in order of its first span.
struct Scope {
  std::string_view name;
  std::vector<const SpanCopy*> spans;
};
struct Resource {
  std::uint32_t number;
  std::vector<Scope> scopes;
};

std::vector<Resource> Group(const TraceCopy& trace) {
  std::vector<Resource> resources;
  std::map<std::uint32_t, std::size_t> resource_at;
  std::map<std::pair<std::uint32_t, std::string_view>, std::size_t> scope_at;
  for (const SpanCopy& span : trace.spans) {
    const auto [resource, new_resource] = resource_at.try_emplace(span.resource, resources.size());
    if (new_resource) resources.push_back({span.resource, {}});
    std::vector<Scope>& scopes = resources[resource->second].scopes;
    const auto [scope, new_scope] = scope_at.try_emplace({span.resource, span.scope}, scopes.size());
    if (new_scope) scopes.push_back({span.scope, {}});
    scopes[scope->second].spans.push_back(&span);
  }
  return resources;
}

}  // namespace

void AppendOtlpJson(const TraceCopy& trace, std::string* out) {
  bool first_resource = true;
  for (const Resource& resource : Group(trace)) {
    if (!std::exchange(first_resource, false)) *out += ',';
    AppendResource(trace, resource.number, resource.scopes.front().spans.front()->service, out);
    for (const Scope& scope : resource.scopes) {
      *out += "{\"scope\":{";
      if (!scope.name.empty()) {
        *out += "\"name\":";
        AppendJsonString(scope.name, out);
      }
      *out += "},\"spans\":[";
      for (const SpanCopy* span : scope.spans) {
        AppendSpan(trace, *span, out);
        *out += ',';
      }
      out->back() = ']';
      *out += "},";
    }
    out->back() = ']';
    *out += '}';
  }
}

}  // namespace spanwatch::http
