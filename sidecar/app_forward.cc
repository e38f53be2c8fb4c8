// The forwarder between the configuration, the engine and /metrics.
#include <chrono>
#include <utility>

#include "sidecar/app.h"

namespace spanwatch::app {

forward::Options ForwarderOptions(const config::Config& config) {
  forward::Options options;
  options.endpoint = config.forward.endpoint;
  for (const config::ForwardHeader& header : config.forward.headers) {
    options.headers.emplace_back(header.name, header.value.Reveal());
  }
  options.gzip = config.forward.gzip;
  options.retry.seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  options.version = SPANWATCH_VERSION;
  return options;
}

void App::StartForwarder(const config::Config& config) {
  forwarder_ = std::make_unique<forward::Forwarder>(
      ForwarderOptions(config), [engine = engine_.get()](const TraceId& id, std::uint32_t first_span) {
        return engine->GetSpans(id, first_span);
      });
  forwarder_->Start();
}

metrics::ForwardCounts App::ForwardCounts() const {
  const forward::Status status = forwarder_->GetStatus();
  const forward::Counters counters = forwarder_->Counts();
  metrics::ForwardCounts counts;
  counts.configured = status.configured;
  counts.forwarded_traces = counters.forwarded_traces;
  counts.forwarded_spans = counters.forwarded_spans;
  counts.bytes = counters.bytes;
  counts.requests = counters.requests;
  counts.retries = counters.retries;
  for (std::size_t i = 0; i < forward::kReasonCount; ++i) {
    const std::string reason = forward::ToString(static_cast<forward::Reason>(i));
    counts.dropped_traces.push_back({reason, counters.dropped_traces[i]});
    counts.dropped_spans.push_back({reason, counters.dropped_spans[i]});
  }
  counts.queued_traces = status.queued_traces;
  counts.queued_bytes = status.queued_bytes;
  return counts;
}

}  // namespace spanwatch::app
