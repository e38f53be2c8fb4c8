// The engine: a deterministic fold over records. The same records in the same order give the same transitions,
// statistics and traces, bit for bit, in every process: no clock reads, no I/O, no threads, no dependence on hash
// order.
//
// Threads: Apply() and TakeAnswers()/TakeTransitions() are called by one thread, the ingest thread. All const functions
// may be called from any thread; they take the engine's one mutex for short holds (at most 200 traces or series each).
// Apply() holds it in slices of 512 spans.
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

// Ticks lie on multiples of this engine time.
inline constexpr std::int64_t kTickNs = 100'000'000;

// Everything is bounded by these. May change by reload, except the fixed ones.
struct Limits {
  std::uint64_t max_traces = 2000;
  std::int64_t ttl_ns = 7'200'000'000'000;
  std::uint64_t memory_limit_bytes = 50u << 20;
  std::int64_t slow_warning_ns = 1'000'000'000;
  std::int64_t slow_critical_ns = 5'000'000'000;
  std::uint64_t max_spans_per_trace = 100'000;
  std::uint64_t max_series = 2000;                  // of span metrics; then the overflow series
  std::uint64_t max_incidents = 1000;               // active ones, over all rules
  std::uint64_t max_processes = 1024;               // ledgers
  std::int64_t update_interval_ns = 5'000'000'000;  // kUpdated transitions of an incident at most this often
  double sample_rate = -1;                          // offered to SDKs; negative: theirs
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

  StatsView Stats() const;
  MetricsView Metrics() const;
  // Active incidents (pending, firing), then those resolved in the last 15 minutes; newest first within each.
  std::vector<Incident> Incidents() const;
  std::shared_ptr<const RuleSet> Rules() const;
  std::vector<TraceSummary> FindTraces(const TraceQuery& query) const;
  std::optional<TraceCopy> GetTrace(const TraceId& id) const;
  bool HasTrace(const TraceId& id) const;

  // A hash over everything that Stats(), Metrics(), Incidents() and the stored traces show; equal folds have equal
  // digests.
  std::uint64_t Digest() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ENGINE_H_
