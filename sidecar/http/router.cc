#include "sidecar/http/router.h"

#include <cstdint>
#include <random>

#include "sidecar/http/analysis_json.h"
#include "sidecar/http/api_json.h"
#include "sidecar/http/page.h"
#include "spanwatch/ids.h"

namespace spanwatch::http {
namespace {

constexpr std::size_t kIndexTraces = 25;
constexpr std::string_view kAnalysisPath = "/analysis";

void Fail(Response* response, int status, std::string_view error, std::string_view field = {}) {
  response->status = status;
  response->content_type = "application/json";
  response->body = ErrorJson(error, field);
}

// A page may load and run nothing but its own style element.
std::string MakePage(Response* response) {
  std::random_device random;
  const std::string nonce =
      TraceId{std::uint64_t{random()} << 32 | random(), std::uint64_t{random()} << 32 | random()}.ToHex();
  response->content_type = "text/html; charset=utf-8";
  response->headers.emplace_back("Content-Security-Policy",
                                 "default-src 'none'; style-src 'nonce-" + nonce +
                                     "'; img-src data:; base-uri 'none'; form-action 'none'; "
                                     "frame-ancestors 'none'");
  response->headers.emplace_back("X-Frame-Options", "DENY");
  response->headers.emplace_back("Referrer-Policy", "no-referrer");
  return nonce;
}

std::string_view LastPart(const std::string& path) { return std::string_view(path).substr(path.rfind('/') + 1); }

}  // namespace

bool IsUrgent(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/metrics" || path == "/healthz" || path == "/readyz" || path.starts_with("/-/");
}

const Router::Route Router::kRoutes[] = {
    {"/", false, "GET", "/", &Router::Index},
    {"/trace/", true, "GET", "/trace/{id}", &Router::TraceHtml},
    {"/metrics", false, "GET", "/metrics", &Router::Metrics},
    {"/healthz", false, "GET", "/healthz", &Router::Health},
    {"/-/healthy", false, "GET", "/-/healthy", &Router::Health},
    {"/readyz", false, "GET", "/readyz", &Router::Ready},
    {"/-/ready", false, "GET", "/-/ready", &Router::Ready},
    {"/-/reload", false, "POST", "/-/reload", &Router::Reload},
    {"/api/v1/stats", false, "GET", "/api/v1/stats", &Router::Stats},
    {"/api/v1/traces", false, "GET", "/api/v1/traces", &Router::Traces},
    {"/api/v1/traces/", true, "GET", "/api/v1/traces/{id}", &Router::OneTrace},
    {"/api/v1/traces/", true, "GET", "/api/v1/traces/{id}/analysis", &Router::Analysis, kAnalysisPath},
    {"/api/v1/alerts", false, "GET", "/api/v1/alerts", &Router::Alerts},
    {"/api/v1/rules", false, "GET", "/api/v1/rules", &Router::Rules},
    {"/api/v1/status", false, "GET", "/api/v1/status", &Router::Status},
};

// A prefix route takes one more part of the path and its suffix, not a tree below it.
bool Router::Matches(const Route& route, std::string_view path) {
  if (!route.prefix) return path == route.path;
  if (!path.starts_with(route.path) || !path.ends_with(route.suffix)) return false;
  if (path.size() <= route.path.size() + route.suffix.size()) return false;
  path.remove_prefix(route.path.size());
  path.remove_suffix(route.suffix.size());
  return path.find('/') == std::string_view::npos;
}

Router::Router(const Options& options, Hooks hooks)
    : hooks_(std::move(hooks)), access_(options.host, options.external_url, options.allowed_hosts) {}

Response Router::Handle(const Request& request) const {
  Response response;
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const Route* found = nullptr;
  for (const Route& route : kRoutes) {
    if (Matches(route, request.path)) found = &route;
  }
  if (found != nullptr) response.handler = found->name;
  if (const auto refusal = access_.Refuse(request.host, request.origin, !reads)) {
    Fail(&response, 403, *refusal);
  } else if (found == nullptr) {
    Fail(&response, 404, "no such path; GET / lists what is here");
  } else if (reads != (found->method == "GET") || (!reads && request.method != found->method)) {
    Fail(&response, 405, "this path takes " + std::string(found->method));
    response.headers.emplace_back("Allow", found->method == "GET" ? "GET, HEAD" : std::string(found->method));
  } else {
    (this->*found->handle)(request, &response);
  }
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

void Router::Index(const Request&, Response* response) const {
  core::TraceQuery query;
  query.limit = kIndexTraces;
  const std::string nonce = MakePage(response);
  response->body =
      IndexPage(hooks_.engine->Stats(), hooks_.engine->FindTraces(query), hooks_.engine->Incidents(), nonce);
}

void Router::TraceHtml(const Request& request, Response* response) const {
  const std::string_view id = LastPart(request.path);
  TraceId trace_id;
  const auto trace = TraceId::FromHex(id, &trace_id) ? hooks_.engine->GetTrace(trace_id) : std::nullopt;
  const std::string nonce = MakePage(response);
  if (trace) {
    response->body = TracePage(*trace, nonce);
  } else {
    response->status = 404;
    response->body = MissingTracePage(id, hooks_.engine->Stats().store, nonce);
  }
}

void Router::Metrics(const Request& request, Response* response) const {
  if (!hooks_.metrics) return Fail(response, 503, "no metrics are set up");
  response->body = hooks_.metrics(request.accept, &response->content_type);
}

void Router::Health(const Request&, Response* response) const {
  response->content_type = "text/plain; charset=utf-8";
  response->body = "ok\n";
}

void Router::Ready(const Request&, Response* response) const {
  const bool ready = !hooks_.ready || hooks_.ready();
  response->content_type = "text/plain; charset=utf-8";
  response->status = ready ? 200 : 503;
  response->body = ready ? "ready\n" : "not ready\n";
}

void Router::Reload(const Request& request, Response* response) const {
  if (request.has_body) return Fail(response, 400, "POST /-/reload takes no body", "body");
  if (!hooks_.reload) return Fail(response, 503, "reload is not set up");
  const auto result = hooks_.reload();
  if (!result) return Fail(response, 500, result.error());
  response->body = "{\"reloaded\":true}\n";
}

void Router::Stats(const Request&, Response* response) const {
  response->body = StatsJson(hooks_.engine->Stats(), hooks_.engine->StatsAtStart());
}

void Router::Traces(const Request& request, Response* response) const {
  const auto query = ParseTraceQuery(request.params, hooks_.now_ns ? hooks_.now_ns() : 0);
  if (!query) return Fail(response, 400, query.error().error, query.error().field);
  response->body = TracesJson(hooks_.engine->FindTraces(*query));
}

std::optional<core::TraceCopy> Router::FindTrace(std::string_view hex, Response* response) const {
  TraceId id;
  if (!TraceId::FromHex(hex, &id)) {
    Fail(response, 400, "must have 32 hexadecimal digits, not all of them 0", "id");
    return std::nullopt;
  }
  auto trace = hooks_.engine->GetTrace(id);
  if (!trace) Fail(response, 404, "this trace is not stored: removed by a limit, or never here", "id");
  return trace;
}

void Router::OneTrace(const Request& request, Response* response) const {
  if (const auto trace = FindTrace(LastPart(request.path), response)) response->body = TraceJson(*trace);
}

void Router::Analysis(const Request& request, Response* response) const {
  const std::string path = request.path.substr(0, request.path.size() - kAnalysisPath.size());
  const auto trace = FindTrace(LastPart(path), response);
  if (!trace) return;
  const auto options = hooks_.analysis_options ? hooks_.analysis_options() : core::AnalysisOptions();
  response->body = AnalysisJson(*trace, core::Analyse(*trace, options));
}

void Router::Alerts(const Request& request, Response* response) const {
  std::string state;
  for (const auto& [name, value] : request.params) {
    if (name != "state") return Fail(response, 400, "unknown parameter: state is known", name);
    if (value != "pending" && value != "firing" && value != "resolved") {
      return Fail(response, 400, "must be \"pending\", \"firing\" or \"resolved\"", name);
    }
    state = value;
  }
  response->body = AlertsJson(hooks_.engine->Incidents(), state);
}

void Router::Rules(const Request&, Response* response) const {
  const auto rules = hooks_.engine->Rules();
  response->body = RulesJson(rules ? *rules : core::RuleSet(), hooks_.engine->Incidents());
}

void Router::Status(const Request&, Response* response) const {
  response->body = hooks_.status_json ? hooks_.status_json() : "{}";
}

}  // namespace spanwatch::http
