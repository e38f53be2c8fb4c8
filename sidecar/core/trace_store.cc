#include "sidecar/core/trace_store.h"

#include <algorithm>

#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

// The formula of bytes: a trace beside its spans, with its share of the tables and of malloc; then each piece of
// memory.
constexpr std::uint64_t kTraceBytes = sizeof(Trace) + 80;
constexpr std::uint64_t kPieceBytes = 16;
constexpr std::uint64_t kSpanBytes = 64;
static_assert(sizeof(StoredSpan) == kSpanBytes);

constexpr std::size_t kLinearSpans = 32;  // up to here a scan beats a table
constexpr int kMaxWalk = 64;              // steps upwards for one span; longer chains are recounted at completion
constexpr int kMaxCycleWalk = 256;
constexpr std::uint16_t kMaxLevels = UINT16_MAX;
constexpr std::size_t kReuseBytes = 4096;  // buffers up to this size stay with their slot
constexpr std::size_t kSpareSlots = 32;    // free slots that keep their memory
constexpr float kTableLoad = 0.8f;
constexpr std::uint64_t kTraceShare = 4;  // one trace may take a quarter of the store

std::uint16_t Levels(std::uint32_t value) {
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(value, kMaxLevels));
}

}  // namespace

std::uint32_t TraceStore::Find(const TraceId& id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? kNone : it->second;
}

std::uint32_t TraceStore::FindSpan(const Trace& trace, SpanId id) {
  if (trace.index != nullptr) {
    const SpanIndex::Entry* entry = trace.index->Find(id.value);
    return entry == nullptr ? kNone : entry->span;
  }
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans[i].span_id == id) return i;
  }
  return kNone;
}

std::uint32_t TraceStore::Obtain(std::int64_t now_ns, const TraceId& id) {
  if (last_slot_ != kNone && slots_[last_slot_]->id == id) return last_slot_;
  if (const auto it = by_id_.find(id); it != by_id_.end()) return last_slot_ = it->second;
  std::uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(std::make_unique<Trace>());
  } else {
    slot = free_.back();
    free_.pop_back();
    if (slots_[slot] == nullptr) slots_[slot] = std::make_unique<Trace>();
  }
  Trace& trace = *slots_[slot];
  trace.id = id;
  trace.serial = ++serial_;
  trace.first_arrival_ns = now_ns;
  trace.live = true;
  trace.list = kLists;
  trace.bytes = kTraceBytes;
  counts_.bytes += kTraceBytes;
  ++counts_.begun;
  trace.born_previous = youngest_;
  (youngest_ == kNone ? oldest_ : slots_[youngest_]->born_next) = slot;
  youngest_ = slot;
  by_id_.max_load_factor(kTableLoad);
  by_id_[id] = slot;
  return last_slot_ = slot;
}

// One pass: is the span here already, where is its parent, how tall are the children that came before it.
TraceStore::Relatives TraceStore::FindRelatives(const Trace& trace, SpanId id, SpanId parent) {
  Relatives found;
  if (trace.index != nullptr) {
    if (const SpanIndex::Entry* entry = trace.index->Find(id.value); entry != nullptr) {
      found.duplicate = entry->span != kNone;
      found.child_levels = entry->child_levels;
    }
    found.parent = parent.IsValid() ? FindSpan(trace, parent) : kNone;
    return found;
  }
  const auto count = static_cast<std::uint32_t>(trace.spans.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const StoredSpan& other = trace.spans[i];
    if (other.span_id == parent) found.parent = i;
    if (other.span_id == id) found.duplicate = true;
    if (other.parent_id == id && other.levels_below > found.child_levels) found.child_levels = other.levels_below;
  }
  return found;
}

bool TraceStore::ClosesCycle(const Trace& trace, std::uint32_t parent, std::uint32_t added) const {
  const SpanId id = trace.spans[added].span_id;
  for (int steps = 0; parent != kNone && steps < kMaxCycleWalk; ++steps) {
    const StoredSpan& span = trace.spans[parent];
    if (span.parent_id == id) return true;
    parent = span.parent != kNone || !span.parent_id.IsValid() ? span.parent : FindSpan(trace, span.parent_id);
  }
  return false;
}

// Connects spans[added] with its parent and keeps the depth up: exact as long as a chain grows from one end, or within
// kMaxWalk levels of the place where two chains are joined; beyond that ExactDepths() recounts at completion.
void TraceStore::Link(Trace* trace, std::uint32_t added, std::uint32_t parent) {
  StoredSpan& span = trace->spans[added];
  const std::uint16_t below = span.levels_below;
  if (parent == added || (parent != kNone && below > 1 && ClosesCycle(*trace, parent, added))) parent = kNone;
  span.parent = parent;
  span.levels_above = parent == kNone ? 1 : Levels(trace->spans[parent].levels_above + 1u);
  trace->depth = std::max<std::uint32_t>(trace->depth, span.levels_above + below - 1u);
  std::uint16_t height = Levels(below + 1u);
  int steps = 0;
  for (std::uint32_t at = parent; at != kNone && at != added; ++steps) {
    StoredSpan& ancestor = trace->spans[at];
    if (ancestor.levels_below >= height) break;
    if (steps == kMaxWalk) {
      trace->depth_lags = true;
      break;
    }
    ancestor.levels_below = height;
    trace->depth = std::max<std::uint32_t>(trace->depth, ancestor.levels_above + height - 1u);
    height = Levels(height + 1u);
    if (ancestor.parent == kNone && ancestor.parent_id.IsValid() && ancestor.parent_id != ancestor.span_id) {
      const std::uint32_t found = FindSpan(*trace, ancestor.parent_id);  // came after its child
      if (found != kNone && !ClosesCycle(*trace, found, at)) ancestor.parent = found;
      if (found == kNone) AwaitParent(trace, ancestor);
    }
    at = ancestor.parent;
  }
  if (parent == kNone) AwaitParent(trace, span);
}

// The span's parent may still come: the index must know how tall the chain below it is. (Small traces scan for it.)
void TraceStore::AwaitParent(Trace* trace, const StoredSpan& span) {
  if (trace->index == nullptr || !span.parent_id.IsValid()) return;
  SpanIndex::Entry& waited = trace->index->At(span.parent_id.value);
  waited.child_levels = std::max(waited.child_levels, span.levels_below);
}

// Times, errors, root, memory: what the trace as a whole says.
void TraceStore::Note(Trace* trace, const SpanView& span, std::uint32_t added) {
  trace->min_start_ns = std::min(trace->min_start_ns, span.start_ns);
  trace->max_end_ns = std::max({trace->max_end_ns, span.end_ns, span.start_ns});
  if (span.status == StatusCode::kError) {
    ++trace->errors;
    trace->kept = true;
  }
  if (span.end_ns - span.start_ns > limits_.slow_warning_ns) trace->kept = true;
  if (!span.parent_id.IsValid()) {
    if (!trace->true_root) trace->root = added;
    trace->true_root = true;
  } else if (span.parent_is_remote && trace->root == kNone) {
    trace->root = added;
  }
  if (span.memory_delta != kNoMemory && (trace->memory_delta == kNoMemory || span.memory_delta > trace->memory_delta)) {
    trace->memory_delta = span.memory_delta;
    trace->memory_span = added;
  }
}

// What the trace costs by the formula; the store's sums follow.
void TraceStore::Recount(Trace* trace) {
  const auto piece = [](std::uint64_t bytes) { return bytes == 0 ? 0 : bytes + kPieceBytes; };
  const std::uint64_t bytes = kTraceBytes + piece(trace->spans.size() * kSpanBytes) + piece(trace->details.size()) +
                              piece(trace->failures.size() * sizeof(FailedSpan)) +
                              (trace->index == nullptr ? 0 : piece(trace->index->bytes()) + sizeof(SpanIndex)) +
                              piece(trace->verdicts.size() * sizeof(TraceVerdict));
  Charge(trace, bytes - trace->bytes);  // may wrap around: sums modulo 2^64
}

void TraceStore::Charge(Trace* trace, std::uint64_t more) {
  trace->bytes += more;
  counts_.bytes += more;
  if (trace->list != kLists) list_bytes_[trace->list] += more;
}

// The quiet between two arrivals counts from the root on: before it nothing could have been complete.
void TraceStore::NoteGap(std::int64_t now_ns, Trace* trace) {
  const std::int64_t gap = now_ns - trace->last_arrival_ns;
  trace->last_arrival_ns = now_ns;
  if (trace->root == kNone || gap <= trace->widest_gap_ns) return;
  trace->widest_gap_ns = gap;
  if (trace->learned_step == Trace::kNotLearned) return;
  const std::uint8_t step = RootGaps::StepOf(gap);
  if (step <= trace->learned_step) return;
  gaps_.Relearn(trace->learned_root, trace->learned_step, step);
  trace->learned_step = step;
}

TraceStore::Added TraceStore::Add(std::int64_t now_ns, const SpanBatch& batch, const SpanView& span,
                                  std::uint32_t operation, bool name_kept_apart, std::uint32_t scope,
                                  std::uint32_t resource, std::uint32_t* slot) {
  *slot = Obtain(now_ns, span.trace_id);
  Trace& trace = *slots_[*slot];
  const Relatives relatives = FindRelatives(trace, span.span_id, span.parent_id);
  if (relatives.duplicate) {
    ++counts_.duplicate_spans;
    return Added::kDuplicate;
  }
  if (now_ns != trace.last_arrival_ns) NoteGap(now_ns, &trace);
  if (heard_last_ != *slot) Hear(*slot);
  if (trace.complete) ++counts_.late_spans;
  if (trace.spans.size() >= limits_.max_spans_per_trace || trace.bytes > limits_.memory_limit_bytes / kTraceShare) {
    ++trace.truncated;
    ++counts_.truncated_spans;
    last_tells_model_ = TellsModel(batch, span.attributes);
    if (trace.bucket == Trace::kNoBucket) Schedule(now_ns, *slot);
    MoveTo(*slot, Wanted(trace));
    return Added::kTruncated;
  }
  const auto added = static_cast<std::uint32_t>(trace.spans.size());
  const std::size_t detail_at = trace.details.size();
  last_tells_model_ = AppendDetail(batch, span, name_kept_apart, &trace.details);
  StoredSpan& stored = trace.spans.Add();  // filled in place: a copy would wait for its narrow stores
  stored.span_id = span.span_id;
  stored.parent_id = span.parent_id;
  stored.start_ns = span.start_ns;
  stored.end_ns = std::max(span.end_ns, span.start_ns);
  stored.operation = operation;
  stored.detail_at = static_cast<std::uint32_t>(detail_at);
  stored.detail_size = static_cast<std::uint32_t>(trace.details.size() - detail_at);
  stored.scope = static_cast<std::uint16_t>(scope);
  stored.resource = static_cast<std::uint16_t>(resource);
  stored.levels_below = Levels(relatives.child_levels + 1u);
  stored.kind = span.kind;
  stored.status = span.status;
  stored.remote_parent = span.parent_is_remote;
  stored.weight = static_cast<float>(span.weight);
  if (trace.index != nullptr || added >= kLinearSpans) IndexSpan(&trace, added);
  const bool had_root = trace.root != kNone;
  Link(&trace, added, relatives.parent);
  Note(&trace, span, added);
  if (trace.index != nullptr || added == 0 || trace.complete) {
    Recount(&trace);
  } else {
    Charge(&trace, kSpanBytes + stored.detail_size);
  }
  ++counts_.spans;
  if (had_root != (trace.root != kNone)) Unschedule(*slot);  // its gap is another one now
  if (trace.bucket == Trace::kNoBucket) Schedule(now_ns, *slot);
  const List list = Wanted(trace);
  if (trace.list != list || tails_[list] != *slot) MoveTo(*slot, list);
  // The next span is most often of the same trace, and memory that was evicted is cold: have its lines brought
  // while what stands between is done. (Beyond the capacity a prefetch does nothing.)
  __builtin_prefetch(trace.spans.end(), 1);
  __builtin_prefetch(trace.details.end() + 64, 1);
  __builtin_prefetch(trace.details.end() + 128, 1);
  return Added::kStored;
}

void TraceStore::NoteFailure(std::uint32_t slot, std::uint32_t group) {
  Trace& trace = *slots_[slot];
  Charge(&trace, sizeof(FailedSpan) + (trace.failures.empty() ? kPieceBytes : 0));
  trace.failures.Add() = {static_cast<std::uint32_t>(trace.spans.size() - 1), group};
}

// To the end of those in order of last arrival.
void TraceStore::Hear(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  if (heard_first_ == slot || trace.heard_previous != kNone) Unhear(slot);
  trace.heard_previous = heard_last_;
  (heard_last_ == kNone ? heard_first_ : slots_[heard_last_]->heard_next) = slot;
  heard_last_ = slot;
}

void TraceStore::Unhear(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  (trace.heard_previous == kNone ? heard_first_ : slots_[trace.heard_previous]->heard_next) = trace.heard_next;
  (trace.heard_next == kNone ? heard_last_ : slots_[trace.heard_next]->heard_previous) = trace.heard_previous;
  trace.heard_previous = trace.heard_next = kNone;
}

void TraceStore::IndexSpan(Trace* trace, std::uint32_t added) {
  if (trace->index != nullptr) {
    trace->index->At(trace->spans[added].span_id.value).span = added;
    return;
  }
  trace->index = std::make_unique<SpanIndex>();
  for (std::uint32_t i = 0; i < trace->spans.size(); ++i) {
    const StoredSpan& each = trace->spans[i];
    trace->index->At(each.span_id.value).span = i;
    AwaitParent(trace, each);
  }
}

void TraceStore::Unlink(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  if (trace.list == kLists) return;
  (trace.previous == kNone ? heads_[trace.list] : slots_[trace.previous]->next) = trace.next;
  (trace.next == kNone ? tails_[trace.list] : slots_[trace.next]->previous) = trace.previous;
  --list_sizes_[trace.list];
  list_bytes_[trace.list] -= trace.bytes;
  trace.list = kLists;
}

// To the tail: each list is in order of last arrival or completion.
void TraceStore::MoveTo(std::uint32_t slot, List list) {
  Trace& trace = *slots_[slot];
  Unlink(slot);
  trace.list = list;
  trace.previous = tails_[list];
  trace.next = kNone;
  (trace.previous == kNone ? heads_[list] : slots_[trace.previous]->next) = slot;
  tails_[list] = slot;
  ++list_sizes_[list];
  list_bytes_[list] += trace.bytes;
}

void TraceStore::MarkAlerted(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  trace.alerted = true;
  if (trace.kept) return;
  trace.kept = true;
  if (trace.complete) MoveTo(slot, kDoneKept);
}

void TraceStore::Evict(std::uint32_t slot) {
  Trace& trace = *slots_[slot];
  Unlink(slot);
  Unschedule(slot);
  Unhear(slot);
  (trace.born_previous == kNone ? oldest_ : slots_[trace.born_previous]->born_next) = trace.born_next;
  (trace.born_next == kNone ? youngest_ : slots_[trace.born_next]->born_previous) = trace.born_previous;
  by_id_.erase(trace.id);
  if (by_id_.size() * 16 < by_id_.bucket_count()) by_id_.rehash(0);
  counts_.bytes -= trace.bytes;
  counts_.spans -= trace.spans.size();
  if (last_slot_ == slot) last_slot_ = kNone;
  free_.push_back(slot);
  if (free_.size() > kSpareSlots) {
    slots_[slot] = nullptr;
    return;
  }
  FlatBuffer<StoredSpan> spans = std::move(trace.spans);
  FlatBuffer<char> details = std::move(trace.details);
  trace = Trace();
  if (spans.capacity() * sizeof(StoredSpan) <= kReuseBytes) {
    spans.clear();
    trace.spans = std::move(spans);
  }
  if (details.capacity() <= kReuseBytes) {
    details.clear();
    trace.details = std::move(details);
  }
}

// Complete traces go first; half the budget is for slow, failed and alerted ones; an open one only if nothing else is
// left.
std::uint32_t TraceStore::Oldest() const {
  const bool kept_over_half =
      list_sizes_[kDoneKept] * 2 > limits_.max_traces || list_bytes_[kDoneKept] * 2 > limits_.memory_limit_bytes;
  if (kept_over_half || heads_[kDonePlain] == kNone) {
    if (heads_[kDoneKept] != kNone) return heads_[kDoneKept];
  }
  return heads_[kDonePlain] != kNone ? heads_[kDonePlain] : heads_[kOpen];
}

bool TraceStore::EvictDown(const Judge& judge, std::size_t limit) {
  for (; OverLimit(); --limit) {
    if (limit == 0) return true;
    const bool too_many = by_id_.size() > limits_.max_traces;
    const std::uint32_t slot = Oldest();
    if (slot == kNone) break;
    const bool cut = !slots_[slot]->complete;
    if (slots_[slot]->bucket != Trace::kNoBucket) Complete(slot, true, judge);
    ++(cut ? counts_.cut : too_many ? counts_.evicted_max_traces : counts_.evicted_memory);
    Evict(slot);
  }
  return false;
}

std::vector<std::uint32_t> ExactDepths(const Trace& trace) {
  constexpr std::uint32_t kUnknown = 0;
  constexpr std::uint32_t kOnPath = UINT32_MAX;
  std::vector<std::uint32_t> depths(trace.spans.size(), kUnknown);
  std::vector<std::uint32_t> path;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) {
    std::uint32_t at = i;
    while (at != kNone && depths[at] == kUnknown) {
      depths[at] = kOnPath;
      path.push_back(at);
      const StoredSpan& span = trace.spans[at];
      at = span.parent_id.IsValid() ? TraceStore::FindSpan(trace, span.parent_id) : kNone;
    }
    std::uint32_t depth = at == kNone || depths[at] == kOnPath ? 0 : depths[at];
    for (; !path.empty(); path.pop_back()) depths[path.back()] = ++depth;
  }
  return depths;
}

}  // namespace spanwatch::core
