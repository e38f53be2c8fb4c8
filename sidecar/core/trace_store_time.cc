// The store's time: when a trace is complete, and when it goes for its age.
#include <algorithm>
#include <bit>

#include "sidecar/core/trace_store.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMaxTicksAhead = 400;  // below the wheel's size, above the longest gap
constexpr std::size_t kSpansPerStep = 32;     // one more for so many spans of a trace that completes
constexpr std::uint64_t kWasteShare = 16;     // a complete trace that wastes more than this share is packed

}  // namespace

std::int64_t TraceStore::GapOf(const Trace& trace) const {
  return trace.root == kNone ? kRootlessGapNs : gaps_.GapOf(trace.spans[trace.root].operation);
}

// To look at the trace when its gap may have passed. Spans that come meanwhile do not move it: see AdvanceWheel().
void TraceStore::Schedule(std::int64_t now_ns, std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  const std::int64_t current = now_ns / kTickNs;
  wheel_base_ = std::max(wheel_base_, current);
  const std::int64_t due = (trace.last_arrival_ns + GapOf(trace) + kTickNs - 1) / kTickNs;
  const std::int64_t tick = std::clamp(due, current + 1, current + kMaxTicksAhead);
  const auto bucket = static_cast<std::size_t>(tick) % kBuckets;
  trace.bucket = static_cast<std::uint16_t>(bucket);
  trace.due_previous = wheel_[bucket].last;
  trace.due_next = kNone;
  (trace.due_previous == kNone ? wheel_[bucket].first : slots_[trace.due_previous]->due_next) = slot;
  wheel_[bucket].last = slot;
  wheel_used_[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
  wheel_next_ = std::min(wheel_next_, tick);
}

void TraceStore::Unschedule(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  if (trace.bucket == Trace::kNoBucket) return;
  Bucket& bucket = wheel_[trace.bucket];
  (trace.due_previous == kNone ? bucket.first : slots_[trace.due_previous]->due_next) = trace.due_next;
  (trace.due_next == kNone ? bucket.last : slots_[trace.due_next]->due_previous) = trace.due_previous;
  if (bucket.first == kNone) {
    wheel_used_[trace.bucket / 64] &= ~(std::uint64_t{1} << (trace.bucket % 64));
    if (static_cast<std::size_t>(wheel_next_) % kBuckets == trace.bucket) wheel_next_ = NextBucketTick();
  }
  trace.bucket = Trace::kNoBucket;
}

// The first tick from wheel_base_ on whose bucket is in use.
std::int64_t TraceStore::NextBucketTick() const {
  const std::size_t start = static_cast<std::size_t>(wheel_base_) % kBuckets;
  for (std::size_t i = 0; i <= wheel_used_.size(); ++i) {
    const std::size_t word = (start / 64 + i) % wheel_used_.size();
    std::uint64_t bits = wheel_used_[word];
    if (i == 0) bits &= ~std::uint64_t{0} << (start % 64);
    if (bits == 0) continue;
    const std::size_t bucket = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    return wheel_base_ + static_cast<std::int64_t>((bucket + kBuckets - start) % kBuckets);
  }
  return INT64_MAX;
}

bool TraceStore::AdvanceWheel(std::int64_t now_ns, std::size_t* limit, const Judge& judge) {
  while (wheel_next_ <= now_ns / kTickNs) {
    wheel_base_ = wheel_next_;
    const std::uint32_t slot = wheel_[static_cast<std::size_t>(wheel_next_) % kBuckets].first;
    if (*limit == 0) return true;
    const Trace& trace = *slots_[slot];
    Unschedule(slot);
    std::size_t steps = 1;
    if (trace.last_arrival_ns + GapOf(trace) > now_ns) {
      Schedule(now_ns, slot);  // spans came meanwhile
    } else {
      steps += trace.spans.size() / kSpansPerStep;
      Complete(slot, false, judge);
    }
    *limit -= std::min(steps, *limit);
  }
  return false;
}

bool TraceStore::Advance(std::int64_t now_ns, std::size_t limit, const Judge& judge) {
  if (AdvanceWheel(now_ns, &limit, judge)) return true;
  while (heard_first_ != kNone && slots_[heard_first_]->last_arrival_ns + limits_.ttl_ns <= now_ns) {
    if (limit-- == 0) return true;
    const std::uint32_t slot = heard_first_;
    if (slots_[slot]->bucket != Trace::kNoBucket) Complete(slot, true, judge);
    Evict(slot);
    ++counts_.evicted_ttl;
  }
  return false;
}

std::int64_t TraceStore::NextDue() const {
  const std::int64_t due = wheel_next_ == INT64_MAX ? INT64_MAX : wheel_next_ * kTickNs;
  return heard_first_ == kNone ? due : std::min(due, slots_[heard_first_]->last_arrival_ns + limits_.ttl_ns);
}

void TraceStore::Learn(Trace* trace) {
  if (trace->root == kNone || trace->learned_step != Trace::kNotLearned) return;
  trace->learned_root = trace->spans[trace->root].operation;
  trace->learned_step = RootGaps::StepOf(trace->widest_gap_ns);
  gaps_.Learn(trace->learned_root, trace->learned_step);
}

// Gives back what the trace took to grow, if that is much. Cheap for what is of the same size as the one before it.
void TraceStore::Pack(Trace* trace) {
  const std::uint64_t waste = (trace->spans.capacity() - trace->spans.size()) * sizeof(StoredSpan) +
                              (trace->details.capacity() - trace->details.size()) +
                              (trace->failures.capacity() - trace->failures.size()) * sizeof(FailedSpan);
  if (waste * kWasteShare <= trace->bytes) return;
  trace->spans.Shrink();
  trace->details.Shrink();
  trace->failures.Shrink();
}

void TraceStore::Complete(std::uint32_t slot, bool going, const Judge& judge) {
  Trace& trace = *slots_[slot];
  Unschedule(slot);
  if (trace.depth_lags) {
    const std::vector<std::uint32_t> depths = ExactDepths(trace);
    trace.depth = *std::max_element(depths.begin(), depths.end());
    trace.depth_lags = false;
  }
  if (!going) Learn(&trace);
  judge(slot, going);
  if (!trace.complete) ++counts_.completed;
  trace.complete = true;
  if (going) return;
  trace.verdicts.shrink_to_fit();
  Pack(&trace);
  Recount(&trace);
  MoveTo(slot, Wanted(trace));
}

void TraceStore::SaveNumbers(CodecWriter* out) const {
  out->U64(serial_).U64(counts_.begun).U64(counts_.completed).U64(counts_.late_spans).U64(counts_.duplicate_spans);
  out->U64(counts_.truncated_spans).U64(counts_.evicted_ttl).U64(counts_.evicted_max_traces);
  out->U64(counts_.evicted_memory).U64(counts_.cut);
  gaps_.Save(out);
}

bool TraceStore::LoadNumbers(CodecReader* in) {
  Counts counts = counts_;
  const std::uint64_t serial = in->U64();
  for (std::uint64_t* each :
       {&counts.begun, &counts.completed, &counts.late_spans, &counts.duplicate_spans, &counts.truncated_spans,
        &counts.evicted_ttl, &counts.evicted_max_traces, &counts.evicted_memory, &counts.cut}) {
    *each = in->U64();
  }
  RootGaps gaps;
  if (!gaps.Load(in, kMaxOperations + kMaxServices)) return false;
  serial_ = serial;
  counts_ = counts;
  gaps_ = std::move(gaps);
  return true;
}

void TraceStore::TakeNumbers(TraceStore& other) {
  serial_ = other.serial_;
  gaps_ = std::move(other.gaps_);
  Counts counts = other.counts_;
  counts.spans = counts_.spans;
  counts.bytes = counts_.bytes;
  counts_ = counts;
}

}  // namespace spanwatch::core
