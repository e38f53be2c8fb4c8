// Families of what is sent on to another backend.
#include <string_view>

#include "sidecar/metrics/families.h"

namespace spanwatch::metrics {

void WriteForward(const ForwardCounts& counts, Writer* writer) {
  const auto one = [&](std::string_view name, Type type, std::uint64_t value, std::string_view help) {
    writer->Family(name, type, help);
    writer->Sample(static_cast<double>(value));
  };
  const auto by_reason = [&](std::string_view name, const std::vector<core::ReasonCount>& reasons,
                             std::string_view help) {
    writer->Family(name, Type::kCounter, help);
    for (const core::ReasonCount& reason : reasons) {
      writer->Sample(Labels().Add("reason", reason.name).text(), static_cast<double>(reason.count));
    }
  };
  one("spanwatch_forward_configured", Type::kGauge, counts.configured ? 1 : 0,
      "1 if traces are forwarded to another OTLP backend.");
  one("spanwatch_forward_traces", Type::kCounter, counts.forwarded_traces,
      "Traces that the backend took; late spans of a trace count as one more.");
  one("spanwatch_forward_spans", Type::kCounter, counts.forwarded_spans, "Spans that the backend took.");
  one("spanwatch_forward_sent_bytes", Type::kCounter, counts.bytes, "Bytes of request bodies, after compression.");
  one("spanwatch_forward_requests", Type::kCounter, counts.requests, "Requests, repeated ones among them.");
  one("spanwatch_forward_retries", Type::kCounter, counts.retries, "Requests that were repetitions.");
  by_reason("spanwatch_forward_dropped_traces", counts.dropped_traces, "Traces chosen and not forwarded, by reason.");
  by_reason(
      "spanwatch_forward_dropped_spans", counts.dropped_spans,
      "Spans of dropped traces as far as they were read already, and spans that the backend rejected, by reason.");
  one("spanwatch_forward_queued_traces", Type::kGauge, counts.queued_traces, "Traces that wait to be forwarded.");
  one("spanwatch_forward_queued_bytes", Type::kGauge, counts.queued_bytes, "Bytes that wait to be forwarded.");
}

}  // namespace spanwatch::metrics
