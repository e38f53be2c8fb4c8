#include "sidecar/http/span_json.h"

#include <algorithm>
#include <cmath>
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

constexpr std::int64_t kExact = std::int64_t{1} << 53;  // a reader in JavaScript keeps so many
constexpr std::string_view kNull = "null";

// An upper bound of how deep arrays and objects lie in each other. Writing JSON is recursive: hostile depth would end
// the stack.
constexpr int kMaxNesting = 64;
int Nesting(std::string_view json) {
  int depth = 0, deepest = 0;
  for (const char c : json) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return deepest;
}

void AppendKey(std::string_view key, std::string* out) { ((*out += ",\"") += key) += "\":"; }

void AppendText(std::string_view key, std::string_view text, std::string* out) {
  AppendKey(key, out);
  AppendJsonString(text, out);
}

// What needs no escapes.
void AppendPlain(std::string_view key, std::string_view text, std::string* out) {
  AppendKey(key, out);
  ((*out += '"') += text) += '"';
}

void AppendTime(std::string_view key, std::int64_t ns, std::string* out) {
  AppendKey(key, out);
  AppendMs(ns, out);
}

void AppendSafe(std::int64_t value, std::string* out) {
  const bool exact = value <= kExact && value >= -kExact;
  if (!exact) *out += '"';
  AppendJsonNumber(value, out);
  if (!exact) *out += '"';
}

void AppendCount(std::string_view key, std::uint32_t count, std::string* out) {
  AppendKey(key, out);
  AppendJsonNumber(std::int64_t{count}, out);
}

void AppendNested(std::string_view text, std::string* out) {
  if (Nesting(text) <= kMaxNesting) {
    const auto value = nlohmann::ordered_json::parse(text, nullptr, false);
    if (!value.is_discarded()) {
      *out += value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
      return;
    }
  }
  AppendJsonString(text, out);
}

void AppendValue(const AttributeCopy& attribute, std::string* out) {
  switch (attribute.type) {
    case AttributeType::kEmpty:
      *out += kNull;
      break;
    case AttributeType::kString:
      AppendJsonString(attribute.text, out);
      break;
    case AttributeType::kBool:
      *out += attribute.integer != 0 ? "true" : "false";
      break;
    case AttributeType::kInt:
      AppendSafe(attribute.integer, out);
      break;
    case AttributeType::kDouble:
      std::isfinite(attribute.number) ? AppendJsonNumber(attribute.number, out) : void(*out += kNull);
      break;
    case AttributeType::kBytes:
      ((*out += '"') += Base64(attribute.text)) += '"';
      break;
    case AttributeType::kJson:
      AppendNested(attribute.text, out);
  }
}

// Of a key that is there twice, the last one counts.
void AppendAttributes(std::string_view key, const std::vector<AttributeCopy>& attributes, std::string* out) {
  AppendKey(key, out);
  *out += '{';
  bool any = false;
  for (auto it = attributes.begin(); it != attributes.end(); ++it) {
    const auto same = [&](const AttributeCopy& other) { return other.key == it->key; };
    if (std::any_of(it + 1, attributes.end(), same)) continue;
    if (std::exchange(any, true)) *out += ',';
    AppendJsonString(it->key, out);
    *out += ':';
    AppendValue(*it, out);
  }
  *out += '}';
}

void AppendLists(const core::SpanCopy& span, std::string* out) {
  AppendKey("logs", out);
  *out += '[';
  for (const auto& event : span.events) {
    *out += &event == &span.events.front() ? "{\"time\":" : ",{\"time\":";
    AppendMs(event.time_ns, out);
    AppendText("message", event.name, out);
    AppendAttributes("fields", event.attributes, out);
    *out += '}';
  }
  *out += ']';
  AppendKey("links", out);
  *out += '[';
  for (const auto& link : span.links) {
    *out += &link == &span.links.front() ? "{\"traceId\":\"" : ",{\"traceId\":\"";
    *out += link.trace_id.ToHex() + "\",\"spanId\":\"" + link.span_id.ToHex() + "\"}";
  }
  *out += ']';
}

}  // namespace

void AppendSpanJson(const core::SpanCopy& span, std::int64_t trace_start_ns, std::string* out) {
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  *out += "{\"spanId\":\"" + span.span_id.ToHex() + '"';
  if (span.parent_id.IsValid()) {
    AppendPlain("parentSpanId", span.parent_id.ToHex(), out);
  } else {
    *out += ",\"parentSpanId\":null";
  }
  AppendText("serviceName", span.service, out);
  AppendText("operationName", span.name, out);
  AppendText("scope", span.scope, out);
  AppendPlain("kind", KindText(span.kind), out);
  AppendTime("startTime", span.start_ns, out);
  AppendPlain("startTimeUnixNano", std::to_string(span.start_ns), out);
  AppendTime("offset", span.start_ns - trace_start_ns, out);
  AppendTime("endTime", span.start_ns + duration, out);
  AppendTime("duration", duration, out);
  AppendKey("durationNano", out);
  AppendSafe(duration, out);
  AppendPlain("status", span.status == core::StatusCode::kError ? "error" : "success", out);
  AppendText("statusMessage", span.status_message, out);
  AppendCount("depth", span.depth, out);
  *out += span.orphan ? ",\"orphan\":true" : ",\"orphan\":false";
  AppendAttributes("tags", span.attributes, out);
  AppendLists(span, out);
  AppendCount("droppedTags", span.dropped_attributes, out);
  AppendCount("droppedLogs", span.dropped_events, out);
  AppendCount("droppedLinks", span.dropped_links, out);
  *out += '}';
}

}  // namespace spanwatch::http
