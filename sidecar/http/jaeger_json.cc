#include "sidecar/http/jaeger_json.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "sidecar/core/analysis_tree.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using core::AttributeCopy;
using core::AttributeType;
using core::SpanCopy;

constexpr std::int64_t kExact = std::int64_t{1} << 53;  // a reader in JavaScript keeps no more
constexpr std::size_t kMaxLossWarnings = 5;

// Rounded down, so that a child does not seem to begin before its parent.
std::int64_t Micros(std::int64_t ns) { return ns / 1000 - (ns % 1000 < 0 ? 1 : 0); }

std::int64_t DurationNs(const SpanCopy& span) {
  std::int64_t duration = 0;
  if (span.end_ns <= span.start_ns || __builtin_sub_overflow(span.end_ns, span.start_ns, &duration))
    return span.end_ns <= span.start_ns ? 0 : INT64_MAX;
  return duration;
}

// One object of a list of tags: begins with a comma if it is not the first.
class KeyValues {
 public:
  explicit KeyValues(std::string* out) : out_(out) { *out_ += '['; }
  void End() { *out_ += ']'; }

  void Text(std::string_view key, std::string_view value, const char* type = "string") {
    Begin(key, type);
    AppendJsonString(value, out_);
    *out_ += '}';
  }
  void Bool(std::string_view key, bool value) {
    Begin(key, "bool");
    *out_ += value ? "true}" : "false}";
  }
  void Attribute(const AttributeCopy& attribute) {
    switch (attribute.type) {
      case AttributeType::kBool:
        return Bool(attribute.key, attribute.integer != 0);
      case AttributeType::kInt:
        return Integer(attribute.key, attribute.integer);
      case AttributeType::kDouble:
        return Double(attribute.key, attribute.number);
      case AttributeType::kBytes:
        return Text(attribute.key, Base64(attribute.text), "binary");
      case AttributeType::kEmpty:
      case AttributeType::kString:
      case AttributeType::kJson:
        return Text(attribute.key, attribute.text);
    }
  }

 private:
  void Begin(std::string_view key, const char* type) {
    *out_ += first_ ? "{\"key\":" : ",{\"key\":";
    first_ = false;
    AppendJsonString(key, out_);
    *out_ += ",\"type\":\"";
    *out_ += type;
    *out_ += "\",\"value\":";
  }
  void Integer(std::string_view key, std::int64_t value) {
    if (value > kExact || value < -kExact) return Text(key, std::to_string(value), "int64");
    Begin(key, "int64");
    AppendJsonNumber(value, out_);
    *out_ += '}';
  }
  // JSON has no number for these.
  void Double(std::string_view key, double value) {
    if (!std::isfinite(value)) return Text(key, std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    Begin(key, "float64");
    AppendJsonNumber(value, out_);
    *out_ += '}';
  }

  std::string* out_;
  bool first_ = true;
};

void AppendWarnings(const std::vector<std::string>& warnings, std::string* out) {
  if (warnings.empty()) {
    *out += "null";
    return;
  }
  for (std::size_t i = 0; i < warnings.size(); ++i) {
    *out += i == 0 ? '[' : ',';
    AppendJsonString(warnings[i], out);
  }
  *out += ']';
}

bool Has(const std::vector<AttributeCopy>& attributes, std::string_view key) {
  return std::any_of(attributes.begin(), attributes.end(), [&](const AttributeCopy& a) { return a.key == key; });
}

void AppendLogs(const SpanCopy& span, std::string* out) {
  *out += '[';
  for (std::size_t i = 0; i < span.events.size(); ++i) {
    const SpanCopy::Event& event = span.events[i];
    *out += i == 0 ? "{\"timestamp\":" : ",{\"timestamp\":";
    AppendJsonNumber(Micros(event.time_ns), out);
    *out += ",\"fields\":";
    KeyValues fields(out);
    if (!event.name.empty() && !Has(event.attributes, "event")) fields.Text("event", event.name);
    for (const AttributeCopy& attribute : event.attributes) fields.Attribute(attribute);
    fields.End();
    *out += '}';
  }
  *out += ']';
}

std::string_view ServiceName(const std::vector<AttributeCopy>& resource) {
  for (const AttributeCopy& attribute : resource) {
    if (attribute.key != "service.name") continue;
    if (attribute.type != AttributeType::kString) return "service-name-wrong-type";
    return attribute.text.empty() ? "empty-service-name" : std::string_view(attribute.text);
  }
  return "missing-service-name";
}

const char* MissingText(std::string_view reason) {
  if (reason == "still_open") return "it has not ended yet";
  if (reason == "late") return "it has not arrived yet";
  if (reason == "other_host") return "it is in a process that does not report here";
  if (reason == "lost") return "it was lost, a process of this trace lost spans meanwhile";
  return "it was never received, and no process told of a loss";
}

void AppendReference(const char* type, std::string_view trace_id, const SpanId& span_id, std::string* out) {
  if (out->back() == '}') *out += ',';
  *out += "{\"refType\":\"";
  *out += type;
  *out += "\",\"traceID\":\"";
  *out += trace_id;
  *out += "\",\"spanID\":\"" + span_id.ToHex() + "\"}";
}

}  // namespace

JaegerTraceWriter::JaegerTraceWriter(const core::TraceCopy* trace)
    : trace_(*trace), trace_id_(trace->summary.trace_id.ToHex()) {
  core::analysis::BuildTree(trace_, &marks_);
  for (const core::MissingSpan& missing : trace_.missing) missing_[missing.id.value] = &missing;
}

std::vector<std::string> JaegerTraceWriter::TraceWarnings() const {
  std::vector<std::string> warnings;
  if (trace_.summary.truncated > 0) {
    warnings.push_back("this trace is cut: its limits kept " + Plural(trace_.summary.truncated, "span") + " out");
  }
  for (std::size_t i = 0; i < std::min(trace_.losses.size(), kMaxLossWarnings); ++i) {
    const core::TraceLoss& loss = trace_.losses[i];
    warnings.push_back("meanwhile process " + loss.process + " of " + loss.service + " lost " +
                       (loss.spans == 0 ? "what it had not sent" : Plural(loss.spans, "span")) + " (" + loss.reason +
                       ")");
  }
  if (trace_.losses.size() > kMaxLossWarnings) {
    warnings.push_back(std::to_string(trace_.losses.size() - kMaxLossWarnings) + " more losses meanwhile");
  }
  return warnings;
}

// What holds for the whole trace stands at its first span: Jaeger UI shows no others.
std::vector<std::string> JaegerTraceWriter::SpanWarnings(std::size_t index) const {
  const SpanCopy& span = trace_.spans[index];
  std::vector<std::string> warnings;
  if (index == 0) warnings = TraceWarnings();
  const core::SpanAnalysis& mark = marks_.spans[index];
  if (mark.orphan) {
    const auto known = missing_.find(span.parent_id.value);
    warnings.push_back("parent span " + span.parent_id.ToHex() + " is not here: " +
                       MissingText(known != missing_.end() ? known->second->reason : "not_received"));
  }
  if (mark.cycle) warnings.emplace_back("its parent is its own descendant");
  if (mark.skewed && mark.parent != core::kNoSpan) {
    const std::int64_t early_ns = marks_.spans[mark.parent].offset_ns - mark.offset_ns;
    warnings.push_back((early_ns > 0 ? "clock skew: begins " + DurationText(early_ns) + " before its parent"
                                     : std::string("clock skew: ends after its parent in another process though it is "
                                                   "short enough to fit")) +
                       "; times are shown as they were recorded");
  }
  const auto dropped = [&](std::uint32_t count, const char* what) {
    if (count > 0) warnings.push_back("the program dropped " + Plural(count, what) + " of this span");
  };
  dropped(span.dropped_attributes, "attribute");
  dropped(span.dropped_events, "event");
  dropped(span.dropped_links, "link");
  return warnings;
}

void JaegerTraceWriter::AppendTags(const SpanCopy& span, std::string* out) const {
  KeyValues tags(out);
  if (!span.scope.empty()) tags.Text("otel.scope.name", span.scope);
  for (const AttributeCopy& attribute : span.attributes) tags.Attribute(attribute);
  if (span.kind != core::SpanKind::kUnspecified) tags.Text("span.kind", KindText(span.kind));
  if (span.status == core::StatusCode::kOk) tags.Text("otel.status_code", "OK");
  if (span.status == core::StatusCode::kError) {
    tags.Text("otel.status_code", "ERROR");
    tags.Bool("error", true);
  }
  if (!span.status_message.empty()) tags.Text("otel.status_description", span.status_message);
  if (!span.trace_state.empty()) tags.Text("w3c.tracestate", span.trace_state);
  tags.End();
}

void JaegerTraceWriter::AppendReferences(const SpanCopy& span, std::string* out) const {
  *out += '[';
  if (span.parent_id.IsValid()) AppendReference("CHILD_OF", trace_id_, span.parent_id, out);
  for (const core::LinkView& link : span.links) {
    if (link.trace_id.IsValid() && link.span_id.IsValid())
      AppendReference("FOLLOWS_FROM", link.trace_id.ToHex(), link.span_id, out);
  }
  *out += ']';
}

void JaegerTraceWriter::AppendSpan(std::size_t index, std::string* out) const {
  const SpanCopy& span = trace_.spans[index];
  *out += "{\"traceID\":\"" + trace_id_ + "\",\"spanID\":\"" + span.span_id.ToHex() + "\",\"operationName\":";
  AppendJsonString(span.name, out);
  *out += ",\"references\":";
  AppendReferences(span, out);
  *out += ",\"startTime\":";
  AppendJsonNumber(Micros(span.start_ns), out);
  *out += ",\"duration\":";
  AppendJsonNumber(DurationNs(span) / 1000, out);
  *out += ",\"tags\":";
  AppendTags(span, out);
  *out += ",\"logs\":";
  AppendLogs(span, out);
  *out += ",\"processID\":\"p" + std::to_string(span.resource + 1) + "\",\"warnings\":";
  AppendWarnings(SpanWarnings(index), out);
  *out += '}';
}

void JaegerTraceWriter::AppendProcesses(std::string* out) const {
  *out += '{';
  for (std::size_t i = 0; i < trace_.resources.size(); ++i) {
    const auto& resource = trace_.resources[i];
    *out += (i == 0 ? "\"p" : ",\"p") + std::to_string(i + 1) + "\":{\"serviceName\":";
    AppendJsonString(ServiceName(resource), out);
    *out += ",\"tags\":";
    KeyValues tags(out);
    for (const AttributeCopy& attribute : resource) {
      if (attribute.key != "service.name") tags.Attribute(attribute);
    }
    tags.End();
    *out += '}';
  }
  *out += '}';
}

bool JaegerTraceWriter::Append(std::size_t size, std::string* out) {
  if (next_ == 0) *out += "{\"traceID\":\"" + trace_id_ + "\",\"spans\":[";
  do {
    if (next_ > 0) *out += ',';
    AppendSpan(next_, out);
  } while (++next_ < trace_.spans.size() && out->size() < size);
  if (next_ < trace_.spans.size()) return true;
  *out += "],\"processes\":";
  AppendProcesses(out);
  *out += ",\"warnings\":";
  AppendWarnings(TraceWarnings(), out);
  *out += '}';
  return false;
}

void AppendJaegerTrace(const core::TraceCopy& trace, std::string* out) {
  JaegerTraceWriter writer(&trace);
  while (writer.Append(SIZE_MAX, out)) {
  }
}

}  // namespace spanwatch::http
