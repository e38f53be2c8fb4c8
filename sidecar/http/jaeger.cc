#include "sidecar/http/jaeger.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/http/jaeger_params.h"
#include "sidecar/http/jaeger_parts.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace jaeger {

void FailLegacy(int status, std::string_view text, Response* response) {
  response->status = status;
  response->body = "{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{\"code\":";
  AppendJsonNumber(std::int64_t{status}, &response->body);
  response->body += ",\"msg\":";
  AppendJsonString(text, &response->body);
  response->body += "}]}";
}

std::string_view KindName(core::SpanKind kind) {
  return kind == core::SpanKind::kUnspecified ? std::string_view() : KindText(kind);
}

std::vector<core::OperationNames> FindOperations(const core::Engine& engine, std::string_view service,
                                                 std::optional<core::SpanKind> kind) {
  std::vector<core::OperationNames> all = engine.GetOperations();
  std::erase_if(all, [&](const core::OperationNames& each) {
    return (!service.empty() && each.service != service) ||
           (kind && std::find(each.kinds.begin(), each.kinds.end(), *kind) == each.kinds.end());
  });
  if (kind) {
    for (core::OperationNames& each : all) each.kinds = {*kind};
  }
  return all;
}

std::vector<std::string> ServiceNames(const core::Engine& engine) {
  std::vector<std::string> names;  // sorted, as operations are
  for (core::OperationNames& each : engine.GetOperations()) {
    if (names.empty() || names.back() != each.service) names.push_back(std::move(each.service));
  }
  return names;
}

}  // namespace jaeger

namespace {

// Jaeger's `prettyPrint`, for people. Answers that are streamed stay as they are.
void Indent(const Request& request, Response* response) {
  const std::string_view wanted = jaeger::First(request.params, "prettyPrint");
  if (wanted.empty() || wanted == "false" || response->body.empty()) return;
  const auto json = nlohmann::ordered_json::parse(response->body, nullptr, false);
  if (!json.is_discarded()) response->body = json.dump(4) + "\n";
}

}  // namespace

void AnswerJaeger(const core::Engine& engine, std::int64_t now_ns, const Request& request, Response* response) {
  const jaeger::Call call{engine, now_ns, request, response};
  if (request.path.starts_with("/api/v3/")) return jaeger::AnswerV3(call);
  if (request.path.starts_with("/api/metrics/")) {
    jaeger::AnswerMetrics(call);
  } else {
    jaeger::AnswerLegacy(call);
  }
  Indent(request, response);
}

}  // namespace spanwatch::http
