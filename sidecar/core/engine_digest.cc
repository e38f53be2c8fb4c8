// A fingerprint of everything the engine shows: two folds of the same records must agree in it.
#include <algorithm>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

template <std::size_t N>
void Add(const HistogramCounts<N>& histogram, Hasher* out) {
  for (const double bucket : histogram.buckets) out->Add(bucket);
  out->Add(histogram.sum).Add(histogram.count);
}

void Add(const std::vector<ReasonCount>& counts, Hasher* out) {
  for (const ReasonCount& each : counts) out->Add(std::string_view(each.name)).Add(each.count);
}

void Add(const StatsView& stats, Hasher* out) {
  out->Add(stats.now_ns).Add(stats.started_ns).Add(stats.spans_applied);
  out->Add(stats.store.traces).Add(stats.store.open_traces).Add(stats.store.spans).Add(stats.store.bytes);
  out->Add(stats.store.traces_total).Add(stats.store.completed_total).Add(stats.store.late_spans_total);
  out->Add(stats.store.duplicate_spans_total).Add(stats.store.truncated_spans_total);
  Add(stats.store.evicted, out);
  Add(stats.lost, out);
  Add(stats.malformed_messages, out);
  Add(stats.rejected_spans, out);
  out->Add(stats.emitted).Add(stats.applied).Add(stats.sampled_out);
  for (const ProcessView& process : stats.processes) {
    out->Add(std::string_view(process.id))
        .Add(std::string_view(process.state))
        .Add(process.emitted)
        .Add(process.applied);
    out->Add(process.sampled_out).Add(process.sequence).Add(process.open_spans).Add(process.last_seen_ns);
    Add(process.lost, out);
  }
  for (const ServiceStats& service : stats.services) {
    out->Add(std::string_view(service.service)).Add(service.spans).Add(service.errors).Add(service.duration_sum_ns);
    out->Add(service.slow_warning).Add(service.slow_critical);
  }
}

void Add(const Incident& incident, Hasher* out) {
  out->Add(std::string_view(incident.id)).Add(incident.state).Add(incident.severity).Add(incident.peak_severity);
  out->Add(incident.value).Add(incident.worst_value).Add(incident.threshold).Add(incident.count);
  out->Add(incident.active_at_ns).Add(incident.fired_at_ns).Add(incident.resolved_at_ns).Add(incident.last_match_ns);
  out->Add(incident.worst_trace)
      .Add(incident.worst_span.value)
      .Add(std::string_view(incident.last_error))
      .Add(incident.lost_spans);
}

}  // namespace

std::uint64_t Engine::Impl::Digest() const {
  Hasher out;
  Add(Stats(), &out);
  const MetricsView metrics = Metrics();
  for (const SpanSeries& series : metrics.series) {
    out.Add(std::string_view(series.service)).Add(std::string_view(series.operation));
    out.Add(series.kind).Add(series.status).Add(series.overflow);
    Add(series.durations, &out);
  }
  Add(metrics.trace_depth, &out);
  Add(metrics.trace_spans, &out);
  Add(metrics.trace_duration, &out);
  for (const Incident& incident : Incidents()) Add(incident, &out);
  for (const RuleStatus& rule : GetRuleStatus()) {
    out.Add(rule.ok).Add(std::string_view(rule.last_error)).Add(rule.evaluations).Add(rule.last_evaluation_ns);
    out.Add(rule.failures).Add(rule.groups).Add(rule.dropped_groups).Add(rule.dropped_incidents);
  }
  for (const ServiceHealth& service : GetHealth().services) {
    out.Add(std::string_view(service.service)).Add(service.status).Add(service.since_ns);
    out.Add(service.spans).Add(service.avg_duration_ns).Add(service.error_rate);
    for (const std::string& issue : service.issues) out.Add(std::string_view(issue));
  }
  for (const Dependency& edge : GetDependencies().edges) {
    out.Add(std::string_view(edge.client)).Add(std::string_view(edge.server)).Add(edge.calls).Add(edge.failed);
    Add(edge.client_side, &out);
    Add(edge.server_side, &out);
  }
  for (const ModelCalls& model : GetGenAi().models) {
    out.Add(std::string_view(model.service)).Add(std::string_view(model.model)).Add(model.calls).Add(model.unpriced);
    for (const std::optional<double>& tokens : model.tokens) out.Add(tokens.value_or(-1));
    out.Add(model.cost.value_or(-1));
  }
  MutexLock lock(&mutex_);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  for (std::uint32_t slot = 0; slot < store_.slot_count(); ++slot) {
    if (store_.trace(slot).live) order.emplace_back(store_.trace(slot).serial, slot);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [serial, slot] : order) {
    const Trace& trace = store_.trace(slot);
    out.Add(trace.id)
        .Add(serial)
        .Add(trace.depth)
        .Add(trace.errors)
        .Add(trace.complete)
        .Add(trace.kept)
        .Add(trace.bytes);
    for (const StoredSpan& span : trace.spans)
      out.Add(span.span_id.value).Add(span.start_ns).Add(span.end_ns).Add(span.operation);
    out.Add(std::string_view(trace.details.data(), trace.details.size()));
  }
  return out.Digest64();
}

}  // namespace spanwatch::core
