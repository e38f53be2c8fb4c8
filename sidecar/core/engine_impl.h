// The engine's inside: its parts and the one mutex over them. Included by engine*.cc alone.
#ifndef SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
#define SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/core/alerts.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/mutex.h"
#include "sidecar/core/statistics.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

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
  std::vector<TraceSummary> FindTraces(const TraceQuery& query) const EXCLUDES(mutex_);
  std::optional<TraceCopy> GetTrace(const TraceId& id) const EXCLUDES(mutex_);
  std::optional<TraceCopy> GetSpans(const TraceId& id, std::uint32_t first_span) const EXCLUDES(mutex_);
  bool HasTrace(const TraceId& id) const EXCLUDES(mutex_);
  std::uint64_t Digest() const EXCLUDES(mutex_);

 private:
  // When idle series, names and window groups are looked for.
  static constexpr std::int64_t kSweepNs = 10'000'000'000;
  // What of a span's surroundings is the same for its neighbours.
  struct Neighbour {
    std::string_view name;
    std::uint32_t service = kNone, operation = kNone;
    std::uint32_t resource = kNone, resource_number = 0;  // of the batch; the catalog's
    bool folds = false;
    std::string_view scope_name;
    std::uint32_t scope = 0;
  };

  void RunTicks(std::int64_t now_ns) EXCLUDES(mutex_);
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
  void Offer(Trace* trace, bool going) REQUIRES(mutex_);
  void ResolveResource(const SpanBatch& batch, const SpanView& span, Neighbour* last) REQUIRES(mutex_);
  bool Load(CodecReader* in) EXCLUDES(mutex_);
  bool TakeOver(Impl* other) REQUIRES(mutex_);
  bool Sweep(std::int64_t now_ns) REQUIRES(mutex_);
  std::int64_t NextSweep() const REQUIRES(mutex_) { return (last_tick_ns_ / kSweepNs + 1) * kSweepNs; }
  StoreView ShowStore() const REQUIRES(mutex_);
  TraceSummary Summarise(const Trace& trace) const REQUIRES(mutex_);
  void ExplainMissing(const Trace& trace, TraceCopy* copy) const REQUIRES(mutex_);
  bool Matches(const Trace& trace, const TraceQuery& query) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  Limits limits_ GUARDED_BY(mutex_);
  Catalog catalog_ GUARDED_BY(mutex_);
  TraceStore store_ GUARDED_BY(mutex_);
  Ledger ledger_ GUARDED_BY(mutex_);
  Alerts alerts_ GUARDED_BY(mutex_);
  TraceStore::Judge judge_;  // constant after construction
  Statistics statistics_ GUARDED_BY(mutex_);
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
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ENGINE_IMPL_H_
