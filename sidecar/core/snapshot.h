// What the engine shows to the outside: copies, made under its mutex in short holds. Strings are owned.
#ifndef SPANWATCH_SIDECAR_CORE_SNAPSHOT_H_
#define SPANWATCH_SIDECAR_CORE_SNAPSHOT_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

// Upper bounds of the duration histograms in ns, `+Inf` implied: the Collector's defaults, continued to 600 s for LLM
// calls.
inline constexpr std::array<std::int64_t, 21> kDurationBucketsNs = {
    2'000'000,      4'000'000,      6'000'000,      8'000'000,      10'000'000,      50'000'000,      100'000'000,
    200'000'000,    400'000'000,    800'000'000,    1'000'000'000,  1'400'000'000,   2'000'000'000,   5'000'000'000,
    10'000'000'000, 15'000'000'000, 30'000'000'000, 60'000'000'000, 120'000'000'000, 300'000'000'000, 600'000'000'000};
inline constexpr std::array<std::int64_t, 12> kDepthBuckets = {1, 2, 3, 5, 8, 10, 15, 20, 25, 50, 100, 1000};
inline constexpr std::array<std::int64_t, 12> kSpanCountBuckets = {1,   2,   5,   10,   20,     50,
                                                                   100, 200, 500, 1000, 10'000, 100'000};

// Counts are adjusted by sampling weight; not cumulative over buckets; the last is +Inf.
template <std::size_t N>
struct HistogramCounts {
  std::array<double, N + 1> buckets{};
  double sum = 0;  // ns for durations
  double count = 0;
};
using DurationHistogram = HistogramCounts<kDurationBucketsNs.size()>;

// One series of traces_span_metrics_*.
struct SpanSeries {
  std::string service;  // empty: the overflow of all services that have none of their own
  std::string operation;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  bool overflow = false;  // takes what is over the limit of its service (otel_metric_overflow="true"); no operation
  DurationHistogram durations;
};

struct ReasonCount {
  std::string name;
  std::uint64_t count = 0;
};

// One traced process, by its ledger: emitted = applied + sampled_out + sum(lost).
struct ProcessView {
  std::string id;            // first 8 hex digits of the process id: enough to tell apart, too little to imitate
  std::uint64_t serial = 0;  // order of appearance, over the engine's life
  std::string service;
  std::string instance;  // service.instance.id or "pid@host"; may be empty
  std::string state;     // "alive", "silent", "closed", "died"
  std::uint64_t emitted = 0;
  std::uint64_t applied = 0;
  std::uint64_t sampled_out = 0;
  std::vector<ReasonCount> lost;  // by reason
  bool tail_unknown = false;      // died without goodbye: at most one flush and its rings are missing above this
  std::uint64_t sequence = 0;     // highest judged
  std::uint64_t open_spans = 0;   // reported open longer than the SDK's threshold
  std::uint64_t rss_bytes = 0;
  std::uint64_t sdk_bytes = 0;
  double sdk_cpu_seconds = 0;
  double sdk_ring_fill = 0;       // 0..1: the fullest ring in the heartbeat's second
  double sdk_sample_rate = -1;    // in force in the process; negative: not told
  std::int64_t last_seen_ns = 0;  // engine time
  struct Gauge {
    std::string name;
    std::vector<NameValue> labels;
    double value = 0;
  };
  std::vector<Gauge> gauges;
};

struct ServiceStats {
  std::string service;
  double spans = 0;
  double errors = 0;
  double duration_sum_ns = 0;
  double slow_warning = 0;   // spans over thresholds.slow[0]
  double slow_critical = 0;  // ... over thresholds.slow[1]
};

struct StoreView {
  std::uint64_t traces = 0;       // stored now
  std::uint64_t open_traces = 0;  // of them not complete
  std::uint64_t spans = 0;
  std::uint64_t bytes = 0;  // by the store's own formula
  std::uint64_t memory_limit = 0;
  std::uint64_t max_traces = 0;
  std::int64_t ttl_ns = 0;
  std::uint64_t traces_total = 0;  // ever begun
  std::uint64_t completed_total = 0;
  std::uint64_t late_spans_total = 0;  // arrived after their trace was complete
  std::uint64_t duplicate_spans_total = 0;
  std::uint64_t truncated_spans_total = 0;  // left out of traces that reached their limits; they count in metrics
  std::vector<ReasonCount> evicted;         // ttl, max_traces, memory, cut
};

// A label with too many values: spans of a service are counted without it. While no such span came for
// Limits::series_idle_ns, it is forgotten.
struct CardinalityView {
  std::string service;  // of the spans; empty for label "service_name"
  std::string label;    // "span_name" or "service_name"
  std::uint64_t limit = 0;
  std::uint64_t folded_spans = 0;
  std::int64_t since_ns = 0;         // engine time
  std::vector<std::string> samples;  // the first values that were folded, at most 5 of at most 80 bytes
};

// What statistics hold and may hold.
struct StatisticsView {
  std::uint64_t series = 0, overflow_series = 0, max_series = 0;
  std::uint64_t expired_series_total = 0;
  double expired_spans_total = 0;  // counted in series that are forgotten, by weight
  std::uint64_t operations = 0, max_operations = 0;
  std::uint64_t bytes = 0, max_bytes = 0;  // of names, operations, series and window groups, by formula
  std::vector<CardinalityView> cardinality;
};

struct StatsView {
  std::int64_t now_ns = 0;      // engine time
  std::int64_t started_ns = 0;  // engine time of the first record; 0 before
  std::uint64_t records = 0;
  std::uint64_t spans_applied = 0;
  StoreView store;
  std::vector<ReasonCount> lost;                            // over all processes; reasons are bounded
  std::vector<ReasonCount> malformed_messages;              // frames and envelopes that could not be used, by reason
  std::vector<ReasonCount> rejected_spans;                  // invalid_id, malformed, limit
  std::uint64_t emitted = 0, applied = 0, sampled_out = 0;  // sums over processes, closed ones included
  std::uint64_t processes_dropped = 0;                      // ledgers refused because of the limit
  std::vector<ProcessView> processes;
  std::vector<ServiceStats> services;
  std::uint64_t alerts_firing = 0, alerts_pending = 0;
  std::uint64_t incidents_dropped = 0;  // matches that found the incident table full
  StatisticsView statistics;
  std::uint64_t forward_dropped = 0;  // completed traces not given to the forwarder: too many waited
};

// `total` with every counter less its value in `start`, an earlier view of the same engine: what happened since then.
// All terms of the equation of a process go together. What is a state and not a counter stays.
StatsView Since(const StatsView& start, StatsView total);

// All that /metrics needs beside StatsView and the incidents.
struct MetricsView {
  std::vector<SpanSeries> series;
  HistogramCounts<kDepthBuckets.size()> trace_depth;
  HistogramCounts<kSpanCountBuckets.size()> trace_spans;
  DurationHistogram trace_duration;
};

struct TraceSummary {
  TraceId trace_id;
  std::string root_service;  // of the root, or of the earliest span if the root is missing
  std::string root_operation;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;  // latest end less earliest start
  std::uint32_t span_count = 0;
  std::uint32_t error_count = 0;
  std::uint32_t depth = 0;
  std::uint32_t truncated = 0;  // spans that the limits of a trace kept out
  std::uint32_t orphans = 0;    // spans whose parent is not here (roots do not count)
  bool complete = false;
  bool alerted = false;
  struct Service {
    std::string name;
    std::uint32_t spans = 0, errors = 0;
  };
  std::vector<Service> services;  // in order of first appearance, at most 16
};

struct AttributeCopy {
  std::string key;
  AttributeType type = AttributeType::kEmpty;
  std::int64_t integer = 0;
  double number = 0;
  std::string text;
};

struct SpanCopy {
  SpanId span_id;
  SpanId parent_id;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::string service;
  std::string name;
  std::string scope;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  std::string status_message;
  bool orphan = false;
  std::uint32_t depth = 0;  // 1 = root or orphan
  using Attribute = AttributeCopy;
  std::uint32_t resource = 0;  // index into TraceCopy::resources
  std::string trace_state;     // as it came, for example with the sampling threshold "ot=th:..."
  bool parent_is_remote = false;
  std::vector<Attribute> attributes;
  struct Event {
    std::int64_t time_ns = 0;
    std::string name;
    std::vector<Attribute> attributes;
  };
  std::vector<Event> events;
  std::vector<LinkView> links;
  std::uint32_t dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
};

// A parent that is not here, and why.
struct MissingSpan {
  SpanId id;
  const char* reason = "";         // "still_open", "late", "other_host", "lost", "not_received"
  std::uint32_t children = 0;      // stored spans that name it as their parent
  std::string service, operation;  // still_open: what it is
  std::int64_t start_ns = 0;       // still_open: since when
};

// What a process of the trace's services lost while the trace ran.
struct TraceLoss {
  std::string process;  // as in ProcessView::id
  std::string service;
  std::string reason;
  std::uint64_t spans = 0;
};

struct TraceCopy {
  TraceSummary summary;
  std::vector<MissingSpan> missing;                   // in order of their first child
  std::vector<TraceLoss> losses;                      // empty: nothing was lost meanwhile
  std::vector<std::vector<AttributeCopy>> resources;  // each with service.name
  std::vector<SpanCopy> spans;                        // by start time, then span id
};

// All conditions hold together; the text ones are exact. One single span must satisfy service, operation and all tags;
// with `by_span` also status, duration and time.
struct TraceQuery {
  std::string service;  // empty: any
  std::string operation;
  std::string correlation_id;   // attribute correlation.id, or the trace id
  std::vector<NameValue> tags;  // attributes of a span, or of its resource, events or scope, compared as text
  std::string error_text;       // part of an error's type or message, or of a failed span's status message; any case
  std::int64_t min_duration_ns = 0;  // of the trace
  std::int64_t max_duration_ns = INT64_MAX;
  enum class Status : std::uint8_t { kAny, kError, kSuccess } status = Status::kAny;
  std::int64_t start_ns = INT64_MIN;  // trace start within [start_ns, end_ns]
  std::int64_t end_ns = INT64_MAX;
  bool by_span = false;  // as Jaeger searches
  enum class Sort : std::uint8_t { kNewest, kLongest, kMostErrors, kMostSpans } sort = Sort::kNewest;
  std::size_t offset = 0;  // of the first one that is wanted, in that order
  std::size_t limit = 20;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SNAPSHOT_H_
