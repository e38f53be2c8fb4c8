// /api/v3: what newer Jaeger UIs ask for. Traces are OTLP/JSON.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "sidecar/http/jaeger_params.h"
#include "sidecar/http/jaeger_parts.h"

namespace spanwatch::http::jaeger {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTraces = "/api/v3/traces";
constexpr const char* kNoTraces = "No traces found";

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void FailV3(int status, std::string_view text, Response* response) {
  response->status = status;
  response->body = Dump({{"error", {{"httpCode", status}, {"message", text}}}});
}

void Services(const Call& call) { call.response->body = Dump({{"services", ServiceNames(call.engine)}}); }

void Operations(const Call& call) {
  const Params& params = call.request.params;
  const std::string_view service = First(params, "service");
  if (service.empty()) return FailV3(400, "parameter service is required", call.response);
  std::string_view kind_text = First(params, "spanKind");
  if (kind_text.empty()) kind_text = First(params, "span_kind");
  std::optional<core::SpanKind> kind;
  if (!kind_text.empty()) {
    kind = ParseKind(kind_text);
    if (!kind) return FailV3(400, "malformed parameter spanKind: unknown kind", call.response);
  }
  Json list = Json::array();
  for (const core::OperationNames& each : FindOperations(call.engine, service, kind)) {
    for (const core::SpanKind one : each.kinds) {
      const std::string_view name = KindName(one);
      list.push_back({{"name", each.operation}, {"spanKind", name.empty() ? "internal" : name}});
    }
  }
  call.response->body = Dump({{"operations", std::move(list)}});
}

void Traces(const Call& call) {
  const auto query = ParseV3Search(call.request.params);
  if (!query) return FailV3(400, query.error(), call.response);
  std::vector<TraceId> ids;
  for (const core::TraceSummary& summary : call.engine.FindTraces(*query)) ids.push_back(summary.trace_id);
  std::optional<core::TraceCopy> first;
  while (!ids.empty() && !first) {
    first = call.engine.GetTrace(ids.front());
    if (!first || first->spans.empty()) {  // gone meanwhile
      first.reset();
      ids.erase(ids.begin());
    }
  }
  if (!first) return FailV3(404, kNoTraces, call.response);
  Send(StreamTraces(call.engine, TraceFormat::kOtlp, std::move(ids), std::move(first), false), call.response);
}

// Times are not looked at: an id says enough.
void OneTrace(const Call& call, std::string_view text) {
  const auto id = ParseTraceIdV3(text);
  if (!id) return FailV3(400, "malformed parameter trace_id: " + id.error(), call.response);
  for (const char* name : {"rawTraces", "raw_traces"}) {
    const std::string_view raw = First(call.request.params, name);
    if (!raw.empty() && !ParseGoBool(raw))
      return FailV3(400, std::string("malformed parameter ") + name + ": must be true or false", call.response);
  }
  auto trace = call.engine.GetTrace(*id);
  if (!trace || trace->spans.empty()) return FailV3(404, kNoTraces, call.response);
  Send(StreamTraces(call.engine, TraceFormat::kOtlp, {*id}, std::move(trace), false), call.response);
}

std::string UnixNano(std::int64_t ns) { return std::to_string(std::max<std::int64_t>(ns, 0)); }

Json SummaryJson(const core::TraceSummary& trace) {
  Json services = Json::array();
  for (const auto& service : trace.services) {
    services.push_back({{"name", service.name}, {"spanCount", service.spans}, {"errorSpanCount", service.errors}});
  }
  std::int64_t end_ns = 0;
  if (__builtin_add_overflow(trace.start_ns, trace.duration_ns, &end_ns)) end_ns = INT64_MAX;
  return {{"traceId", trace.trace_id.ToHex()},
          {"rootServiceName", trace.root_service},
          {"rootOperationName", trace.root_operation},
          {"minStartTimeUnixNano", UnixNano(trace.start_ns)},
          {"maxEndTimeUnixNano", UnixNano(end_ns)},
          {"spanCount", trace.span_count},
          {"errorSpanCount", trace.error_count},
          {"orphanSpanCount", trace.orphans},
          {"services", std::move(services)}};
}

void Summaries(const Call& call) {
  const auto query = ParseV3Search(call.request.params);
  if (!query) return FailV3(400, query.error(), call.response);
  Json list = Json::array();
  for (const core::TraceSummary& summary : call.engine.FindTraces(*query)) list.push_back(SummaryJson(summary));
  call.response->body = Dump({{"summaries", std::move(list)}});
}

}  // namespace

void AnswerV3(const Call& call) {
  const std::string_view path = call.request.path;
  if (path == "/api/v3/services") return Services(call);
  if (path == "/api/v3/operations") return Operations(call);
  if (path == "/api/v3/trace-summaries") return Summaries(call);
  if (path == kTraces) return Traces(call);
  if (path.starts_with(kTraces)) return OneTrace(call, path.substr(kTraces.size() + 1));
  FailV3(404, "no such path", call.response);
}

}  // namespace spanwatch::http::jaeger
