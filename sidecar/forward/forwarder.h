// Sends completed traces on to another OTLP backend (Tempo, Jaeger, a Collector, a second sidecar) by OTLP/HTTP:
// protobuf, gzip, retried by the specification. Everything that does not arrive is counted with its reason.
//
// Two threads of its own. The collector takes the ids that Enqueue() queued, fetches the spans, encodes them into
// batches and queues those; the sender posts one batch after the other. So a backend that hangs does not let the spans
// be evicted from the store meanwhile, as long as the queue has room. Full: the oldest goes.
//
// A trace is counted once for each entry of Enqueue(): late spans of a trace make one more.
//
// Threads: every function may be called from any thread. Enqueue only queues.
#ifndef SPANWATCH_SIDECAR_FORWARD_FORWARDER_H_
#define SPANWATCH_SIDECAR_FORWARD_FORWARDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/client/http_client.h"
#include "sidecar/core/engine.h"
#include "sidecar/forward/retry.h"

namespace spanwatch::forward {

struct Options {
  std::string endpoint;     // where to post to, path included; empty: off, what is queued is dropped
  client::Headers headers;  // values are secrets: never logged, never in errors
  bool gzip = true;
  std::size_t queue_bytes = 16u << 20;     // of encoded batches (before gzip) and of copies that wait to be encoded
  std::size_t queue_traces = 65'536;       // that wait to be encoded
  std::size_t batch_bytes = 1u << 20;      // a batch is sent when it has reached this,
  std::size_t batch_traces = 512;          // or this,
  std::int64_t linger_ns = 1'000'000'000;  // or this age
  std::int64_t timeout_ns = 10'000'000'000;
  RetryOptions retry;
  std::string version = "0.1.0";  // for the User-Agent
};

enum class Reason : std::uint8_t {
  kQueueFull,
  kEvicted,   // the store had dropped the trace before it was encoded
  kTimeout,   // retried until retry.max_elapsed_ns
  kRejected,  // the backend's last word
  kPartial,   // spans that the backend rejected out of a batch that it took
  kShutdown,
  kOff,  // the configuration no longer names an endpoint
};
inline constexpr std::size_t kReasonCount = 7;
const char* ToString(Reason reason);  // "queue_full", "evicted", "timeout", "rejected", "partial_success", ...

struct Counters {
  std::uint64_t forwarded_traces = 0;
  std::uint64_t forwarded_spans = 0;
  std::uint64_t bytes = 0;  // bodies as they were sent, repeated ones again
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;  // of them
  std::array<std::uint64_t, kReasonCount> dropped_traces{};
  std::array<std::uint64_t, kReasonCount> dropped_spans{};  // as far as they were fetched already
};

struct Status {
  bool configured = false;
  bool unencrypted = false;            // plain http to another machine
  std::string endpoint;                // holds no secret
  std::string last_error;              // without secrets; empty if the last request was good
  std::int64_t last_forwarded_ns = 0;  // wall clock, since the epoch; 0: never
  std::uint64_t queued_traces = 0;
  std::uint64_t queued_bytes = 0;
};

class Forwarder {
 public:
  // The stored spans from a number on; nothing: the trace is gone. Called by the collector's thread, never after
  // Stop().
  using Fetch = std::function<std::optional<core::TraceCopy>(const TraceId& id, std::uint32_t first_span)>;

  Forwarder(Options options, Fetch fetch);
  ~Forwarder();  // Stop(0)
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  void Start();
  void Enqueue(std::vector<core::Completed> traces);
  // Sends what waits, for at most `budget_ns`, then ends the threads. Returns how many traces were not delivered.
  std::size_t Stop(std::int64_t budget_ns);
  // After a reload. The sizes of queue and batches stay those of the constructor.
  void Reconfigure(Options options);

  Status GetStatus() const;
  Counters Counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_FORWARDER_H_
