// One snapshot of the engine's numbers and of the sidecar's own -> Prometheus text 0.0.4 or OpenMetrics 1.0.
// The names and labels are a contract: docs/metrics.md. Thread-safe: any number of scrapes at once.
#ifndef SPANWATCH_SIDECAR_METRICS_EXPOSITION_H_
#define SPANWATCH_SIDECAR_METRICS_EXPOSITION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"

namespace spanwatch::metrics {

struct NotificationCounts {  // notify::Counters, without metrics/ knowing notify/
  std::string receiver;
  std::uint64_t posted = 0, edited = 0, failed = 0, retried = 0, rate_limited = 0, fallbacks = 0, dropped = 0,
                queued = 0;
  bool configured = false, given_up = false;
};

// http::Server::GetCounts(), without metrics/ knowing http/.
struct HttpCounts {
  struct Requests {
    std::string handler;  // "/metrics", "/api/v1/traces/{id}", ...: a fixed set
    int code = 0;
    std::uint64_t count = 0;
  };
  std::vector<Requests> requests;
  std::vector<core::ReasonCount> rejected_connections;
  std::uint64_t connections = 0;              // open now
  std::vector<core::ReasonCount> redactions;  // in OTLP bodies, by kind
};

struct Sources {
  const core::Engine* engine = nullptr;
  bool duration_in_milliseconds = false;
  std::string version;
  std::function<std::vector<NotificationCounts>()> notifications;  // may be null
  std::function<bool()> config_reload_successful;                  // may be null
  std::function<HttpCounts()> http;                                // may be null
};

class Exposition {
 public:
  explicit Exposition(Sources sources);
  ~Exposition();
  Exposition(const Exposition&) = delete;
  Exposition& operator=(const Exposition&) = delete;

  // `accept` is the request's Accept header: OpenMetrics only if it is asked for. Sets the Content-Type to answer with.
  std::string Render(const std::string& accept, std::string* content_type) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_SIDECAR_METRICS_EXPOSITION_H_
