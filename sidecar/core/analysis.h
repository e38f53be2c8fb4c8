// "Why was this reply slow?": what one trace says about itself. A pure function of a copy: no clock, no engine, no
// state; any thread. Times are ns, sizes bytes; a span is named by its index in TraceCopy::spans. Every list is bounded
// by the number of spans, the sentences by kMaxInsights. Work: O(n log n). Nothing fails: hostile times, cycles, equal
// ids and an empty trace give a result too. How each figure is computed is told to users in docs/analysis.md.
#ifndef SPANWATCH_SIDECAR_CORE_ANALYSIS_H_
#define SPANWATCH_SIDECAR_CORE_ANALYSIS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

class Prices;  // prices.h

inline constexpr std::uint32_t kNoSpan = UINT32_MAX;
inline constexpr std::size_t kMaxInsights = 10;

// What is known of an operation from outside of the trace: the last hour.
struct OperationHistory {
  std::string service, operation;
  double calls = 0;
  double over_threshold = 0;  // of them longer than slow_warning_ns, 0..1
  double timeouts = 0;        // of them failed by a timeout
};

struct AnalysisOptions {
  std::int64_t slow_warning_ns = 1'000'000'000, slow_critical_ns = 5'000'000'000;
  std::uint32_t depth_warning = 15, depth_critical = 25;
  std::int64_t memory_warning_bytes = std::int64_t{100} << 20, memory_critical_bytes = std::int64_t{500} << 20;
  std::uint32_t repeated_calls = 5;       // this many and more are repeated
  std::vector<OperationHistory> history;  // may be empty: then nothing is said about the last hour
  std::shared_ptr<const Prices> prices;   // of language models; null: only what spans themselves say they cost
};

// One span in the tree that is analysed.
struct SpanAnalysis {
  std::uint32_t parent = kNoSpan;  // where it hangs: its parent; of orphans and cycles the root; kNoSpan: top
  std::uint32_t depth = 1;         // levels as the store counts them: 1 is a root, an orphan or a cut cycle
  std::int64_t offset_ns = 0;      // start, since that of the trace
  std::int64_t duration_ns = 0;
  std::int64_t self_ns = 0;      // duration less the union of its children's intervals within it
  std::int64_t critical_ns = 0;  // its own part of the critical path
  bool async = false;            // outlives its parent: its tail was not waited for
  bool skewed =
      false;  // begins before its parent, or is another host's and sticks out though it is short enough to fit
  bool orphan = false;  // its parent is not here
  bool cycle = false;   // its parent is its own descendant: the link is cut here
};

// Part of the critical path: the time that span spent itself, without anything below it.
struct PathSegment {
  std::uint32_t span = kNoSpan;
  std::int64_t from_ns = 0, to_ns = 0;  // since the epoch
  bool async = false;                   // it, or what it hangs below, was not waited for
};

struct Bottleneck {
  std::string service, operation;
  std::int64_t critical_ns = 0;   // on the critical path
  std::int64_t async_ns = 0;      // of that, not waited for
  double share = 0;               // critical_ns of root_duration_ns
  std::uint32_t spans = 0;        // its spans on the path
  std::uint32_t worst = kNoSpan;  // the one with most of it
};

// All spans of an operation.
struct OperationSelf {
  std::string service, operation;
  std::uint32_t calls = 0;
  std::int64_t self_ns = 0, duration_ns = 0;  // sums
};

struct RepeatedCalls {
  std::uint32_t parent = kNoSpan;  // kNoSpan: their common parent is not here
  std::uint32_t first = kNoSpan;
  std::string service, operation;
  std::uint32_t count = 0;
  std::int64_t total_ns = 0;  // sum of durations
  std::int64_t wall_ns = 0;   // time in which at least one ran
  bool parallel = false;      // some overlapped
};

// Siblings that ran one after another without a gap and without a known reason.
struct SequentialCalls {
  std::uint32_t parent = kNoSpan;
  std::vector<std::uint32_t> spans;  // in order of time
  std::int64_t total_ns = 0;
  std::int64_t saving_ns = 0;  // total less the longest
};

struct Retry {
  std::vector<std::uint32_t> attempts;  // in order of time; all but perhaps the last failed
  std::int64_t cost_ns = 0;             // from the begin of the first attempt to the begin of the last
  bool recovered = false;               // the last one did not fail
};

struct SpanError {
  std::uint32_t span = kNoSpan;
  std::uint32_t root_cause = kNoSpan;
  std::string type, message;  // of the last exception event, else error.type and the status message; may be empty
};

// One failing chain: neighbours in the tree that all failed.
struct ErrorChain {
  std::uint32_t root_cause = kNoSpan;  // the deepest; of equally deep ones the one that ended first
  std::vector<std::uint32_t> spread;   // from the root cause upwards, each the parent of the one before
  std::uint32_t handled_by = kNoSpan;  // the first above that did not fail; kNoSpan: it reached the top
  std::uint32_t spans = 0;             // failing spans in this chain and its branches
};

enum class MemoryEfficiency : std::uint8_t { kGood, kConcerning, kPoor };
struct MemoryAnalysis {
  std::optional<std::int64_t> peak_bytes;                 // highest RSS seen by a span
  std::optional<std::int64_t> delta_bytes;                // largest growth while one span ran: trace.memory_delta
  std::uint32_t grower = kNoSpan;                         // that span; of equal ones the deepest
  MemoryEfficiency efficiency = MemoryEfficiency::kGood;  // by delta
};

// Exact, by nearest rank.
struct Percentiles {
  std::int64_t p50_ns = 0, p90_ns = 0, p95_ns = 0, p99_ns = 0;
};

struct ModelUse {
  std::string model;        // gen_ai.response.model, else gen_ai.request.model; may be empty
  std::uint32_t calls = 0;  // spans that report tokens or are model calls, counted once if they wrap each other
  // Sums over the calls that tell; null: none does.
  std::optional<std::int64_t> input_tokens, output_tokens;
  std::optional<std::int64_t> cached_tokens, cache_write_tokens, reasoning_tokens;  // contained in the totals
  std::optional<double> cost;        // US dollars: of the calls whose cost is known
  std::uint32_t unpriced_calls = 0;  // told tokens, and the price of their model is not known
};

// Where the critical path of the turn went, by class; a span without a class of its own has that of what it hangs
// below. The first that applies:
//  1. queueing: a word of the name is queue, queued, queueing, queuing, enqueue, dequeue, wait, waiting or throttle.
//  2. tools: gen_ai.operation.name is execute_tool or retrieval, or gen_ai.tool.name is present, or a word of the name
//     is tool or tools.
//  3. generating: gen_ai.operation.name is chat, generate_content, text_completion or embeddings; or there is no such
//     attribute, but a model.
//  4. sending: kind producer, or a word of the name is send, sending, publish or deliver; not below 2 and 3, whose own
//     requests are theirs.
// Words are split at what is no letter, and before a capital after a small letter.
enum class TurnClass : std::uint8_t { kOther, kQueueing, kGenerating, kTools, kSending };
inline constexpr std::size_t kTurnClasses = 5;

struct LlmAnalysis {
  std::vector<ModelUse> models;                        // in order of first use
  ModelUse total;                                      // `model` is that of the first call
  std::optional<std::int64_t> time_to_first_token_ns;  // of the first call that tells
  std::uint32_t first_token_span = kNoSpan;
  std::int64_t class_ns[kTurnClasses] = {};  // parts of the critical path, by TurnClass
};

enum class InsightSeverity : std::uint8_t { kInfo, kWarning, kCritical };
const char* ToString(InsightSeverity severity);  // "info", "warning", "critical"

struct Insight {
  const char* code = "";
  InsightSeverity severity = InsightSeverity::kInfo;
  std::string text;
  std::uint32_t span = kNoSpan;  // where to look
  std::int64_t cost_ns = 0;      // ranks those of one severity
};

struct TraceAnalysis {
  std::int64_t start_ns = 0;     // earliest start
  std::int64_t duration_ns = 0;  // latest end less earliest start
  std::uint32_t depth = 0, span_count = 0, error_count = 0;
  std::uint32_t root = kNoSpan;  // the root; kNoSpan: none or several, a virtual one covers the whole
  std::uint32_t roots = 0;       // spans that name no parent
  std::int64_t root_start_ns = 0, root_duration_ns = 0;
  std::vector<SpanAnalysis> spans;  // as TraceCopy::spans
  std::uint32_t slowest_by_self = kNoSpan, slowest_by_duration = kNoSpan;
  std::vector<PathSegment> critical_path;              // in order of time; sum of lengths + idle_ns == root_duration_ns
  std::int64_t idle_ns = 0;                            // of a virtual root: no span ran
  std::int64_t before_root_ns = 0, after_root_ns = 0;  // what of the trace lies outside the root's interval
  std::vector<Bottleneck> bottlenecks;                 // by critical_ns, largest first
  std::vector<OperationSelf> self_times;               // by self_ns, largest first
  std::vector<RepeatedCalls> repeated_calls;           // by total_ns, largest first
  std::vector<SequentialCalls> sequential;             // by saving_ns, largest first
  std::vector<Retry> retries;                          // by cost_ns, largest first
  std::vector<SpanError> errors;                       // failing spans, in order
  std::vector<ErrorChain> error_chains;                // by root causes in order of time
  std::optional<MemoryAnalysis> memory;                // null: no span has a figure
  Percentiles percentiles;
  std::optional<LlmAnalysis> llm;  // null: no gen_ai.* attribute
  std::vector<Insight> insights, recommendations;
};

TraceAnalysis Analyse(const TraceCopy& trace, const AnalysisOptions& options);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ANALYSIS_H_
