// Traces in memory: spans in any order, late ones, orphans; depth kept up as spans arrive; completion; eviction.
// Bounded by count, age and bytes. Bytes are counted by a formula: fixed sizes plus the bytes of texts, never
// capacities, so that every fold of the same records counts the same; what is complete is packed so that the formula
// holds within 10 %. Not thread-safe: the engine's mutex guards it.
//
// A trace is complete when nothing came for a gap that its root operation has taught (root_gaps.h), or for 30 s if its
// local root is not here. A late span updates it, and after a gap it is found complete again.
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
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/flat_buffer.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/root_gaps.h"
#include "sidecar/core/rule.h"
#include "sidecar/core/span_batch.h"
#include "sidecar/core/span_index.h"

namespace spanwatch::core {

// How long a trace whose local root was not seen must be quiet.
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
  std::uint16_t resource = 0;      // the catalog's number
  std::uint16_t levels_above = 1;  // of the known chain upwards, itself included; may lag, see TraceStore::Link
  std::uint16_t levels_below = 1;  // of the longest known chain downwards, itself included
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  bool remote_parent = false;  // its parent is in another process, and it says so
  float weight = 1;            // adjusted count, as in SpanView
};

// A stored span that failed.
struct FailedSpan {
  std::uint32_t span = 0;   // index
  std::uint32_t group = 0;  // ErrorGroups' number
};

// What a rule on traces has already said about a trace.
struct TraceVerdict {
  std::uint32_t rule = 0;  // Alerts' own number for it, the same over reloads
  Severity severity = Severity::kNone;
  std::uint32_t operation = kNone;  // what it was said of: later crossings stay with it
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
  SpanId span;
  double value = 0;
  std::string texts;  // of the labels, if the rule groups by tags
};

struct Trace {
  static constexpr std::uint16_t kNoBucket = UINT16_MAX;
  static constexpr std::uint8_t kNotLearned = UINT8_MAX;

  TraceId id;
  std::uint64_t serial = 0;           // order of arrival, over the engine's life
  std::int64_t first_arrival_ns = 0;  // engine time
  std::int64_t last_arrival_ns = 0;
  std::int64_t min_start_ns = INT64_MAX;
  std::int64_t max_end_ns = INT64_MIN;
  std::uint64_t bytes = 0;
  std::int64_t memory_delta = kNoMemory;  // largest growth seen by one of its spans
  std::uint32_t memory_span = kNone;
  std::uint32_t service = kNone;  // of its first span
  std::uint32_t root = kNone;     // span without parent; else the first with a remote parent
  std::uint32_t errors = 0;
  std::uint32_t depth = 0;      // longest known chain, in levels
  std::uint32_t truncated = 0;  // spans that its limits kept out (they still count in metrics)
  bool true_root = false;       // `root` has no parent at all
  bool complete = false;
  bool kept = false;         // slow, failed or alerted: goes last
  bool alerted = false;      // a rule matched it or one of its spans
  bool depth_lags = false;   // a walk was cut short: recount at completion
  bool awaits_root = false;  // crossed a rule on depth or span count before its root was known
  bool live = false;
  bool several_services = false;
  std::uint8_t list = 0;
  std::uint8_t learned_step = kNotLearned;                   // what its root operation learned from it
  std::uint16_t bucket = kNoBucket;                          // of the wheel, while it waits for its gap
  std::uint32_t learned_root = kNone;                        // that operation
  std::uint32_t reported = 0;                                // spans that were given to the forwarder
  std::uint32_t mapped = 0;                                  // spans that the map of dependencies has counted
  std::int64_t widest_gap_ns = 0;                            // between arrivals, since the root is here
  std::uint32_t previous = kNone, next = kNone;              // in its list
  std::uint32_t due_previous = kNone, due_next = kNone;      // in its bucket
  std::uint32_t born_previous = kNone, born_next = kNone;    // in order of first arrival
  std::uint32_t heard_previous = kNone, heard_next = kNone;  // in order of last arrival
  std::uint32_t judged_failures = 0;                         // how many of `failures` ErrorGroups::OnTrace() has seen
  FlatBuffer<StoredSpan> spans;
  FlatBuffer<char> details;
  FlatBuffer<FailedSpan> failures;   // in order of arrival
  std::unique_ptr<SpanIndex> index;  // above kLinearSpans
  std::vector<TraceVerdict> verdicts;

  std::string_view detail(const StoredSpan& span) const { return {details.data() + span.detail_at, span.detail_size}; }
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

  // Called for each trace that completes (Trace::complete tells whether it was so before), also for one that must go
  // before its gap passed (`going`), before it goes.
  using Judge = std::function<void(std::uint32_t slot, bool going)>;

  void Configure(const Limits& limits) { limits_ = limits; }
  // Stores one span. *slot is its trace. Does not evict: call MakeRoom() after it.
  Added Add(std::int64_t now_ns, const SpanBatch& batch, const SpanView& span, std::uint32_t operation,
            bool name_kept_apart, std::uint32_t scope, std::uint32_t resource, std::uint32_t* slot);
  // The span of the last Add() that was no duplicate may be a call of a language model (TellsModel()).
  bool last_tells_model() const { return last_tells_model_; }
  bool MakeRoom(const Judge& judge, std::size_t limit = SIZE_MAX) {  // at most `limit` traces; true: there are more
    return OverLimit() && EvictDown(judge, limit);
  }
  // Completes and expires what is due at `now_ns`, at most `limit` traces, fewer if they are large. True: more is due.
  bool Advance(std::int64_t now_ns, std::size_t limit, const Judge& judge);
  // Engine time at which Advance() has something to do; INT64_MAX: nothing.
  std::int64_t NextDue() const;
  void MarkAlerted(std::uint32_t slot);
  // The span that was stored last in this trace failed, and is of this group of errors.
  void NoteFailure(std::uint32_t slot, std::uint32_t group);

  // Not live: the slot is free.
  Trace& trace(std::uint32_t slot) { return slots_[slot] != nullptr ? *slots_[slot] : dead_; }
  const Trace& trace(std::uint32_t slot) const { return slots_[slot] != nullptr ? *slots_[slot] : dead_; }
  std::uint32_t Find(const TraceId& id) const;
  std::size_t size() const { return by_id_.size(); }
  std::size_t slot_count() const { return slots_.size(); }  // trace(i) for each; skip those not live
  std::size_t open_count() const { return list_sizes_[kOpen]; }
  // First arrival of the oldest trace; INT64_MAX: none. Its spans name nothing that was last seen before.
  std::int64_t OldestArrivalNs() const { return oldest_ == kNone ? INT64_MAX : slots_[oldest_]->first_arrival_ns; }
  void ForgetRoot(std::uint32_t operation) { gaps_.Forget(operation); }
  std::uint64_t gap_bytes() const { return gaps_.bytes(); }
  const Counts& counts() const { return counts_; }
  // The parent's index by id, also in large traces; kNone if it is not here.
  static std::uint32_t FindSpan(const Trace& trace, SpanId id);

  // Counters, the number of the next trace and learned gaps, as a checkpoint keeps them: not the traces. Load() leaves
  // traces and what is counted of them alone; false: not such bytes, and nothing has changed.
  void SaveNumbers(CodecWriter* out) const;
  bool LoadNumbers(CodecReader* in);
  void TakeNumbers(TraceStore& other);  // from one that was loaded

 private:
  enum List : std::uint8_t { kOpen, kDonePlain, kDoneKept, kLists };
  static constexpr std::size_t kBuckets = 512;  // of one tick each: more than the longest gap

  std::uint32_t Obtain(std::int64_t now_ns, const TraceId& id);
  void Link(Trace* trace, std::uint32_t added, std::uint32_t parent);
  static void AwaitParent(Trace* trace, const StoredSpan& span);
  struct Relatives {
    bool duplicate = false;
    std::uint32_t parent = kNone;
    std::uint16_t child_levels = 0;
  };
  static Relatives FindRelatives(const Trace& trace, SpanId id, SpanId parent);
  bool ClosesCycle(const Trace& trace, std::uint32_t parent, std::uint32_t added) const;
  void Note(Trace* trace, const SpanView& span, std::uint32_t added);
  void IndexSpan(Trace* trace, std::uint32_t added);
  void Charge(Trace* trace, std::uint64_t more);
  void Recount(Trace* trace);
  void NoteGap(std::int64_t now_ns, Trace* trace);
  void Hear(std::uint32_t slot);
  void Unhear(std::uint32_t slot);
  void Complete(std::uint32_t slot, bool going, const Judge& judge);
  void Learn(Trace* trace);
  void Pack(Trace* trace);
  std::int64_t GapOf(const Trace& trace) const;
  void Schedule(std::int64_t now_ns, std::uint32_t slot);
  void Unschedule(std::uint32_t slot);
  std::int64_t NextBucketTick() const;
  bool AdvanceWheel(std::int64_t now_ns, std::size_t* limit, const Judge& judge);
  void Evict(std::uint32_t slot);
  void MoveTo(std::uint32_t slot, List list);
  void Unlink(std::uint32_t slot);
  bool OverLimit() const { return by_id_.size() > limits_.max_traces || counts_.bytes > limits_.memory_limit_bytes; }
  bool EvictDown(const Judge& judge, std::size_t limit);
  static List Wanted(const Trace& trace) { return !trace.complete ? kOpen : trace.kept ? kDoneKept : kDonePlain; }
  std::uint32_t Oldest() const;

  Limits limits_;
  Counts counts_;
  std::uint64_t serial_ = 0;
  std::uint32_t last_slot_ = kNone;  // spans of one trace come together
  bool last_tells_model_ = false;
  std::vector<std::unique_ptr<Trace>> slots_;
  std::vector<std::uint32_t> free_;
  tsl::robin_map<TraceId, std::uint32_t, TraceIdHash> by_id_;
  std::array<std::uint32_t, kLists> heads_{kNone, kNone, kNone};
  std::array<std::uint32_t, kLists> tails_{kNone, kNone, kNone};
  std::array<std::size_t, kLists> list_sizes_{};
  std::array<std::uint64_t, kLists> list_bytes_{};
  std::uint32_t oldest_ = kNone, youngest_ = kNone;         // in order of first arrival
  std::uint32_t heard_first_ = kNone, heard_last_ = kNone;  // in order of last arrival
  RootGaps gaps_;
  // The wheel: traces that wait, by the tick at which to look at them again. Each bucket is a list, first in first out.
  struct Bucket {
    std::uint32_t first = kNone, last = kNone;
  };
  std::array<Bucket, kBuckets> wheel_{};
  std::array<std::uint64_t, kBuckets / 64> wheel_used_{};  // a bit a bucket
  std::int64_t wheel_base_ = 0;                            // no trace waits for a tick below this one
  std::int64_t wheel_next_ = INT64_MAX;                    // the first tick that one waits for
  Trace dead_;                                             // what a free slot shows
};

// Depth of each span (1 = no known parent), by one pass that survives cycles; a span on a cycle counts as a root.
std::vector<std::uint32_t> ExactDepths(const Trace& trace);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TRACE_STORE_H_
