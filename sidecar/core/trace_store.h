// Traces in memory: spans in any order, late ones, orphans; depth kept up as spans arrive; completion; eviction.
// Bounded by count, age and bytes. Bytes are counted by Formula(): fixed sizes plus the bytes of texts, never
// capacities, so that every fold of the same records counts the same. Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_TRACE_STORE_H_
#define SPANWATCH_SIDECAR_CORE_TRACE_STORE_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/core/catalog.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/rule.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

inline constexpr std::uint32_t kNone = UINT32_MAX;

// A local root ended and nothing came for this long: complete.
inline constexpr std::int64_t kQuietGapNs = 1'000'000'000;
// The same for traces whose local root was not seen.
inline constexpr std::int64_t kRootlessGapNs = 30'000'000'000;

struct StoredSpan {
  SpanId span_id;
  SpanId parent_id;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::uint32_t operation = 0;
  std::uint32_t detail_at = 0;  // Trace::details: attributes, events, links, status message (span_detail.h)
  std::uint32_t detail_size = 0;
  std::uint32_t parent = kNone;  // index of the parent, once known
  std::uint16_t scope = 0;
  std::uint16_t levels_above = 1;  // of the known chain upwards, itself included; may lag, see TraceStore::Link
  std::uint16_t levels_below = 1;  // of the longest known chain downwards, itself included
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
};

// What a rule on traces has already said about a trace.
struct TraceVerdict {
  std::uint32_t rule = 0;
  Severity severity = Severity::kNone;
  std::uint32_t span = kNone;  // the span it was said of: later crossings stay with its operation
  double value = 0;
};

struct Trace {
  TraceId id;
  std::uint64_t serial = 0;           // order of arrival, over the engine's life
  std::int64_t first_arrival_ns = 0;  // engine time
  std::int64_t last_arrival_ns = 0;
  std::int64_t min_start_ns = INT64_MAX;
  std::int64_t max_end_ns = INT64_MIN;
  std::uint64_t bytes = 0;
  std::int64_t memory_delta = kNoMemory;  // largest growth seen by one of its spans
  std::uint32_t memory_span = kNone;
  std::uint32_t root = kNone;  // span without parent; else the first with a remote parent
  std::uint32_t errors = 0;
  std::uint32_t depth = 0;      // longest known chain, in levels
  std::uint32_t truncated = 0;  // spans that its limits kept out (they still count in metrics)
  bool true_root = false;       // `root` has no parent at all
  bool complete = false;
  bool kept = false;        // slow, failed or alerted: goes last
  bool alerted = false;     // a rule matched it or one of its spans
  bool depth_lags = false;  // a walk was cut short: recount at completion
  bool live = false;
  std::uint8_t list = 0;
  std::uint32_t previous = kNone, next = kNone;
  std::vector<StoredSpan> spans;
  std::string details;
  struct IndexEntry {
    std::uint32_t span = kNone;      // kNone: only waited for
    std::uint16_t child_levels = 0;  // levels_below of the tallest child seen
  };
  using Index = tsl::robin_map<std::uint64_t, IndexEntry, U64Hash>;
  std::unique_ptr<Index> index;  // above kLinearSpans
  std::vector<TraceVerdict> verdicts;

  std::int64_t DurationNs() const { return spans.empty() ? 0 : max_end_ns - min_start_ns; }
};

class TraceStore {
 public:
  struct Counts {
    std::uint64_t spans = 0, bytes = 0;
    std::uint64_t begun = 0, completed = 0, late_spans = 0, duplicate_spans = 0, truncated_spans = 0;
    std::uint64_t evicted_ttl = 0, evicted_max_traces = 0, evicted_memory = 0, cut = 0;
  };
  enum class Added : std::uint8_t { kStored, kDuplicate, kTruncated };

  // `judge` is called for each trace that completes, also for an open one that must go ("cut"), before it goes.
  using Judge = std::function<void(std::uint32_t slot)>;

  void Configure(const Limits& limits) { limits_ = limits; }
  // Stores one span. *slot is its trace. Does not evict: call MakeRoom() after it.
  Added Add(std::int64_t now_ns, const SpanBatch& batch, const SpanView& span, std::uint32_t operation,
            bool name_kept_apart, std::uint32_t scope, std::uint32_t* slot);
  void MakeRoom(const Judge& judge);
  // Completes and expires what is due at `now_ns`, at most `limit` traces. True if more is due.
  bool Advance(std::int64_t now_ns, std::size_t limit, const Judge& judge);
  // Engine time at which Advance() has something to do; INT64_MAX: nothing.
  std::int64_t NextDue() const;
  void MarkAlerted(std::uint32_t slot);

  Trace& trace(std::uint32_t slot) { return *slots_[slot]; }
  const Trace& trace(std::uint32_t slot) const { return *slots_[slot]; }
  std::uint32_t Find(const TraceId& id) const;
  std::size_t size() const { return by_id_.size(); }
  std::size_t slot_count() const { return slots_.size(); }  // trace(i) for each; skip those not live
  std::size_t open_count() const { return list_sizes_[kOpenRooted] + list_sizes_[kOpenRootless]; }
  const Counts& counts() const { return counts_; }
  // The parent's index by id, also in large traces; kNone if it is not here.
  static std::uint32_t FindSpan(const Trace& trace, SpanId id);

 private:
  enum List : std::uint8_t { kOpenRooted, kOpenRootless, kDonePlain, kDoneKept, kLists };

  std::uint32_t Obtain(std::int64_t now_ns, const TraceId& id);
  void Link(Trace* trace, std::uint32_t added, std::uint32_t parent);
  static void AwaitParent(Trace* trace, const StoredSpan& span);
  struct Relatives {
    bool duplicate = false;
    std::uint32_t parent = kNone;
    std::uint16_t child_levels = 0;
  };
  static Relatives FindRelatives(const Trace& trace, const StoredSpan& span);
  bool ClosesCycle(const Trace& trace, std::uint32_t parent, std::uint32_t added) const;
  void Note(Trace* trace, const SpanView& span, std::uint32_t added);
  void Complete(std::uint32_t slot, const Judge& judge);
  void Evict(std::uint32_t slot);
  void MoveTo(std::uint32_t slot, List list);
  void Unlink(std::uint32_t slot);
  List Wanted(const Trace& trace) const;
  std::uint32_t Oldest() const;

  Limits limits_;
  Counts counts_;
  std::uint64_t serial_ = 0;
  std::uint32_t last_slot_ = kNone;  // spans of one trace come together
  std::vector<std::unique_ptr<Trace>> slots_;
  std::vector<std::uint32_t> free_;
  tsl::robin_map<TraceId, std::uint32_t, TraceIdHash> by_id_;
  std::array<std::uint32_t, kLists> heads_{kNone, kNone, kNone, kNone};
  std::array<std::uint32_t, kLists> tails_{kNone, kNone, kNone, kNone};
  std::array<std::size_t, kLists> list_sizes_{};
  std::array<std::uint64_t, kLists> list_bytes_{};
};

// Depth of each span (1 = no known parent), by one pass that survives cycles; a span on a cycle counts as a root.
std::vector<std::uint32_t> ExactDepths(const Trace& trace);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TRACE_STORE_H_
