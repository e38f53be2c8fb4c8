// The engine's inside: its parts and the one mutex over them. Included by engine*.cc alone.
#ifndef SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
#define SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/core/alerts.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/mutex.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

class Engine::Impl {
 public:
  Impl(const Limits& limits, std::shared_ptr<const RuleSet> rules);

  void Apply(const RecordHeader& header, const Decoded& decoded) EXCLUDES(mutex_);
  std::vector<Answer> TakeAnswers() EXCLUDES(mutex_);
  std::vector<Transition> TakeTransitions() EXCLUDES(mutex_);

  StatsView Stats() const EXCLUDES(mutex_);
  MetricsView Metrics() const EXCLUDES(mutex_);
  std::vector<Incident> Incidents() const EXCLUDES(mutex_);
  std::shared_ptr<const RuleSet> Rules() const EXCLUDES(mutex_);
  std::vector<TraceSummary> FindTraces(const TraceQuery& query) const EXCLUDES(mutex_);
  std::optional<TraceCopy> GetTrace(const TraceId& id) const EXCLUDES(mutex_);
  bool HasTrace(const TraceId& id) const EXCLUDES(mutex_);
  std::uint64_t Digest() const EXCLUDES(mutex_);

 private:
  // Spans of one operation, kind and status.
  struct Cell {
    std::uint32_t series = 0;
    std::uint64_t generation = 0;  // of `binding`; 0: not bound yet
    Alerts::Binding binding;
  };
  struct Series {
    std::uint32_t operation = kNone;
    SpanKind kind = SpanKind::kUnspecified;
    StatusCode status = StatusCode::kUnset;
    DurationHistogram durations;
  };
  struct Totals {
    double spans = 0, errors = 0, duration_sum_ns = 0, slow_warning = 0, slow_critical = 0;
  };
  // What of a span's surroundings is the same for its neighbours.
  struct Neighbour {
    std::string_view name;
    std::uint32_t service = kNone, operation = 0, resource = kNone;
    std::string_view scope_name;
    std::uint32_t scope = 0;
  };

  void RunTicks(std::int64_t now_ns) EXCLUDES(mutex_);
  void ApplyMessage(const RecordHeader& header, const Decoded& decoded) EXCLUDES(mutex_);
  void ApplyBatch(std::int64_t now_ns, const SpanBatch& batch) EXCLUDES(mutex_);
  void ApplySpan(const SpanBatch& batch, const SpanView& span, Neighbour* last) REQUIRES(mutex_);
  void ApplyOpenSpans(const EnvelopeView& envelope, const SpanBatch& batch) REQUIRES(mutex_);
  void JudgeCrossings() REQUIRES(mutex_);
  void JudgeComplete(std::uint32_t slot) REQUIRES(mutex_);
  Cell& CellOf(std::uint32_t operation, SpanKind kind, StatusCode status) REQUIRES(mutex_);
  void Count(const Cell& cell, std::uint32_t service, const SpanView& span) REQUIRES(mutex_);
  StoreView ShowStore() const REQUIRES(mutex_);
  TraceSummary Summarise(const Trace& trace) const REQUIRES(mutex_);
  bool Matches(const Trace& trace, const TraceQuery& query) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  Limits limits_ GUARDED_BY(mutex_);
  Catalog catalog_ GUARDED_BY(mutex_);
  TraceStore store_ GUARDED_BY(mutex_);
  Ledger ledger_ GUARDED_BY(mutex_);
  Alerts alerts_ GUARDED_BY(mutex_);
  TraceStore::Judge judge_;  // constant after construction
  std::vector<Cell> cells_ GUARDED_BY(mutex_);
  std::vector<Series> series_ GUARDED_BY(mutex_);    // 0 = overflow
  std::vector<Totals> services_ GUARDED_BY(mutex_);  // by service number
  HistogramCounts<kDepthBuckets.size()> trace_depth_ GUARDED_BY(mutex_);
  HistogramCounts<kSpanCountBuckets.size()> trace_spans_ GUARDED_BY(mutex_);
  DurationHistogram trace_duration_ GUARDED_BY(mutex_);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> crossings_ GUARDED_BY(mutex_);  // slot, serial
  std::vector<Answer> answers_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t, std::less<>> malformed_ GUARDED_BY(mutex_);
  Rejected rejected_ GUARDED_BY(mutex_);
  std::int64_t now_ns_ GUARDED_BY(mutex_) = 0;
  std::int64_t started_ns_ GUARDED_BY(mutex_) = 0;
  std::int64_t last_tick_ns_ GUARDED_BY(mutex_) = 0;
  std::uint64_t records_ GUARDED_BY(mutex_) = 0;
  std::uint64_t spans_applied_ GUARDED_BY(mutex_) = 0;
};

// Adds one observation of `value` with `weight`; bounds are upper and inclusive, as Prometheus' `le`.
template <std::size_t N, typename Bounds>
void Observe(HistogramCounts<N>* histogram, const Bounds& bounds, std::int64_t value, double weight) {
  std::size_t bucket = 0;
  while (bucket < N && value > bounds[bucket]) ++bucket;
  histogram->buckets[bucket] += weight;
  histogram->sum += weight * static_cast<double>(value);
  histogram->count += weight;
}

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
