#include "sidecar/http/router.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "sidecar/http/analysis_json.h"
#include "sidecar/http/api_json.h"
#include "sidecar/http/events.h"
#include "sidecar/http/jaeger.h"
#include "sidecar/http/page.h"
#include "spanwatch/ids.h"

namespace spanwatch::http {
namespace {

constexpr std::size_t kIndexTraces = 25;
constexpr std::string_view kAnalysisPath = "/analysis";

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

// Handlers that have no parameters.
constexpr std::string_view kWithoutParams[] = {
    "/api/v1/stats",  "/api/v1/traces/{id}",  "/api/v1/traces/{id}/analysis",     "/api/v1/rules",
    "/api/v1/status", "/api/v1/openapi.json", "/api/v1/alerts/{fingerprint}/why", "/api/v1/silences/{id}"};

const std::string* UnknownParam(std::string_view handler, const Params& params) {
  if (std::find(std::begin(kWithoutParams), std::end(kWithoutParams), handler) == std::end(kWithoutParams))
    return nullptr;
  return params.empty() ? nullptr : &params.begin()->first;
}

bool IsEmpty(const Params::value_type& param) { return param.second.empty(); }

// Ids are µs of the start and up: greater than those of a run before, and exact in JavaScript.
std::shared_ptr<EventHub> MakeEvents(const Hooks& hooks) {
  EventOptions options;
  options.version = hooks.version;
  if (hooks.now_ns) options.first_id = static_cast<std::uint64_t>(std::max<std::int64_t>(1, hooks.now_ns() / 1000));
  return std::make_shared<EventHub>(hooks.engine, std::move(options));
}

std::string_view LastPart(const std::string& path) { return std::string_view(path).substr(path.rfind('/') + 1); }

}  // namespace

void Fail(Response* response, int status, std::string_view error, std::string_view field) {
  response->status = status;
  response->content_type = "application/json";
  response->body = ErrorJson(error, field);
}

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
    {"/api/v1/alerts/", true, "GET", "/api/v1/alerts/{fingerprint}/why", &Router::Why, "/why"},
    {"/api/v1/silences", false, "GET", "/api/v1/silences", &Router::Silences},
    {"/api/v1/silences", false, "POST", "/api/v1/silences", &Router::SetSilence},
    {"/api/v1/silences/", true, "GET", "/api/v1/silences/{id}", &Router::OneSilence},
    {"/api/v1/silences/", true, "DELETE", "/api/v1/silences/{id}", &Router::ExpireSilence},
    {"/api/v1/rules", false, "GET", "/api/v1/rules", &Router::Rules},
    {"/api/v1/status", false, "GET", "/api/v1/status", &Router::Status},
    {"/api/v1/overview", false, "GET", "/api/v1/overview", &Router::Overview},
    {"/api/v1/services", false, "GET", "/api/v1/services", &Router::Services},
    {"/api/v1/dependencies", false, "GET", "/api/v1/dependencies", &Router::Dependencies},
    {"/api/v1/errors", false, "GET", "/api/v1/errors", &Router::Errors},
    {"/api/v1/export", false, "GET", "/api/v1/export", &Router::Export},
    {"/api/v1/events", false, "GET", "/api/v1/events", &Router::Events},
    {"/api/v1/openapi.json", false, "GET", "/api/v1/openapi.json", &Router::OpenApi},
    {"/api/services", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/services/", true, "GET", "jaeger", &Router::Jaeger, "/operations", true},
    {"/api/operations", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/traces", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/traces/", true, "GET", "jaeger", &Router::Jaeger},
    {"/api/dependencies", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/v3/services", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/v3/operations", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/v3/traces", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/v3/traces/", true, "GET", "jaeger", &Router::Jaeger, {}, true},  // base64
    {"/api/v3/trace-summaries", false, "GET", "jaeger", &Router::Jaeger},
    {"/api/metrics/", true, "GET", "jaeger", &Router::Jaeger},
};

// A prefix route takes one more part of the path and its suffix, not a tree below it; a deep one takes all between.
bool Router::Matches(const Route& route, std::string_view path) {
  if (!route.prefix) return path == route.path;
  if (!path.starts_with(route.path) || !path.ends_with(route.suffix)) return false;
  if (path.size() <= route.path.size() + route.suffix.size()) return false;
  path.remove_prefix(route.path.size());
  path.remove_suffix(route.suffix.size());
  return route.deep || path.find('/') == std::string_view::npos;
}

Router::Router(const Options& options, Hooks hooks)
    : hooks_(std::move(hooks)),
      access_(options.host, options.external_url, options.allowed_hosts),
      events_(MakeEvents(hooks_)) {}

// Of several with that path the one that takes the method; null: no such path. `allowed`: what the path takes.
const Router::Route* Router::Find(const Request& request, std::string* allowed) {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  const Route* found = nullptr;
  for (const Route& route : kRoutes) {
    if (!Matches(route, request.path)) continue;
    if (found == nullptr || found->method != method) found = &route;
    if (!allowed->empty()) *allowed += ", ";
    *allowed += route.method;
  }
  return found;
}

Response Router::Handle(const Request& request) const {
  Response response;
  const bool reads = request.method == "GET" || request.method == "HEAD";
  std::string allowed;
  const Route* found = Find(request, &allowed);
  if (found != nullptr) response.handler = found->name;
  if (const auto refusal = access_.Refuse(request.host, request.origin, !reads)) {
    Fail(&response, 403, *refusal);
  } else if (found == nullptr) {
    Fail(&response, 404, "no such path; GET / lists what is here");
  } else if (reads != (found->method == "GET") || (!reads && request.method != found->method)) {
    Fail(&response, 405, "this path takes " + allowed);
    const std::size_t get = allowed.find("GET");
    response.headers.emplace_back("Allow", get == std::string::npos ? allowed : allowed.insert(get + 3, ", HEAD"));
  } else {
    Answer(*found, request, &response);
  }
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

void Router::Answer(const Route& route, const Request& request, Response* response) const {
  if (std::string_view(route.name).starts_with("/api/v1/") &&
      std::any_of(request.params.begin(), request.params.end(), IsEmpty)) {
    Request given = request;  // a form sends its empty fields: they are as good as none
    std::erase_if(given.params, IsEmpty);
    return Answer(route, given, response);
  }
  // Read before what it stands for: an answer may be newer than its tag, never older.
  const std::uint64_t generation = hooks_.engine != nullptr ? hooks_.engine->Generation() : 0;
  const std::string tag = tags_.Of(route.name, request.params, generation, hooks_.now_ns ? hooks_.now_ns() : 0);
  if (const std::string* unknown = UnknownParam(route.name, request.params)) {
    Fail(response, 400, "unknown parameter: none is known here", *unknown);
  } else if (!tag.empty() && EntityTags::Matches(request.if_none_match, tag)) {
    response->status = 304;
  } else {
    (this->*route.handle)(request, response);
  }
  if (!tag.empty() && (response->status == 200 || response->status == 304)) response->headers.emplace_back("ETag", tag);
}

void Router::Index(const Request&, Response* response) const {
  core::TraceQuery query;
  query.limit = kIndexTraces;
  const core::Engine& engine = *hooks_.engine;
  const std::string nonce = MakePage(response);
  response->body = IndexPage({engine.Stats(), engine.FindTraces(query), engine.Incidents(), engine.GetHealth(),
                              engine.GetOverview(), engine.GetErrors(), hooks_.muted ? hooks_.muted() : MutedAlerts(),
                              hooks_.notices ? hooks_.notices() : std::vector<std::string>()},
                             nonce);
}

void Router::TraceHtml(const Request& request, Response* response) const {
  const std::string_view id = LastPart(request.path);
  TraceId trace_id;
  KeptNote note;
  const auto trace = TraceId::FromHex(id, &trace_id) ? StoredOrKept(trace_id, &note) : std::nullopt;
  const std::string nonce = MakePage(response);
  if (trace) {
    response->body = TracePage(*trace, Analyse(*trace), nonce, note);
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
  std::size_t total = 0;
  const auto traces = hooks_.engine->FindTraces(*query, &total);
  response->body = TracesJson(traces, *query, total);
}

std::optional<core::TraceCopy> Router::StoredOrKept(const TraceId& id, KeptNote* note) const {
  auto trace = hooks_.engine->GetTrace(id);
  if (trace || !hooks_.kept_trace) return trace;
  auto kept = hooks_.kept_trace(id);
  if (!kept) return std::nullopt;
  *note = std::move(kept->note);
  return std::move(kept->trace);
}

std::optional<core::TraceCopy> Router::FindTrace(std::string_view hex, Response* response, KeptNote* note) const {
  TraceId id;
  if (!TraceId::FromHex(hex, &id)) {
    Fail(response, 400, "must have 32 hexadecimal digits, not all of them 0", "id");
    return std::nullopt;
  }
  auto trace = StoredOrKept(id, note);
  if (!trace) Fail(response, 404, "this trace is not stored: removed by a limit, or never here", "id");
  return trace;
}

core::TraceAnalysis Router::Analyse(const core::TraceCopy& trace) const {
  auto options = hooks_.analysis_options ? hooks_.analysis_options() : core::AnalysisOptions();
  options.history = hooks_.engine->GetHistory(trace);
  return core::Analyse(trace, options);
}

void Router::OneTrace(const Request& request, Response* response) const {
  KeptNote note;
  if (const auto trace = FindTrace(LastPart(request.path), response, &note)) response->body = TraceJson(*trace, note);
}

void Router::Analysis(const Request& request, Response* response) const {
  const std::string path = request.path.substr(0, request.path.size() - kAnalysisPath.size());
  KeptNote note;
  const auto trace = FindTrace(LastPart(path), response, &note);
  if (!trace) return;
  response->body = AnalysisJson(*trace, Analyse(*trace), note);
}

void Router::Alerts(const Request& request, Response* response) const {
  std::string state;
  for (const auto& [name, value] : request.params) {
    if (name != "state") return Fail(response, 400, "unknown parameter: state is known", name);
    if (request.params.count(name) > 1) return Fail(response, 400, "given more than once", name);
    if (value != "pending" && value != "firing" && value != "resolved") {
      return Fail(response, 400, "must be \"pending\", \"firing\" or \"resolved\"", name);
    }
    state = value;
  }
  response->body = AlertsJson(hooks_.engine->Incidents(), state, hooks_.muted ? hooks_.muted() : MutedAlerts());
}

void Router::Rules(const Request&, Response* response) const {
  const auto rules = hooks_.engine->Rules();
  response->body =
      RulesJson(rules ? *rules : core::RuleSet(), hooks_.engine->Incidents(), hooks_.engine->GetRuleStatus());
}

void Router::Jaeger(const Request& request, Response* response) const {
  AnswerJaeger(*hooks_.engine, hooks_.now_ns ? hooks_.now_ns() : 0, request, response);
}

void Router::Status(const Request&, Response* response) const {
  response->body = hooks_.status_json ? hooks_.status_json() : "{}";
}

}  // namespace spanwatch::http
