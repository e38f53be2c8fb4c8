// What the engine shows: copies under short holds of its mutex, formatted outside.
#include <algorithm>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kPerHold = 200;
constexpr std::size_t kMaxServicesShown = 16;

}  // namespace

StoreView Engine::Impl::ShowStore() const {
  const TraceStore::Counts& counts = store_.counts();
  StoreView view;
  view.traces = store_.size();
  view.open_traces = store_.open_count();
  view.spans = counts.spans;
  view.bytes = counts.bytes;
  view.memory_limit = limits_.memory_limit_bytes;
  view.max_traces = limits_.max_traces;
  view.ttl_ns = limits_.ttl_ns;
  view.traces_total = counts.begun;
  view.completed_total = counts.completed;
  view.late_spans_total = counts.late_spans;
  view.duplicate_spans_total = counts.duplicate_spans;
  view.evicted = {{"ttl", counts.evicted_ttl},
                  {"max_traces", counts.evicted_max_traces},
                  {"memory", counts.evicted_memory},
                  {"cut", counts.cut}};
  view.truncated_spans_total = counts.truncated_spans;
  return view;
}

StatsView Engine::Impl::Stats() const {
  StatsView view;
  MutexLock lock(&mutex_);
  view.now_ns = now_ns_;
  view.started_ns = started_ns_;
  view.records = records_;
  view.spans_applied = spans_applied_;
  view.store = ShowStore();
  ledger_.Show(&view);
  for (const auto& [reason, count] : malformed_) view.malformed_messages.push_back({reason, count});
  view.rejected_spans = {
      {"invalid_id", rejected_.invalid_id}, {"malformed", rejected_.malformed}, {"limit", rejected_.limit}};
  statistics_.ShowServices(&view.services);
  view.statistics = statistics_.Show(alerts_.group_bytes() + store_.gap_bytes());
  view.forward_dropped = forward_dropped_;
  view.alerts_firing = alerts_.firing();
  view.alerts_pending = alerts_.pending();
  view.incidents_dropped = alerts_.dropped();
  return view;
}

MetricsView Engine::Impl::Metrics() const {
  MetricsView view;
  std::size_t expected;
  {
    MutexLock lock(&mutex_);
    expected = statistics_.series_slots();
  }
  view.series.reserve(expected);  // not under the mutex: fresh pages take longer than the copying
  for (std::size_t begin = 0;; begin += kPerHold) {
    MutexLock lock(&mutex_);
    const std::size_t end = std::min(begin + kPerHold, statistics_.series_slots());
    for (std::size_t i = begin; i < end; ++i) {
      SpanSeries shown;
      if (statistics_.ShowSeries(i, &shown)) view.series.push_back(std::move(shown));
    }
    if (end < statistics_.series_slots()) continue;
    statistics_.ShowTraces(&view);
    return view;
  }
}

std::vector<Incident> Engine::Impl::Incidents() const {
  MutexLock lock(&mutex_);
  return alerts_.Show(now_ns_);
}

std::shared_ptr<const RuleSet> Engine::Impl::Rules() const {
  MutexLock lock(&mutex_);
  return alerts_.rules();
}

bool Engine::Impl::HasTrace(const TraceId& id) const {
  MutexLock lock(&mutex_);
  return store_.Find(id) != kNone;
}

TraceSummary Engine::Impl::Summarise(const Trace& trace) const {
  TraceSummary summary;
  summary.trace_id = trace.id;
  summary.duration_ns = trace.DurationNs();
  summary.span_count = static_cast<std::uint32_t>(trace.spans.size());
  summary.truncated = trace.truncated;
  summary.error_count = trace.errors;
  summary.depth = trace.depth;
  summary.complete = trace.complete;
  summary.alerted = trace.alerted;
  if (trace.spans.empty()) return summary;
  summary.start_ns = trace.min_start_ns;
  std::uint32_t first = trace.root;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) {
    const StoredSpan& span = trace.spans[i];
    if (trace.root == kNone && (first == kNone || span.start_ns < trace.spans[first].start_ns)) first = i;
    if (span.parent == kNone && span.parent_id.IsValid() && TraceStore::FindSpan(trace, span.parent_id) == kNone)
      ++summary.orphans;
    const std::string_view service = catalog_.service_name(catalog_.operation(span.operation).service);
    const bool known = std::find(summary.services.begin(), summary.services.end(), service) != summary.services.end();
    if (!known && summary.services.size() < kMaxServicesShown) summary.services.emplace_back(service);
  }
  const Operation& operation = catalog_.operation(trace.spans[first].operation);
  summary.root_service = catalog_.service_name(operation.service);
  summary.root_operation = operation.name;
  return summary;
}

bool Engine::Impl::Matches(const Trace& trace, const TraceQuery& query) const {
  if (trace.spans.empty() || trace.min_start_ns < query.start_ns || trace.min_start_ns > query.end_ns) return false;
  if (trace.DurationNs() < query.min_duration_ns) return false;
  if (query.status == TraceQuery::Status::kError && trace.errors == 0) return false;
  if (query.status == TraceQuery::Status::kSuccess && trace.errors != 0) return false;
  if (!query.service.empty() || !query.operation.empty()) {
    const bool found =
        std::any_of(trace.spans.begin(), trace.spans.end(), [&](const StoredSpan& span) REQUIRES(mutex_) {
          const Operation& operation = catalog_.operation(span.operation);
          return (query.service.empty() || catalog_.service_name(operation.service) == query.service) &&
                 (query.operation.empty() || operation.name == query.operation);
        });
    if (!found) return false;
  }
  if (query.correlation_id.empty() || trace.id.ToHex() == query.correlation_id) return true;
  return std::any_of(trace.spans.begin(), trace.spans.end(), [&](const StoredSpan& span) {
    return HasAttribute(trace.detail(span), "correlation.id", query.correlation_id);
  });
}

std::vector<TraceSummary> Engine::Impl::FindTraces(const TraceQuery& query) const {
  struct Found {
    std::int64_t start_ns;
    std::uint64_t serial;
    std::uint32_t slot;
  };
  std::vector<Found> found;
  for (std::size_t begin = 0;; begin += kPerHold) {
    MutexLock lock(&mutex_);
    const std::size_t end = std::min(begin + kPerHold, store_.slot_count());
    for (std::size_t i = begin; i < end; ++i) {
      const Trace& trace = store_.trace(static_cast<std::uint32_t>(i));
      if (trace.live && Matches(trace, query))
        found.push_back({trace.min_start_ns, trace.serial, static_cast<std::uint32_t>(i)});
    }
    if (end == store_.slot_count()) break;
  }
  const std::size_t wanted = std::min(query.limit, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(wanted), found.end(),
                    [](const Found& a, const Found& b) {
                      return a.start_ns != b.start_ns ? a.start_ns > b.start_ns : a.serial > b.serial;
                    });
  std::vector<TraceSummary> summaries;
  for (std::size_t begin = 0; begin < wanted; begin += kPerHold) {
    MutexLock lock(&mutex_);
    for (std::size_t i = begin; i < std::min(begin + kPerHold, wanted); ++i) {
      const Trace& trace = store_.trace(found[i].slot);
      if (trace.live && trace.serial == found[i].serial) summaries.push_back(Summarise(trace));
    }
  }
  return summaries;
}

}  // namespace spanwatch::core
