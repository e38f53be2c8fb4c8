// Requests -> answers, without a socket: routes, access checks, parameters. Immutable after construction: any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_ROUTER_H_
#define SPANWATCH_SIDECAR_HTTP_ROUTER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/http/access.h"
#include "sidecar/http/body_stream.h"
#include "sidecar/http/entity_tag.h"
#include "sidecar/http/params.h"
#include "sidecar/http/server.h"

namespace spanwatch::http {

struct Request {
  std::string method;
  std::string path;  // decoded, without query
  Params params;
  std::string accept;
  std::optional<std::string> host;
  std::optional<std::string> origin;
  std::string if_none_match;
  std::string last_event_id;  // of an event stream that goes on
  bool has_body = false;
  std::string_view body;  // valid during the call; bounded by the listener
  std::string content_type;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<BodyStream> stream;  // instead of `body`; null: none
  std::vector<std::pair<std::string, std::string>> headers;
  const char* handler = "other";  // of a fixed set, for metrics
};

// Requests that must be answered while others are slow: metrics, health, reload. `target` may have a query.
bool IsUrgent(std::string_view target);

// An error as every path of the native API answers it. `field`: the parameter that is wrong; may be empty.
void Fail(Response* response, int status, std::string_view error, std::string_view field = {});

class EventHub;  // events.h

class Router {
 public:
  Router(const Options& options, Hooks hooks);
  Response Handle(const Request& request) const;

 private:
  struct Route {
    std::string_view path;  // of a prefix route: up to and with the '/' before the id
    bool prefix;
    std::string_view method;  // GET (HEAD too), POST or DELETE
    const char* name;
    void (Router::*handle)(const Request&, Response*) const;
    std::string_view suffix = {};  // of a prefix route: what follows the id
    bool deep = false;             // the id may have slashes (sent as %2F)
  };
  static const Route kRoutes[];
  static bool Matches(const Route& route, std::string_view path);
  static const Route* Find(const Request& request, std::string* allowed);
  void Answer(const Route& route, const Request& request, Response* response) const;

  // From the store, or as it was kept for an alert: `note` tells.
  std::optional<core::TraceCopy> StoredOrKept(const TraceId& id, KeptNote* note) const;
  // Nothing: `response` says why.
  std::optional<core::TraceCopy> FindTrace(std::string_view hex, Response* response, KeptNote* note) const;

  core::TraceAnalysis Analyse(const core::TraceCopy& trace) const;

  void Index(const Request& request, Response* response) const;
  void TraceHtml(const Request& request, Response* response) const;
  void Metrics(const Request& request, Response* response) const;
  void Health(const Request& request, Response* response) const;
  void Ready(const Request& request, Response* response) const;
  void Reload(const Request& request, Response* response) const;
  void Stats(const Request& request, Response* response) const;
  void Traces(const Request& request, Response* response) const;
  void OneTrace(const Request& request, Response* response) const;
  void Analysis(const Request& request, Response* response) const;
  void Alerts(const Request& request, Response* response) const;
  void Rules(const Request& request, Response* response) const;
  void Status(const Request& request, Response* response) const;
  void Overview(const Request& request, Response* response) const;      // api_overview.cc
  void Services(const Request& request, Response* response) const;      // api_services.cc
  void Dependencies(const Request& request, Response* response) const;  // api_services.cc
  void Errors(const Request& request, Response* response) const;        // api_errors.cc
  void Export(const Request& request, Response* response) const;        // api_export.cc
  void Events(const Request& request, Response* response) const;        // api_events.cc
  void OpenApi(const Request& request, Response* response) const;       // api_openapi.cc
  void Why(const Request& request, Response* response) const;           // api_why.cc
  void Silences(const Request& request, Response* response) const;      // these: api_silences.cc
  void OneSilence(const Request& request, Response* response) const;
  void SetSilence(const Request& request, Response* response) const;
  void ExpireSilence(const Request& request, Response* response) const;
  void Jaeger(const Request& request, Response* response) const;

  const Hooks hooks_;
  const Access access_;
  const EntityTags tags_;
  const std::shared_ptr<EventHub> events_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ROUTER_H_
