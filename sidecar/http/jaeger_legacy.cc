// /api/services, /api/operations, /api/traces, /api/dependencies: what Grafana's Jaeger data source asks for.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "sidecar/core/health_view.h"
#include "sidecar/http/jaeger_params.h"
#include "sidecar/http/jaeger_parts.h"

namespace spanwatch::http::jaeger {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kServices = "/api/services";
constexpr std::string_view kOperations = "/operations";
constexpr std::string_view kTraces = "/api/traces";
constexpr double kMaxCount = 9e15;  // an integer that every reader keeps

void Answer(Json data, std::size_t total, Response* response) {
  const Json envelope = {{"data", std::move(data)}, {"total", total}, {"limit", 0}, {"offset", 0}, {"errors", nullptr}};
  response->body = envelope.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Services(const Call& call) {
  Json names = ServiceNames(call.engine);
  const std::size_t total = names.size();
  Answer(std::move(names), total, call.response);
}

void OperationsOf(const Call& call, std::string_view service) {
  Json names = Json::array();
  for (const core::OperationNames& each : FindOperations(call.engine, service, std::nullopt))
    names.push_back(each.operation);
  const std::size_t total = names.size();
  Answer(std::move(names), total, call.response);
}

void Operations(const Call& call) {
  const std::string_view service = First(call.request.params, "service");
  if (service.empty()) return FailLegacy(400, "parameter 'service' is required", call.response);
  std::optional<core::SpanKind> kind;
  if (const std::string_view text = First(call.request.params, "spanKind"); !text.empty()) {
    kind = ParseKind(text);
    if (!kind) {
      return FailLegacy(400,
                        "unable to parse param 'spanKind': must be server, client, producer, consumer, internal or "
                        "unspecified",
                        call.response);
    }
  }
  Json list = Json::array();
  for (const core::OperationNames& each : FindOperations(call.engine, service, kind)) {
    for (const core::SpanKind one : each.kinds) list.push_back({{"name", each.operation}, {"spanKind", KindName(one)}});
  }
  const std::size_t total = list.size();
  Answer(std::move(list), total, call.response);
}

void Search(const Call& call) {
  auto search = ParseLegacySearch(call.request.params, call.now_ns);
  if (!search) return FailLegacy(400, search.error(), call.response);
  const bool by_id = !search->trace_ids.empty();
  std::vector<TraceId> ids = std::move(search->trace_ids);
  if (!by_id) {
    for (const core::TraceSummary& summary : call.engine.FindTraces(search->query)) ids.push_back(summary.trace_id);
  }
  Send(StreamTraces(call.engine, TraceFormat::kJaeger, std::move(ids), std::nullopt, by_id), call.response);
}

// `start` and `end` are not looked at: Grafana sends ms where Jaeger's server takes us, and an id says enough.
void OneTrace(const Call& call, std::string_view text) {
  const auto id = ParseTraceId(text);
  if (!id) return FailLegacy(400, id.error(), call.response);
  auto trace = call.engine.GetTrace(*id);
  if (!trace || trace->spans.empty()) return FailLegacy(404, "trace not found", call.response);
  Send(StreamTraces(call.engine, TraceFormat::kJaeger, {*id}, std::move(trace), false), call.response);
}

void Dependencies(const Call& call) {
  if (const auto checked = CheckDependencies(call.request.params); !checked)
    return FailLegacy(400, checked.error(), call.response);
  const std::string_view service = First(call.request.params, "service");
  Json links = Json::array();
  for (const core::Dependency& edge : call.engine.GetDependencies().edges) {
    if (!service.empty() && edge.client != service && edge.server != service) continue;
    if (!(edge.calls > 0)) continue;
    const auto count = static_cast<std::int64_t>(std::clamp(std::round(edge.calls), 1.0, kMaxCount));
    links.push_back({{"parent", edge.client}, {"child", edge.server}, {"callCount", count}});
  }
  Answer(std::move(links), 0, call.response);
}

}  // namespace

void AnswerLegacy(const Call& call) {
  const std::string_view path = call.request.path;
  if (path == kServices) return Services(call);
  if (path == "/api/operations") return Operations(call);
  if (path == kTraces) return Search(call);
  if (path == "/api/dependencies") return Dependencies(call);
  if (path.starts_with(kServices) && path.ends_with(kOperations)) {
    return OperationsOf(call,
                        path.substr(kServices.size() + 1, path.size() - kServices.size() - 1 - kOperations.size()));
  }
  if (path.starts_with(kTraces)) return OneTrace(call, path.substr(kTraces.size() + 1));
  FailLegacy(404, "no such path", call.response);
}

}  // namespace spanwatch::http::jaeger
