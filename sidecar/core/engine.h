// The engine: a deterministic fold over records. The same records in the same order give the same transitions,
// statistics and traces, bit for bit, in every process: no clock reads, no I/O, no threads, no dependence on hash
// order.
//
// Threads: Apply() and TakeAnswers()/TakeTransitions() are called by one thread, the ingest thread. All const functions
// may be called from any thread; they take the engine's one mutex for short holds (at most 200 traces or series each).
// Apply() holds it in slices of 256 spans.
#ifndef SPANWATCH_SIDECAR_CORE_ENGINE_H_
#define SPANWATCH_SIDECAR_CORE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/record.h"
#include "sidecar/core/rule.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

struct OverviewView;      // overview_view.h
struct SeriesQuery;       // overview_view.h
struct Series;            // overview_view.h
struct HealthView;        // health_view.h
struct DependencyView;    // health_view.h
struct ErrorsView;        // errors_view.h
struct OperationHistory;  // analysis.h
struct CompletedView;     // completed_view.h
struct OperationNames;    // names_view.h
struct RuleStatus;        // rule_status.h
struct GenAiView;         // gen_ai_view.h
class Prices;             // prices.h

// Ticks lie on multiples of this engine time.
inline constexpr std::int64_t kTickNs = 100'000'000;

// Which traces leave for another backend once they are complete. A trace goes if one of these says so.
struct ForwardChoice {
  bool all = false, slow = false, failed = false, alerted = false;  // slow: over slow_warning_ns
  double sample_ratio = 0;                                          // of all others, by trace id: 0..1
  bool Any() const { return all || slow || failed || alerted || sample_ratio > 0; }
};

// Everything is bounded by these. May change by reload, except the fixed ones.
struct Limits {
  std::uint64_t max_traces = 2000;
  std::int64_t ttl_ns = 7'200'000'000'000;
  std::uint64_t memory_limit_bytes = 50u << 20;
  std::int64_t slow_warning_ns = 1'000'000'000;
  std::int64_t slow_critical_ns = 5'000'000'000;
  double error_rate_warning = 0.10, error_rate_critical = 0.20;  // these and the next: for the health of services
  std::int64_t memory_warning_bytes = 100ll << 20, memory_critical_bytes = 500ll << 20;
  std::uint64_t max_spans_per_trace = 100'000;
  std::uint64_t max_series = 2000;                  // of span metrics; then the overflow series
  std::uint64_t max_series_per_service = 0;         // 0: a quarter, and more while there is plenty (statistics.h)
  std::int64_t series_idle_ns = 3'600'000'000'000;  // a series without a span for this long is forgotten; 0: never
  std::vector<std::string> span_names;              // templates as in "/users/{id}" (span_names.h)
  std::uint64_t max_incidents = 1000;               // active ones, over all rules
  std::uint64_t max_processes = 1024;               // ledgers
  std::int64_t update_interval_ns = 5'000'000'000;  // kUpdated transitions of an incident at most this often
  double sample_rate = -1;                          // offered to SDKs; negative: theirs
  ForwardChoice forward;
  std::shared_ptr<const Prices> prices;  // of language models; null: none is known
};

// A trace that was completed and chosen by Limits::forward. Spans that came late make one more, from `first_span` on.
struct Completed {
  TraceId id;
  std::uint32_t first_span = 0;
  std::shared_ptr<const TraceCopy> copy;  // of a trace that had to go at once ("cut"); else null: see GetSpans()
};

enum class AnswerKind : std::uint8_t { kWelcome = 1, kAck = 2, kResend = 3, kClosed = 4, kRefused = 5 };

// What the receiver sends back on `connection`. kAck answers are due once the record is journaled; the receiver may
// join several of one process and send only the last.
struct Answer {
  std::uint64_t connection = 0;
  AnswerKind kind = AnswerKind::kAck;
  ProcessId process_id{};
  std::uint64_t applied = 0;
  const char* reason = "";  // kRefused
};

class Engine {
 public:
  Engine(Limits limits, std::shared_ptr<const RuleSet> rules);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Folds one record: first the ticks that lie between the last record and header.now_ns, then the record itself.
  // REQUIRES: header.now_ns >= that of the former record (a smaller one is taken as equal).
  void Apply(const RecordHeader& header, const Decoded& decoded);

  // What the records since the last call gave rise to, in order. Empties the list.
  std::vector<Answer> TakeAnswers();
  std::vector<Transition> TakeTransitions();

  // Everything but the traces, as bytes; called by the thread that calls Apply(). Restore() takes it over where a
  // segment of the journal begins: the traces stay, everything else is as it was when the checkpoint was made.
  // `reload`: the rules and limits that were in force. False, and nothing has changed: not such bytes, of another
  // version, or names that do not fit the stored traces.
  std::string Checkpoint() const;
  bool Restore(const Decoded& reload, std::string_view checkpoint);
  // From now on Metrics() counts from here, and StatsAtStart() is what Stats() was here: the end of a restart's fold.
  // Touches shown figures only.
  void MarkStart();
  StatsView StatsAtStart() const;

  // What a person should read in the log: services whose names overflow. At most 64 wait. Empties the list.
  std::vector<std::string> TakeNotices();

  // Traces that were completed and are to be forwarded (Limits::forward), in order. Empties the list.
  std::vector<Completed> TakeCompleted();
  // The stored spans of a trace from the number `first_span` on, in order of arrival; orphan and depth as
  // far as they were known when the spans came.
  std::optional<TraceCopy> GetSpans(const TraceId& id, std::uint32_t first_span) const;

  StatsView Stats() const;
  MetricsView Metrics() const;
  // Active incidents (pending, firing), then those resolved in the last 15 minutes; newest first within each.
  std::vector<Incident> Incidents() const;
  std::shared_ptr<const RuleSet> Rules() const;
  // How each of them is doing, in their order.
  std::vector<RuleStatus> GetRuleStatus() const;
  // Traces that match, those of one page; *total: how many there are on all pages. In holds of some 256 KiB of spans.
  std::vector<TraceSummary> FindTraces(const TraceQuery& query, std::size_t* total = nullptr) const;
  std::optional<TraceCopy> GetTrace(const TraceId& id) const;
  bool HasTrace(const TraceId& id) const;
  OverviewView GetOverview() const;
  // Points over time, from the same figures; in order of service, then operation.
  std::vector<Series> GetSeries(const SeriesQuery& query) const;
  // The last hour of the operations that `trace` has; those of which nothing is known are left out.
  std::vector<OperationHistory> GetHistory(const TraceCopy& trace) const;
  HealthView GetHealth() const;
  DependencyView GetDependencies() const;
  ErrorsView GetErrors() const;
  GenAiView GetGenAi() const;  // since MarkStart()
  // Of stored spans, and those that were seen in the last hour; by service, then operation.
  std::vector<OperationNames> GetOperations() const;

  // Grows whenever spans, incidents or what is stored changed, and never else: not with heartbeats, not with time. Read
  // it before what it is to stand for: while it stays, nothing of that changes but ages and windows. Takes no mutex.
  std::uint64_t Generation() const;
  // Traces completed after the one with the number `after`, at most `limit` of them, the newest; oldest first.
  CompletedView CompletedSince(std::uint64_t after, std::size_t limit) const;

  // A hash over everything that Stats(), Metrics(), Incidents() and the stored traces show; equal folds have equal
  // digests.
  std::uint64_t Digest() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ENGINE_H_
