// The engine's inside: its parts and the one mutex over them. Included by engine*.cc alone.
#ifndef SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
#define SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/core/alerts.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/dependencies.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/error_groups.h"
#include "sidecar/core/gen_ai.h"
#include "sidecar/core/health.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/mutex.h"
#include "sidecar/core/overview.h"
#include "sidecar/core/statistics.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

struct NamedRecord;  // overview_figures.h

class Engine::Impl {
 public:
  Impl(const Limits& limits, std::shared_ptr<const RuleSet> rules);

  void Apply(const RecordHeader& header, const Decoded& decoded) EXCLUDES(mutex_);
  std::vector<Answer> TakeAnswers() EXCLUDES(mutex_);
  std::vector<Transition> TakeTransitions() EXCLUDES(mutex_);
  std::vector<std::string> TakeNotices() EXCLUDES(mutex_);
  std::vector<Completed> TakeCompleted() EXCLUDES(mutex_);

  std::string Checkpoint() const;
  bool Restore(const Decoded& reload, std::string_view checkpoint) EXCLUDES(mutex_);
  void MarkStart() EXCLUDES(mutex_);
  StatsView StatsAtStart() const EXCLUDES(mutex_);

  StatsView Stats() const EXCLUDES(mutex_);
  MetricsView Metrics() const EXCLUDES(mutex_);
  std::vector<Incident> Incidents() const EXCLUDES(mutex_);
  std::shared_ptr<const RuleSet> Rules() const EXCLUDES(mutex_);
  std::vector<RuleStatus> GetRuleStatus() const EXCLUDES(mutex_);
  std::vector<TraceSummary> FindTraces(const TraceQuery& query, std::size_t* total) const EXCLUDES(mutex_);
  std::optional<TraceCopy> GetTrace(const TraceId& id) const EXCLUDES(mutex_);
  std::optional<TraceCopy> GetSpans(const TraceId& id, std::uint32_t first_span) const EXCLUDES(mutex_);
  bool HasTrace(const TraceId& id) const EXCLUDES(mutex_);
  OverviewView GetOverview() const EXCLUDES(mutex_);
  std::vector<Series> GetSeries(const SeriesQuery& query) const EXCLUDES(mutex_);
  std::vector<OperationHistory> GetHistory(const TraceCopy& trace) const EXCLUDES(mutex_);
  HealthView GetHealth() const EXCLUDES(mutex_);
  DependencyView GetDependencies() const EXCLUDES(mutex_);
  ErrorsView GetErrors() const EXCLUDES(mutex_);
  GenAiView GetGenAi() const EXCLUDES(mutex_);
  std::uint64_t Generation() const { return generation_.load(std::memory_order_acquire); }
  CompletedView CompletedSince(std::uint64_t after, std::size_t limit) const EXCLUDES(mutex_);
  std::vector<OperationNames> GetOperations() const EXCLUDES(mutex_);
  std::uint64_t Digest() const EXCLUDES(mutex_);

 private:
  // Those that `query` asks for, and what `view` says of the whole.
  std::vector<NamedRecord> CopyRecords(const SeriesQuery& query, OverviewView* view) const EXCLUDES(mutex_);
  // When idle series, names and window groups are looked for.
  static constexpr std::int64_t kSweepNs = 10'000'000'000;
  // Completions that are remembered.
  static constexpr std::size_t kRecent = 1024;
  // What of a span's surroundings is the same for its neighbours.
  struct Neighbour {
    std::string_view name;
    std::uint32_t service = kNone, operation = kNone;
    std::uint32_t resource = kNone, resource_number = 0;  // of the batch; the catalog's
    bool folds = false;
    std::string_view scope_name;
    std::uint32_t scope = 0;
  };

  // What ticks and heartbeats may change of what Generation() stands for.
  struct Mark {
    std::uint64_t completed, gone, lost, transitions, firing, pending;
    bool operator==(const Mark&) const = default;
  };

  static bool AlwaysChanges(const RecordHeader& header, const Decoded& decoded);
  Mark TakeMark() const REQUIRES(mutex_);
  void NoteCompleted(const TraceId& id) REQUIRES(mutex_) { recent_[completions_++ % kRecent] = id; }
  void ApplyRecord(const RecordHeader& header, const Decoded& decoded) EXCLUDES(mutex_);
  void RunTicks(std::int64_t now_ns) EXCLUDES(mutex_);
  std::int64_t NextTickDue() const REQUIRES(mutex_);
  void Configure() REQUIRES(mutex_);
  void ApplyMessage(const RecordHeader& header, const Decoded& decoded) EXCLUDES(mutex_);
  void ApplyBatch(std::int64_t now_ns, const SpanBatch& batch) EXCLUDES(mutex_);
  void ApplySpan(const SpanBatch& batch, const SpanView& span, Neighbour* last) REQUIRES(mutex_);
  void ApplyOpenSpans(const EnvelopeView& envelope, const SpanBatch& batch) REQUIRES(mutex_);
  void JudgeCrossings() REQUIRES(mutex_);
  void JudgeCrossing(std::uint32_t slot, bool told_open) REQUIRES(mutex_);
  void JudgeWaiting() REQUIRES(mutex_);
  void JudgeOverdue() REQUIRES(mutex_);
  const OpenSpan* OpenRoot(const Trace& trace) const REQUIRES(mutex_);
  void JudgeComplete(std::uint32_t slot, bool going) REQUIRES(mutex_);
  // Lets readers in amid long work; what is worked on must be fit to be read. They change nothing that Apply() uses.
  void Breathe() REQUIRES(mutex_) NO_THREAD_SAFETY_ANALYSIS {
    mutex_.Unlock();
    mutex_.Lock();
  }
  void Offer(Trace* trace, bool going) REQUIRES(mutex_);
  void ResolveResource(const SpanBatch& batch, const SpanView& span, Neighbour* last) REQUIRES(mutex_);
  bool Load(CodecReader* in) EXCLUDES(mutex_);
  bool TakeOver(Impl* other) REQUIRES(mutex_);
  bool Sweep(std::int64_t now_ns) REQUIRES(mutex_);
  std::int64_t NextSweep() const REQUIRES(mutex_) { return (last_tick_ns_ / kSweepNs + 1) * kSweepNs; }
  // Of statistics that are neither in statistics_ nor in overview_.
  std::uint64_t OtherStatisticsBytes() const REQUIRES(mutex_) {
    return alerts_.group_bytes() + store_.gap_bytes() + health_.bytes() + dependencies_.bytes() + errors_.bytes() +
           gen_ai_.bytes();
  }
  void WeighStatistics() REQUIRES(mutex_);
  StoreView ShowStore() const REQUIRES(mutex_);
  TraceSummary Summarise(const Trace& trace) const REQUIRES(mutex_);
  // A trace's own figures and its spans from `first` on, in several short holds; false: it is not here.
  bool CopyTrace(const TraceId& id, std::uint32_t first, Trace* raw, TraceSummary* summary) const EXCLUDES(mutex_);
  bool StillStored(const Trace& raw) const REQUIRES(mutex_);
  static void CollectMissing(const Trace& trace, TraceCopy* copy);
  void ExplainMissing(const Trace& trace, TraceCopy* copy) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  Limits limits_ GUARDED_BY(mutex_);
  Catalog catalog_ GUARDED_BY(mutex_);
  TraceStore store_ GUARDED_BY(mutex_);
  Ledger ledger_ GUARDED_BY(mutex_);
  Alerts alerts_ GUARDED_BY(mutex_);
  TraceStore::Judge judge_;  // constant after construction
  Statistics statistics_ GUARDED_BY(mutex_);
  Overview overview_ GUARDED_BY(mutex_);
  Health health_ GUARDED_BY(mutex_);
  Dependencies dependencies_ GUARDED_BY(mutex_);
  ErrorGroups errors_ GUARDED_BY(mutex_);
  GenAi gen_ai_ GUARDED_BY(mutex_);
  std::string encoded_ GUARDED_BY(mutex_);  // a resource's attributes; kept for its memory
  std::vector<Completed> completed_ GUARDED_BY(mutex_);
  std::uint64_t forward_dropped_ GUARDED_BY(mutex_) = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> crossings_ GUARDED_BY(mutex_);  // slot, serial
  struct Waiting {  // a trace that crossed a rule and whose root is not known yet
    std::int64_t until_ns;
    std::uint32_t slot;
    std::uint64_t serial;
  };
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);  // in order of until_ns
  std::vector<Answer> answers_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t, std::less<>> malformed_ GUARDED_BY(mutex_);
  Rejected rejected_ GUARDED_BY(mutex_);
  std::int64_t now_ns_ GUARDED_BY(mutex_) = 0;
  std::int64_t started_ns_ GUARDED_BY(mutex_) = 0;
  std::int64_t last_tick_ns_ GUARDED_BY(mutex_) = 0;
  std::uint64_t records_ GUARDED_BY(mutex_) = 0;
  std::uint64_t spans_applied_ GUARDED_BY(mutex_) = 0;
  StatsView stats_at_start_ GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> generation_{0};                  // written by the thread that calls Apply()
  std::uint64_t completions_ GUARDED_BY(mutex_) = 0;          // the number of the latest
  std::array<TraceId, kRecent> recent_ GUARDED_BY(mutex_){};  // number n at (n - 1) modulo size
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
