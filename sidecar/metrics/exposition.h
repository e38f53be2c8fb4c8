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
                queued = 0, possible_duplicates = 0;
  bool configured = false, given_up = false;
};

// notify::OutboxStatus, without metrics/ knowing notify/.
struct OutboxCounts {
  bool enabled = false, writable = false;
  std::uint64_t bytes = 0, pending = 0, committed = 0, repeats = 0, write_errors = 0, corruptions = 0, given_up = 0,
                unreadable = 0;
  std::uint64_t kept_traces = 0, kept_trace_bytes = 0, kept_write_errors = 0;
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

// ingest::JournalStatus, without metrics/ knowing ingest/.
struct JournalCounts {
  bool on = false;
  std::uint64_t bytes = 0, records = 0, dropped_records = 0, failures = 0, written_bytes = 0, checkpoints = 0;
  std::int64_t oldest_ns = 0;          // 0: nothing held
  std::uint64_t replayed_records = 0;  // at the last start
  std::int64_t replay_ns = 0;
};

// forward::Counters and Status, without metrics/ knowing forward/.
struct ForwardCounts {
  bool configured = false;
  std::uint64_t forwarded_traces = 0, forwarded_spans = 0, bytes = 0, requests = 0, retries = 0;
  std::vector<core::ReasonCount> dropped_traces, dropped_spans;
  std::uint64_t queued_traces = 0, queued_bytes = 0;
};

// notify::WatchdogStatus, without metrics/ knowing notify/.
struct WatchdogCounts {
  bool configured = false;
  std::uint64_t sent = 0, failed = 0, withheld = 0;
  std::int64_t last_sent_ns = 0;  // 0: never
};

// notify::RoutingCounts, without metrics/ knowing notify/.
struct RoutingCounts {
  std::vector<core::ReasonCount> silences;                // by state
  std::vector<core::ReasonCount> muted_now, muted_total;  // incidents that fire, by reason
};

struct Sources {
  const core::Engine* engine = nullptr;
  bool duration_in_milliseconds = false;
  std::string version;
  std::function<std::vector<NotificationCounts>()> notifications;  // may be null
  std::function<OutboxCounts()> outbox;                            // may be null
  std::function<RoutingCounts()> routing;                          // may be null
  std::function<bool()> config_reload_successful;                  // may be null
  std::function<HttpCounts()> http;                                // may be null
  std::function<JournalCounts()> journal;                          // may be null
  std::function<ForwardCounts()> forward;                          // may be null
  std::function<WatchdogCounts()> watchdog;                        // may be null
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
