// The fast path: a span's start and its end.
#include "spanwatch/span.h"

#include <cerrno>
#include <exception>

#include "sdk/cpp/src/allocations.h"
#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/context_access.h"
#include "sdk/cpp/src/record.h"
#include "sdk/cpp/src/runtime.h"
#include "sdk/cpp/src/span_body.h"
#include "sdk/cpp/src/thread_block.h"

namespace spanwatch::internal {

std::uint32_t g_tracing_mode = kModeOff;

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

inline std::uint32_t Mode(int order) noexcept { return __atomic_load_n(&g_tracing_mode, order); }

SpanHandle Lost(Slot* reason) noexcept { return {reason, kLostGeneration}; }

inline std::uint64_t DecideSampling(std::uint64_t trace_lo) noexcept {
  const std::uint64_t policy = g_sampling.load(kRelaxed);
  if (__builtin_expect(policy == 0, 1)) return kSampled | kRandomTraceId;
  const std::uint64_t threshold = policy & kThresholdMask;
  const bool kept = (policy & kSampleNothing) == 0 && (trace_lo & kThresholdMask) >= threshold;
  return threshold | kRandomTraceId | (kept ? kSampled : 0);
}

inline std::uint64_t NonZero(std::uint64_t value) noexcept { return value == 0 ? 1 : value; }

// The first span of a thread or process in a trace that has a correlation id.
__attribute__((noinline)) void TagCorrelation(SpanHandle handle, const TraceState& state) noexcept {
  if (state.correlation_size == 0) return;
  char id[kMaxBaggage];
  SetSpanText(handle, "correlation.id", std::string_view(id, DecodeBaggage(state.correlation(), id, sizeof(id))));
}

__attribute__((always_inline)) inline SpanHandle Open(ThreadState* thread, Slot* slot, Text name, SpanKind kind,
                                                      const Node* parent, std::uint32_t epoch) noexcept {
  ThreadBlock* const block = thread->block;
  block->free_slots = static_cast<Slot*>(slot->below);
  std::uint64_t(&random)[4] = block->random;
  if (parent != nullptr && parent->span_id.load(kRelaxed) != 0) {
    slot->trace_hi.store(parent->trace_hi.load(kRelaxed), kRelaxed);
    slot->trace_lo.store(parent->trace_lo.load(kRelaxed), kRelaxed);
    slot->parent_id.store(parent->span_id.load(kRelaxed), kRelaxed);
    slot->sampling = (parent->sampling & ~(kRemote | kRemoteParent | kCountsAllocations)) | (parent->sampling & kRemote)
                                                                                                << 1;
    slot->state = Ref(parent->state);
  } else {
    const std::uint64_t lo = NextRandom(random);
    slot->trace_hi.store(NonZero(NextRandom(random)), kRelaxed);
    slot->trace_lo.store(lo, kRelaxed);
    slot->parent_id.store(0, kRelaxed);
    slot->sampling = DecideSampling(lo);
    slot->state = nullptr;
  }
  slot->span_id.store(NonZero(NextRandom(random)), kRelaxed);
  slot->below = thread->current;
  slot->linked.store(true, kRelaxed);
  slot->uncaught = *thread->uncaught;
  slot->dropped_tags = slot->dropped_logs = 0;
  slot->failed = false;
  std::size_t name_bytes = name.size();
  if (__builtin_expect(name_bytes > kMaxNameBytes, 0)) name_bytes = CutUtf8(name.data(), name_bytes, kMaxNameBytes);
  if (__builtin_expect(IsConstant(name.data()), 1)) {
    slot->fill = Fill::Of(Slot::kInlineWords).Plus(0, name_bytes);
    slot->name.store(reinterpret_cast<std::uintptr_t>(name.data()), kRelaxed);
  } else {
    slot->name.store(0, kRelaxed);
    slot->fill = Fill::Of(Slot::kInlineWords).Plus(StoreText(slot->inline_body, name.data(), name_bytes), name_bytes);
  }
  slot->meta.store(
      name_bytes | static_cast<std::uint64_t>(kind) << kMetaKindShift | std::uint64_t{epoch} << kMetaEpochShift,
      kRelaxed);
  thread->current = slot;
  slot->start.store(Ticks(), kRelaxed);
  const std::uint64_t generation = slot->generation.load(kRelaxed) + 1;
  slot->generation.store(generation, std::memory_order_release);
  if (__builtin_expect(slot->state != nullptr, 0) && parent->kind != NodeKind::kSpan)
    TagCorrelation({slot, generation}, *slot->state);
  return {slot, generation};
}

// Leaves errno as it was: a span may stand between a call of the program and its look at that.
class KeptErrno {
 public:
  KeptErrno() noexcept = default;
  ~KeptErrno() { errno = before_; }
  KeptErrno(const KeptErrno&) = delete;
  KeptErrno& operator=(const KeptErrno&) = delete;

 private:
  const int before_ = errno;
};

// No block, no slot, a forked child, or allocations are counted: the rare cases. Returns the slot to open, or null with
// *lost set.
__attribute__((noinline)) Slot* SlowSlot(ThreadState* thread, SpanHandle* lost) noexcept {
  const KeptErrno kept_errno;
  const UncountedAllocations uncounted;
  if (Mode(__ATOMIC_ACQUIRE) == kModeForked && !RestartAfterFork()) return nullptr;
  if (thread->block == nullptr && AcquireBlock() == nullptr) {
    *lost = Lost(&g_no_ring_slot);
    return nullptr;
  }
  Slot* slot = thread->block->free_slots;
  if (slot == nullptr) slot = MoreSlots(thread);
  if (slot == nullptr) *lost = Lost(&g_no_slot_slot);
  return slot;
}

// Opens a span that counts what its thread allocates from here on.
__attribute__((noinline)) SpanHandle OpenCounting(ThreadState* thread, Slot* slot, Text name, SpanKind kind,
                                                  const Node* parent, std::uint32_t epoch) noexcept {
  const SpanHandle handle = Open(thread, slot, name, kind, parent, epoch);
  if (t_allocations.thread == 0) t_allocations.thread = NewAllocatingThread();
  slot->sampling |= kCountsAllocations;
  slot->allocating_thread = t_allocations.thread;
  slot->allocated_bytes = t_allocations.bytes;
  slot->allocations = t_allocations.count;
  return handle;
}

inline SpanHandle Start(Text name, SpanKind kind, const Node* parent, bool use_current) noexcept {
  ThreadState* const thread = &t_state;
  Slot* slot = nullptr;
  if (__builtin_expect(thread->block != nullptr && Mode(__ATOMIC_RELAXED) == kModeOn, 1))
    slot = thread->block->free_slots;
  if (__builtin_expect(slot == nullptr, 0)) {
    SpanHandle lost{nullptr, 0};
    slot = SlowSlot(thread, &lost);
    if (slot == nullptr) return lost;
    if (const std::uint32_t epoch = g_epoch.load(kRelaxed); Mode(__ATOMIC_RELAXED) == kModeCounting && (epoch & 1) != 0)
      return OpenCounting(thread, slot, name, kind, use_current ? LiveTop(thread) : parent, epoch);
  }
  const std::uint32_t epoch = g_epoch.load(kRelaxed);
  if (__builtin_expect((epoch & 1) == 0, 0)) return {nullptr, 0};
  return Open(thread, slot, name, kind, use_current ? LiveTop(thread) : parent, epoch);
}

// Room for `words` in the ring, or null. The words up to the returned place, if any, became padding.
inline std::uint64_t* Reserve(ThreadBlock* block, std::uint64_t head, std::uint64_t words,
                              std::uint64_t* new_head) noexcept {
  const std::uint64_t bytes = words * 8;
  const std::uint64_t offset = head & (block->capacity - 1);
  const std::uint64_t to_end = block->capacity - offset;
  const std::uint64_t padding = __builtin_expect(to_end < bytes, 0) ? to_end : 0;
  *new_head = head + padding + bytes;
  if (__builtin_expect(*new_head - block->cached_tail > block->capacity, 0)) {
    block->cached_tail = block->tail.load(std::memory_order_acquire);
    if (*new_head - block->cached_tail > block->capacity) return nullptr;
  }
  std::uint64_t* const at = block->ring + offset / 8;
  if (padding == 0) return at;
  *at = padding / 8 | kRecordPadding;
  return block->ring;
}

inline void WakeIfHalfFull(ThreadBlock* block, std::uint64_t head) noexcept {
  if (__builtin_expect(head < block->next_wake, 1)) return;
  const std::uint64_t tail = block->tail.load(std::memory_order_acquire);
  block->cached_tail = tail;
  const std::uint64_t half = block->capacity / 2;
  if (head - tail < half) {
    block->next_wake = tail + half;
    return;
  }
  block->next_wake = head + half;
  Wake(kWakeFull);
}

inline std::uint64_t AtMost16(std::uint32_t count) noexcept { return count > 0xffff ? 0xffff : count; }

inline bool IsPlain(const Slot& slot) noexcept {
  return slot.sampling == (kSampled | kRandomTraceId) && slot.state == nullptr && slot.dropped_tags == 0 &&
         slot.dropped_logs == 0 && slot.fill.text_bytes() <= kMaxPlainText;
}

__attribute__((noinline)) std::uint64_t* PutExtra(std::uint64_t* out, const Slot& slot, std::uint32_t dropped_tags,
                                                  std::uint32_t dropped_logs) noexcept {
  // What another thread allocated before it ended this span says nothing.
  const bool counted = (slot.sampling & kCountsAllocations) != 0 && slot.allocating_thread == t_allocations.thread;
  out[kAllocatedBytesWord] = counted ? t_allocations.bytes - slot.allocated_bytes : 0;
  out[kAllocationsWord] = counted ? t_allocations.count - slot.allocations : 0;
  out[kSamplingWord] = counted ? slot.sampling : slot.sampling & ~kCountsAllocations;
  out[kStateWord] = reinterpret_cast<std::uintptr_t>(slot.block == t_state.block ? slot.state : Ref(slot.state));
  out[kCountsWord] = slot.fill.text_bytes() | AtMost16(dropped_tags) << 32 | AtMost16(dropped_logs) << 48;
  return out + kExtraEnd;
}

// Writes the record straight into the ring, word by word: a copy through the stack or by vector would wait for the
// slot's fresh scalar stores.
inline bool Publish(ThreadBlock* block, const Slot* slot, std::uint64_t end) noexcept {
  std::uint32_t body_words = slot->BodyWords();
  std::uint32_t dropped_tags = slot->dropped_tags;
  std::uint32_t dropped_logs = slot->dropped_logs;
  if (__builtin_expect((body_words + kExtraEnd) * 16 > block->capacity, 0)) {
    TruncateBody(*slot, static_cast<std::uint32_t>(block->capacity / 16) - kExtraEnd, &body_words, &dropped_tags,
                 &dropped_logs);
  }
  const bool plain = IsPlain(*slot) && dropped_tags + dropped_logs == 0;
  const std::uint64_t head = block->head.load(kRelaxed);
  const std::uint64_t words = (plain ? kHeaderWords : kExtraEnd) + body_words;
  std::uint64_t new_head;
  std::uint64_t* const out = Reserve(block, head, words, &new_head);
  if (__builtin_expect(out == nullptr, 0)) return false;
  const std::uint64_t meta = slot->meta.load(kRelaxed);
  const std::uint64_t name = slot->name.load(kRelaxed);
  out[kSizeWord] = words | (slot->failed ? kRecordFailed : 0) | (plain ? 0 : kRecordExtra) |
                   (name != 0 ? kRecordConstantName | (name - g_constants_begin) << 32 : 0) |
                   (meta & kMetaNameMask) << 18 | (meta >> kMetaKindShift & 7) << 27;
  out[kEndWord] = end;
  out[kStartWord] = slot->start.load(kRelaxed);
  out[kTraceHiWord] = slot->trace_hi.load(kRelaxed);
  out[kTraceLoWord] = slot->trace_lo.load(kRelaxed);
  out[kSpanWord] = slot->span_id.load(kRelaxed);
  out[kParentWord] = slot->parent_id.load(kRelaxed);
  std::uint64_t* const body =
      __builtin_expect(plain, 1) ? out + kHeaderWords : PutExtra(out, *slot, dropped_tags, dropped_logs);
  CopyWords(body, slot->body, body_words);
  block->head.store(new_head, std::memory_order_release);
  return true;
}

// Of a span that another thread than its owner ends. Where it is still on the owner's stack, that may be making a child
// of it just now, and take a reference: the slot keeps its own until the owner takes it back.
__attribute__((noinline)) void DropState(Slot* slot) noexcept {
  if (slot->linked.load(std::memory_order_acquire)) return;
  Unref(slot->state);
  slot->state = nullptr;
}

// No record took over the reference of a span that its owner ends.
__attribute__((noinline)) void UnrefOwn(const Slot& slot) noexcept {
  if (slot.block == t_state.block) Unref(slot.state);
}

// Gives the slot back: to the owner's list, or marked for the owner when another thread ends the span.
inline void Close(ThreadState* thread, Slot* slot, SpanHandle handle, TraceState* unpublished) noexcept {
  slot->generation.store(handle.generation + 1, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);  // before the next span's words
  if (__builtin_expect(unpublished != nullptr, 0)) UnrefOwn(*slot);
  if (__builtin_expect(slot->body != slot->inline_body, 0)) {
    FreeBody(thread->block, slot->body, slot->body_capacity);
    slot->UseBody(slot->inline_body, Slot::kInlineWords);
  }
  if (__builtin_expect(slot->block != thread->block, 0)) {
    DropState(slot);
    slot->life.store(NodeState::kDead, std::memory_order_release);
    return;
  }
  if (__builtin_expect(thread->current == slot, 1)) {
    thread->current = slot->below;
  } else if (slot->linked.load(kRelaxed)) {
    Unlink(thread, slot);
  }
  slot->below = thread->block->free_slots;
  thread->block->free_slots = slot;
}

void CountLost(const Slot* reason) noexcept {
  if ((g_epoch.load(kRelaxed) & 1) == 0) return;
  (reason == &g_no_ring_slot ? g_no_ring : g_no_slot).fetch_add(1, kRelaxed);
}

inline void Add(std::atomic<std::uint64_t>* counter) noexcept {  // one writer: no locked instruction
  counter->store(counter->load(kRelaxed) + 1, std::memory_order_release);
}

inline void End(ThreadState* thread, SpanHandle handle) noexcept {
  Slot* const slot = handle.slot;
  if (__builtin_expect(slot->generation.load(kRelaxed) != handle.generation, 0)) {
    return handle.generation == kLostGeneration ? CountLost(slot) : void();
  }
  ThreadBlock* block = thread->block;
  const std::uint32_t epoch = static_cast<std::uint32_t>(slot->meta.load(kRelaxed) >> kMetaEpochShift);
  if (__builtin_expect(epoch != g_epoch.load(kRelaxed), 0)) return Close(thread, slot, handle, slot->state);
  if (__builtin_expect(block == nullptr, 0)) {
    block = AcquireBlock();
    if (block == nullptr) {
      CountLost(&g_no_ring_slot);
      return Close(thread, slot, handle, slot->state);
    }
  }
  if ((slot->sampling & kSampled) == 0 && !slot->failed) {
    Add(&block->sampled_out);
    Add(&block->ended);
    return Close(thread, slot, handle, slot->state);
  }
  const std::uint64_t end = Ticks();
  const bool urgent = slot->failed || end - slot->start.load(kRelaxed) > g_slow_ticks.load(kRelaxed);
  const bool published = Publish(block, slot, end);
  if (__builtin_expect(!published, 0)) Add(&block->ring_full);
  Add(&block->ended);
  // The record took over the reference to the tracestate; of another thread's span it has one of its own.
  Close(thread, slot, handle, published ? nullptr : slot->state);
  if (__builtin_expect(!published, 0)) return Wake(kWakeFull);
  if (__builtin_expect(urgent, 0)) Wake(kWakeSoon);
  WakeIfHalfFull(block, block->head.load(kRelaxed));
}

}  // namespace

SpanHandle StartSpan(Text name, SpanKind kind) noexcept { return Start(name, kind, nullptr, true); }

SpanHandle StartSpanUnder(Text name, SpanKind kind, const Context& parent) noexcept {
  Node node;
  ContextAccess::Fill(parent, &node);
  return Start(name, kind, &node, false);
}

void EndSpan(SpanHandle handle) noexcept { End(&t_state, handle); }

void EndSpanInDestructor(SpanHandle handle) noexcept {
  ThreadState* const thread = &t_state;
  Slot* const slot = handle.slot;
  if (__builtin_expect(slot->block == thread->block, 1)) {
    if (__builtin_expect(*thread->uncaught > slot->uncaught, 0)) FailByUnwinding(handle);
  } else if (std::uncaught_exceptions() > 0) {
    FailByUnwinding(handle);
  }
  End(thread, handle);
}

void DetachSpan(SpanHandle handle) noexcept {
  Slot* const slot = handle.slot;
  ThreadState* const thread = &t_state;
  if (slot->generation.load(kRelaxed) != handle.generation) return;
  if (slot->block == thread->block && slot->linked.load(kRelaxed)) Unlink(thread, slot);
}

bool IsSpanRecording(SpanHandle handle) noexcept {
  return handle.slot->generation.load(kRelaxed) == handle.generation &&
         static_cast<std::uint32_t>(handle.slot->meta.load(kRelaxed) >> kMetaEpochShift) == g_epoch.load(kRelaxed);
}

Context SpanContext(SpanHandle handle) noexcept {
  if (handle.slot->generation.load(kRelaxed) != handle.generation) return Context();
  return ContextAccess::Make(*handle.slot);
}

}  // namespace spanwatch::internal
