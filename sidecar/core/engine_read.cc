// What the engine shows: copies under short holds of its mutex, formatted outside.
#include <algorithm>
#include <set>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kPerHold = 200;
constexpr std::size_t kIncidentsPerHold = 100;

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
  view.statistics = statistics_.Show(OtherStatisticsBytes() + overview_.bytes());
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

// One that is resolved between the holds may come twice: as it was first counts.
std::vector<Incident> Engine::Impl::Incidents() const {
  std::vector<Incident> incidents;
  bool resolved = false, changed = false;
  std::uint64_t known = 0;
  for (std::uint64_t before = UINT64_MAX;;) {
    MutexLock lock(&mutex_);
    const std::size_t size = incidents.size();
    changed = size > 0 && (changed || known != alerts_.resolutions());
    known = alerts_.resolutions();
    if (resolved) {
      alerts_.ShowResolved(now_ns_, kIncidentsPerHold, &before, &incidents);
    } else {
      alerts_.ShowActive(kIncidentsPerHold, &before, &incidents);
    }
    if (incidents.size() != size) continue;
    if (resolved) break;
    resolved = true;
    before = UINT64_MAX;
  }
  if (!changed) return incidents;
  std::set<std::string_view> seen;
  std::vector<Incident> distinct;
  distinct.reserve(incidents.size());
  for (Incident& incident : incidents) {
    if (seen.contains(incident.id)) continue;
    seen.insert(distinct.emplace_back(std::move(incident)).id);
  }
  return distinct;
}

std::vector<RuleStatus> Engine::Impl::GetRuleStatus() const {
  MutexLock lock(&mutex_);
  return alerts_.ShowRules(now_ns_);
}
std::vector<RuleStatus> Engine::GetRuleStatus() const { return impl_->GetRuleStatus(); }

std::shared_ptr<const RuleSet> Engine::Impl::Rules() const {
  MutexLock lock(&mutex_);
  return alerts_.rules();
}

bool Engine::Impl::HasTrace(const TraceId& id) const {
  MutexLock lock(&mutex_);
  return store_.Find(id) != kNone;
}

}  // namespace spanwatch::core
