// /api/metrics: the Monitor tab of Jaeger UI. One metric family an answer; without Jaeger's envelope.
#include <algorithm>
#include <string>

#include "sidecar/core/overview_view.h"
#include "sidecar/http/jaeger_params.h"
#include "sidecar/http/jaeger_parts.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http::jaeger {
namespace {

using Point = core::Series::Point;

constexpr std::int64_t kMinStepMs = 60'000;        // the figures are kept by the minute
constexpr std::int64_t kMaxAllPoints = 1'000'000;  // of all series of one answer

struct Family {
  std::string_view type;  // in the path
  const char* name;       // after "service_" or "service_operation_"
  const char* help;       // before ", grouped by ..."
  double (*value)(const Point&);
  bool of_calls;  // means nothing where there were none
};

constexpr double kMsOfNs = 1e-6;
constexpr Family kFamilies[] = {
    {"latencies", "latencies", "quantile latency in ms", [](const Point& p) { return p.quantile_ns * kMsOfNs; }, true},
    {"calls", "call_rate", "calls/sec", [](const Point& p) { return p.calls_per_s; }, false},
    {"errors", "error_rate", "error rate, computed as a fraction of errors/sec over calls/sec",
     [](const Point& p) { return p.errors_per_s / p.calls_per_s; }, true},
};

void AppendLabel(std::string_view name, std::string_view value, std::string* out) {
  *out += "{\"name\":";
  AppendJsonString(name, out);
  *out += ",\"value\":";
  AppendJsonString(value, out);
  *out += '}';
}

void AppendPoint(const Family& family, const Point& point, std::string* out) {
  *out += "{\"gaugeValue\":{\"doubleValue\":";
  if (family.of_calls && !(point.calls_per_s > 0)) {
    *out += "\"NaN\"";  // Jaeger's JSON of 0/0: the UI leaves a gap
  } else {
    AppendJsonNumber(family.value(point), out);
  }
  *out += "},\"timestamp\":\"" + TimeText(point.at_ns) + "\"}";
}

// From the first call on. False: there was none.
bool AppendSeries(const Family& family, const core::Series& series, bool comma, std::string* out) {
  const auto begin = std::find_if(series.points.begin(), series.points.end(),
                                  [](const Point& point) { return point.calls_per_s > 0; });
  if (begin == series.points.end()) return false;
  *out += comma ? ",{\"labels\":[" : "{\"labels\":[";
  if (!series.operation.empty()) {
    AppendLabel("operation", series.operation, out);
    *out += ',';
  }
  AppendLabel("service_name", series.service, out);
  *out += "],\"metricPoints\":[";
  for (auto point = begin; point != series.points.end(); ++point) {
    if (point != begin) *out += ',';
    AppendPoint(family, *point, out);
  }
  *out += "]}";
  return true;
}

std::string FamilyJson(const Family& family, const core::SeriesQuery& query, const std::vector<core::Series>& series) {
  std::string out = "{\"name\":\"service_";
  out += query.by_operation ? "operation_" : "";
  out += family.name;
  out += "\",\"type\":\"GAUGE\",\"help\":\"";
  if (family.type == "latencies") {
    AppendJsonNumber(query.quantile, &out);
    out += "th ";
  }
  out += family.help;
  out +=
      query.by_operation ? ", grouped by service & operation\",\"metrics\":[" : ", grouped by service\",\"metrics\":[";
  bool any = false;
  for (const core::Series& each : series) any = AppendSeries(family, each, any, &out) || any;
  return out + "]}";
}

// How many series the answer would have.
std::size_t CountSeries(const core::Engine& engine, const core::SeriesQuery& query) {
  if (!query.by_operation) return query.services.size();
  std::size_t count = 0;
  for (const core::OperationNames& each : engine.GetOperations())
    count += std::find(query.services.begin(), query.services.end(), each.service) != query.services.end() ? 1 : 0;
  return count;
}

}  // namespace

void AnswerMetrics(const Call& call) {
  const std::string_view path = call.request.path;
  const std::string_view type = path.substr(path.rfind('/') + 1);
  if (type == "minstep") {
    call.response->body =
        "{\"data\":" + std::to_string(kMinStepMs) + ",\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}";
    return;
  }
  const Family* family =
      std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const Family& each) { return each.type == type; });
  if (family == std::end(kFamilies))
    return FailLegacy(404, "no such metric: latencies, calls, errors and minstep are here", call.response);
  const auto query = ParseMetrics(call.request.params, type == "latencies", call.now_ns);
  if (!query) return FailLegacy(400, query.error(), call.response);
  const auto count = static_cast<std::int64_t>(CountSeries(call.engine, *query));
  if (count * (query->lookback_ns / query->step_ns + 1) > kMaxAllPoints) {
    return FailLegacy(400, "unable to parse param 'step': too many points, take a longer step or a shorter lookback",
                      call.response);
  }
  call.response->body = FamilyJson(*family, *query, call.engine.GetSeries(*query));
}

}  // namespace spanwatch::http::jaeger
