// The HTTP edge on http.listen: /metrics, health, /api/v1, /trace/{id}, POST /-/reload. Handlers read the engine
// through its const functions and format outside its mutex. Owns its threads; cpp-httplib lives in server.cc alone.
#ifndef SPANWATCH_SIDECAR_HTTP_SERVER_H_
#define SPANWATCH_SIDECAR_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/routing.h"
#include "sidecar/http/kept.h"
#include "sidecar/http/muted.h"

namespace spanwatch::http {

struct Options {
  std::string host = "127.0.0.1";
  int port = 9464;  // 0: any free port, see Server::port()
  std::string external_url;
  std::vector<std::string> allowed_hosts;
};

// What the handlers need of the rest; all must be callable from any thread. app.cc fills it.
struct Hooks {
  const core::Engine* engine = nullptr;
  std::function<std::string(const std::string& accept, std::string* content_type)> metrics;  // the exposition
  std::function<bool()> ready;                                                               // /readyz, /-/ready
  std::function<tl::expected<void, std::string>()> reload;  // POST /-/reload; error text for the answer
  std::function<std::string()> status_json;                 // /api/v1/status: one JSON object
  std::function<std::vector<std::string>()> notices;        // what is not well, for the page; empty: nothing is known
  std::string version;                                      // of the sidecar, for /api/v1/events
  std::function<std::int64_t()> now_ns;                     // wall clock, for relative parameters
  std::function<core::AnalysisOptions()> analysis_options;  // thresholds and history; empty: the defaults
  // A trace that the engine no longer stores, if it was kept for an alert. Empty: none is.
  std::function<std::optional<KeptTrace>(const TraceId&)> kept_trace;
  // Alerts' routing; empty: there is none.
  std::function<std::vector<core::Why>(const std::string& fingerprint)> why;
  std::function<MutedAlerts()> muted;
  std::function<std::vector<core::Silence>()> silences;
  // Returns the id; the error says what is wrong and what is allowed, after the field's name: "endsAt: ...". Patterns
  // of matchers are compiled by it.
  std::function<tl::expected<std::string, std::string>(core::Silence)> set_silence;
  std::function<bool(const std::string& id)> expire_silence;  // false: there is no such silence
  // A trace as the bytes of an OTLP TracesData; several of them in a row are one again. Empty: no such export.
  std::function<std::string(const core::TraceCopy&)> encode_otlp;
};

class Server {
 public:
  Server(Options options, Hooks hooks);
  ~Server();  // Stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and serves. Error: text with address, cause and what to do (port in use must be found: SO_REUSEADDR only).
  tl::expected<void, std::string> Start();
  void Stop();
  int port() const;

  // For /metrics. Requests by handler ("/metrics", "/api/v1/traces/{id}", "other": a fixed set) and status code.
  struct Counts {
    struct Requests {
      std::string handler;
      int code = 0;
      std::uint64_t count = 0;
    };
    std::vector<Requests> requests;
    std::vector<core::ReasonCount> rejected_connections;
    std::uint64_t connections = 0;  // open now
    std::uint64_t streams = 0;      // of these: exports and event streams
  };
  Counts GetCounts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_SERVER_H_
