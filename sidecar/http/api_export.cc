// GET /api/v1/export: what happened in a range of time, anonymised; or whole traces, in formats that others read.
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "sidecar/http/anonymise.h"
#include "sidecar/http/export_json.h"
#include "sidecar/http/export_stream.h"
#include "sidecar/http/health_json.h"
#include "sidecar/http/jaeger_json.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/otlp_json.h"
#include "sidecar/http/overview_json.h"
#include "sidecar/http/router.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr std::int64_t kDefaultRangeNs = 3'600'000'000'000;
constexpr std::string_view kFormat = "format";
constexpr std::string_view kProtobufType = "application/x-protobuf";

// "20240501T100000Z", for a file's name.
std::string Stamp(std::int64_t ns) {
  std::string stamp;
  for (const char c : TimeText(ns).substr(0, 19)) {
    if (c != '-' && c != ':') stamp += c;
  }
  return stamp + "Z";
}

struct Chosen {
  std::string name;  // json, otlp, otlp-protobuf, jaeger
  const char* error = nullptr;
};

Chosen ChooseFormat(const Request& request) {
  const auto [begin, end] = request.params.equal_range(std::string(kFormat));
  if (begin != end && std::next(begin) != end) return {"", "given more than once"};
  if (begin == end || begin->second.empty()) {
    return {request.accept.find(kProtobufType) != std::string::npos ? "otlp-protobuf" : "json"};
  }
  for (const std::string_view known : {"json", "otlp", "otlp-protobuf", "jaeger"}) {
    if (begin->second == known) return {begin->second};
  }
  return {"", "must be \"json\" (anonymised), \"otlp\", \"otlp-protobuf\" or \"jaeger\""};
}

// A parameter that was left empty is none.
bool Given(const Params& params, const std::string& name) {
  const auto [begin, end] = params.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (!it->second.empty()) return true;
  }
  return false;
}

// What stands before the traces tells of now, whatever the range.
ExportStream::Format AnonymousFormat(const Hooks& hooks, std::int64_t now_ns, const core::TraceQuery& query) {
  const auto names = std::make_shared<const Anonymiser>();
  const core::HealthView health = hooks.engine->GetHealth();
  OverviewQuery whole;
  whole.limit = kMaxOverviewLimit;
  std::string before = "{\"generatedAt\":";
  AppendJsonString(TimeText(now_ns), &before);
  before += ",\"version\":";
  AppendJsonString(hooks.version, &before);
  before += ",\"anonymised\":true,\"range\":{\"start\":";
  AppendJsonString(TimeText(query.start_ns), &before);
  before += ",\"end\":";
  AppendJsonString(TimeText(query.end_ns), &before);
  before += "},\"overview\":" + names->Json(OverviewJson(hooks.engine->GetOverview(), health, whole));
  before += ",\"health\":" + names->Json(ServicesJson(health, std::nullopt));
  before += ",\"dependencies\":" + names->Json(DependenciesJson(hooks.engine->GetDependencies()));
  before += ",\"traces\":[";
  return {std::move(before), ",", "]}\n",
          [names](const core::TraceCopy& trace, std::string* out) { AppendAnonymousTrace(trace, *names, out); }};
}

}  // namespace

void Router::Export(const Request& request, Response* response) const {
  const std::int64_t now_ns = hooks_.now_ns ? hooks_.now_ns() : 0;
  const Chosen chosen = ChooseFormat(request);
  if (chosen.error != nullptr) return Fail(response, 400, chosen.error, kFormat);
  auto query = ParseTraceQuery(request.params, now_ns, kFormat);
  if (!query) return Fail(response, 400, query.error().error, query.error().field);
  if (!Given(request.params, "end")) query->end_ns = now_ns;
  if (!Given(request.params, "start")) query->start_ns = query->end_ns - kDefaultRangeNs;
  if (query->start_ns > query->end_ns) return Fail(response, 400, "start lies after end", "start");
  if (!Given(request.params, "limit")) query->limit = SIZE_MAX;
  ExportStream::Format format;
  std::string ending = "json";
  if (chosen.name == "otlp") {
    format = {"{\"resourceSpans\":[", ",", "]}\n", AppendOtlpJson};
  } else if (chosen.name == "otlp-protobuf") {
    if (!hooks_.encode_otlp) return Fail(response, 503, "no encoder for this format is set up");
    format = {"", "", "",
              [encode = hooks_.encode_otlp](const core::TraceCopy& trace, std::string* out) { *out += encode(trace); }};
    response->content_type = kProtobufType;
    ending = "pb";
  } else if (chosen.name == "jaeger") {
    format = {"{\"data\":[", ",", "]}\n", AppendJaegerTrace};
  } else {
    format = AnonymousFormat(hooks_, now_ns, *query);
  }
  std::vector<TraceId> ids;
  for (const core::TraceSummary& trace : hooks_.engine->FindTraces(*query)) ids.push_back(trace.trace_id);
  response->headers.emplace_back("Content-Disposition", "attachment; filename=\"spanwatch-" + chosen.name + "-" +
                                                            Stamp(now_ns) + "." + ending + "\"");
  response->stream = std::make_shared<ExportStream>(hooks_.engine, std::move(ids), std::move(format));
}

}  // namespace spanwatch::http
