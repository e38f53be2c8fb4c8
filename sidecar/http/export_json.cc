#include "sidecar/http/export_json.h"

#include <cstdint>
#include <string_view>

#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

void AppendText(std::string_view key, std::string_view text, std::string* out) {
  *out += key;
  AppendJsonString(text, out);
}

void AppendCount(std::string_view key, std::uint32_t count, std::string* out) {
  *out += key;
  AppendJsonNumber(std::int64_t{count}, out);
}

void AppendSpan(const core::SpanCopy& span, std::int64_t start_ns, const Anonymiser& names, std::string* out) {
  *out += "{\"id\":\"" + names.Id(span.span_id) + "\",\"parent\":";
  *out += span.parent_id.IsValid() ? '"' + names.Id(span.parent_id) + '"' : "null";
  AppendText(",\"service\":", span.service, out);
  AppendText(",\"operation\":", Anonymiser::Operation(span.name), out);
  *out += ",\"kind\":\"";
  *out += KindText(span.kind);
  *out += "\",\"offset\":";
  AppendMs(span.start_ns - start_ns, out);
  *out += ",\"duration\":";
  AppendMs(span.end_ns - span.start_ns, out);
  *out += span.status == core::StatusCode::kError ? ",\"status\":\"error\"" : ",\"status\":\"success\"";
  AppendCount(",\"depth\":", span.depth, out);
  *out += '}';
}

}  // namespace

void AppendAnonymousTrace(const core::TraceCopy& trace, const Anonymiser& names, std::string* out) {
  const core::TraceSummary& summary = trace.summary;
  *out += "{\"id\":\"" + names.Id(summary.trace_id) + '"';
  AppendText(",\"rootService\":", summary.root_service, out);
  AppendText(",\"rootOperation\":", Anonymiser::Operation(summary.root_operation), out);
  *out += ",\"startTime\":";
  AppendMs(summary.start_ns, out);
  *out += ",\"duration\":";
  AppendMs(summary.duration_ns, out);
  *out += summary.error_count > 0 ? ",\"status\":\"error\"" : ",\"status\":\"success\"";
  AppendCount(",\"spanCount\":", summary.span_count, out);
  AppendCount(",\"errorCount\":", summary.error_count, out);
  AppendCount(",\"maxDepth\":", summary.depth, out);
  *out += summary.complete ? ",\"complete\":true" : ",\"complete\":false";
  *out += ",\"services\":[";
  for (const core::TraceSummary::Service& service : summary.services) {
    AppendText(&service == &summary.services.front() ? "{\"name\":" : ",{\"name\":", service.name, out);
    AppendCount(",\"spans\":", service.spans, out);
    AppendCount(",\"errors\":", service.errors, out);
    *out += '}';
  }
  *out += "],\"timeline\":[";
  for (const core::SpanCopy& span : trace.spans) {
    if (&span != &trace.spans.front()) *out += ',';
    AppendSpan(span, summary.start_ns, names, out);
  }
  *out += "]}";
}

}  // namespace spanwatch::http
