// What one traced thread has: a ring of ended spans, a table of open ones, counters, a random generator. Blocks are
// made once, live for ever and pass from a thread that exits to a new one; the sender reads all of them.
#ifndef SPANWATCH_SDK_CPP_SRC_THREAD_BLOCK_H_
#define SPANWATCH_SDK_CPP_SRC_THREAD_BLOCK_H_

#include <atomic>
#include <cstdint>

#include "sdk/cpp/src/record.h"
#include "sdk/cpp/src/trace_state.h"
#include "spanwatch/ids.h"

// Without this, every use of a variable from another file would go by way of the global offset table.
#pragma GCC visibility push(hidden)

namespace spanwatch::internal {

struct ThreadBlock;

struct CoroutineNode;

enum class NodeKind : std::uint8_t {
  kScope,
  kAwayScope,  // in a coroutine: a CoroutineNode (`below`) stands for it
  kSpan,
  kCoroutine,
};
enum class NodeState : std::uint8_t {
  kLive,
  kDead,    // a span that another thread ended: its slot waits for the owner to take it back
  kAsk,     // a coroutine's node: it is as alive as what it stands for
  kOrphan,  // a coroutine's node that nobody owns any more: deleted by whoever takes it off
};

// A context on a thread's stack of contexts: an open span (Slot), a ContextScope, or what stands for one of these while
// its coroutine runs (CoroutineNode). Linked to the one below it.
// The ids are atomic because the sender reads open spans; a thread's own loads and stores of them are plain moves.
struct Node {
  std::atomic<std::uint64_t> trace_hi{0};
  std::atomic<std::uint64_t> trace_lo{0};
  std::atomic<std::uint64_t> span_id{0};
  std::uint64_t sampling = 0;
  TraceState* state = nullptr;  // one reference
  Node* below = nullptr;
  std::atomic<NodeState> life{NodeState::kLive};
  NodeKind kind = NodeKind::kScope;
  // Is on its thread's stack. Written by that thread; of a span, read by the one that ends it.
  std::atomic<bool> linked{false};
};

// How full a span's body is: words used, bytes of text, tags, logs, in one word, so that a tag costs one load, one
// store and one test of all limits. Each field starts so high that going over its limit sets its top bit.
class Fill {
 public:
  // For a body of `capacity` words (at most 0x7fff).
  static constexpr Fill Of(std::uint32_t capacity) noexcept {
    return Fill(std::uint64_t{kMaxWords - capacity} | kTextStart << kTextShift | kTagStart << kTagShift |
                kLogStart << kLogShift);
  }
  constexpr Fill Plus(std::size_t words, std::size_t text_bytes, std::uint32_t tags = 0,
                      std::uint32_t logs = 0) const noexcept {
    return Fill(bits_ + (words | text_bytes << kTextShift | std::uint64_t{tags} << kTagShift |
                         std::uint64_t{logs} << kLogShift));
  }
  constexpr std::uint64_t OverBits() const noexcept { return bits_ & kTops; }
  constexpr bool Over() const noexcept { return OverBits() != 0; }
  constexpr bool WordsOver() const noexcept { return (bits_ & 0x8000) != 0; }
  // REQUIRES: !Over() before and after.
  constexpr Fill Grown(std::uint32_t more_words) const noexcept { return Fill(bits_ - more_words); }

  // Words used, plus kMaxWords less the capacity: counts from Slot::origin.
  constexpr std::uint32_t offset() const noexcept { return bits_ & 0xffff; }
  constexpr std::uint32_t words(std::uint32_t capacity) const noexcept { return offset() - (kMaxWords - capacity); }
  constexpr std::uint32_t text_bytes() const noexcept { return (bits_ >> kTextShift & 0xffffff) - kTextStart; }
  constexpr std::uint32_t tags() const noexcept { return (bits_ >> kTagShift & 0xff) - kTagStart; }
  constexpr std::uint32_t logs() const noexcept { return (bits_ >> kLogShift & 0xff) - kLogStart; }

  static constexpr std::uint32_t kMaxWords = 0x7fff;

 private:
  static constexpr int kTextShift = 16, kTagShift = 40, kLogShift = 48;
  static constexpr std::uint64_t kTextStart = 0x7fffff - kMaxSpanText;
  static constexpr std::uint64_t kTagStart = 0x7f - kMaxTags;
  static constexpr std::uint64_t kLogStart = 0x7f - kMaxLogs;
  static constexpr std::uint64_t kTops =
      std::uint64_t{1} << 15 | std::uint64_t{1} << 39 | std::uint64_t{1} << 47 | std::uint64_t{1} << 55;
  constexpr explicit Fill(std::uint64_t bits) noexcept : bits_(bits) {}
  std::uint64_t bits_;
};

// An open span. `generation` is even while it is open; the sender copies the atomic words and looks at it again.
struct Slot : Node {
  static constexpr std::uint32_t kInlineWords = 48;

  constexpr Slot() noexcept { kind = NodeKind::kSpan; }

  std::atomic<std::uint64_t> generation{1};
  std::atomic<std::uint64_t> parent_id{0};
  std::atomic<std::uint64_t> start{0};  // ticks
  std::atomic<std::uint64_t> name{0};   // address of a constant text; 0: the first words of inline_body
  std::atomic<std::uint64_t> meta{0};   // kMeta*
  ThreadBlock* block = nullptr;
  std::uint32_t uncaught = 0;  // exceptions in flight when it started
  std::uint16_t dropped_tags = 0;
  std::uint16_t dropped_logs = 0;
  bool failed = false;
  std::uint64_t allocated_bytes = 0, allocations = 0;  // of its thread when it started, with kCountsAllocations
  std::uint64_t allocating_thread = 0;
  Fill fill = Fill::Of(kInlineWords);
  std::uint32_t body_capacity = kInlineWords;
  std::uint64_t* body = inline_body;  // or an overflow body, when it outgrew that
  std::uintptr_t origin = 0;          // the next entry is fill.offset() words further. Set by UseBody()
  std::uint64_t inline_body[kInlineWords] = {};

  static std::uintptr_t OriginOf(const std::uint64_t* body, std::uint32_t capacity) noexcept {
    return reinterpret_cast<std::uintptr_t>(body) - (Fill::kMaxWords - capacity) * sizeof(std::uint64_t);
  }
  void UseBody(std::uint64_t* new_body, std::uint32_t capacity) noexcept {
    body = new_body;
    body_capacity = capacity;
    origin = OriginOf(new_body, capacity);
  }
  std::uint32_t BodyWords() const noexcept { return fill.words(body_capacity); }
  std::uint64_t* NextEntry() const noexcept {
    return reinterpret_cast<std::uint64_t*>(origin + fill.offset() * sizeof(std::uint64_t));
  }
};

inline constexpr std::uint64_t kMetaNameMask = 0xffff;  // bytes of the name
inline constexpr int kMetaKindShift = 16;               // 4 bits
// The run (g_epoch) that it was started in: a span of an earlier run, or from before a fork, is told apart.
inline constexpr int kMetaEpochShift = 32;

inline constexpr std::uint32_t kSlotsPerChunk = 16;
inline constexpr std::uint32_t kMaxChunks = 96;  // of one block, and beyond the first chunk, of all together
inline constexpr std::uint32_t kLargeRings = 8;
inline constexpr std::uint32_t kMaxBlocks = 72;  // 8 x 256 KiB + 64 x 32 KiB = 4 MiB
inline constexpr std::uint64_t kLargeRingBytes = 256 << 10;
inline constexpr std::uint64_t kSmallRingBytes = 32 << 10;

struct ThreadBlock {
  // Written by the owner.
  alignas(64) std::atomic<std::uint64_t> head{0};  // bytes ever written
  std::uint64_t cached_tail = 0;
  std::uint64_t next_wake = 0;
  std::uint64_t* ring = nullptr;
  std::uint64_t capacity = 0;           // bytes, a power of two
  std::atomic<std::uint64_t> ended{0};  // spans, since ever
  std::atomic<std::uint64_t> sampled_out{0};
  std::atomic<std::uint64_t> ring_full{0};
  std::uint64_t random[4] = {};
  Slot* free_slots = nullptr;      // linked by Node::below
  std::uint64_t* spare = nullptr;  // one overflow body of kSpareWords, kept for the next span
  // Written by the sender.
  alignas(64) std::atomic<std::uint64_t> tail{0};  // bytes ever read
  // Written by the owner, read by the sender.
  alignas(64) std::atomic<std::uint32_t> chunk_count{0};
  std::atomic<Slot*> chunks[kMaxChunks] = {};
  // Guarded by the registry's mutex.
  ThreadBlock* next_free = nullptr;
  std::uint64_t base_ended = 0, base_sampled_out = 0, base_ring_full = 0;  // at Start
};

inline constexpr std::uint32_t kSpareWords = 512;
inline constexpr std::uint32_t kMaxBodyWords = 8192;
inline constexpr std::uint64_t kMaxOverflowBytes = 768 << 10;  // with rings, tables and batches: below 10 MB

struct ThreadState {
  ThreadBlock* block;
  Node* current;
  const unsigned* uncaught;     // this thread's count of exceptions in flight
  std::uint32_t released_seen;  // g_blocks_released when this thread found no block
};
// __thread and initial-exec: no wrapper function and no call to find it.
extern __thread ThreadState t_state __attribute__((tls_model("initial-exec")));

// Spans whose end must be counted though there is no room for them. Never open, shared by all threads.
extern Slot g_no_ring_slot;
extern Slot g_no_slot_slot;
inline constexpr std::uint64_t kLostGeneration = 0;

// Odd while a run (Start to Shutdown) goes on. A span counts only in the run that it was started in.
extern std::atomic<std::uint32_t> g_epoch;
// No trace is kept at all (sample rate 0): bit 63. Else the threshold.
extern std::atomic<std::uint64_t> g_sampling;
inline constexpr std::uint64_t kSampleNothing = std::uint64_t{1} << 63;
// Between that word and a rate of 0..1.
inline std::uint64_t SamplingPolicy(double rate) noexcept {
  bool nothing = false;
  const std::uint64_t threshold = ThresholdOf(rate, &nothing);
  return threshold | (nothing ? kSampleNothing : 0);
}
inline double RateOf(std::uint64_t policy) noexcept {
  if ((policy & kSampleNothing) != 0) return 0;
  return 1 - static_cast<double>(policy & kThresholdMask) / static_cast<double>(kThresholdMask + 1);
}
// A span longer than this wakes the sender.
extern std::atomic<std::uint64_t> g_slow_ticks;
// Spans lost without a block, since ever.
extern std::atomic<std::uint64_t> g_no_ring;
extern std::atomic<std::uint64_t> g_no_slot;

// Finds the program's constants (record.h).
void FindConstants() noexcept;

// A block for this thread (t_state.block), or null: then spans are lost with reason no_ring. Taken back at thread exit.
ThreadBlock* AcquireBlock() noexcept;
// A free slot of the thread's block when its list is empty, or null.
Slot* MoreSlots(ThreadState* thread) noexcept;
// Takes a node off this thread's stack.
void Unlink(ThreadState* thread, Node* node) noexcept;
// Takes the dead nodes off the top of this thread's stack.
Node* WithoutDead(ThreadState* thread) noexcept;
// The top of this thread's stack, or null.
inline Node* LiveTop(ThreadState* thread) noexcept {
  Node* const node = thread->current;
  if (__builtin_expect(node == nullptr || node->life.load(std::memory_order_acquire) == NodeState::kLive, 1))
    return node;
  return WithoutDead(thread);
}

// Overflow bodies, bounded for the process.
std::uint64_t* AllocateBody(ThreadBlock* block, std::uint32_t words) noexcept;
void FreeBody(ThreadBlock* block, std::uint64_t* body, std::uint32_t words) noexcept;

// All blocks, for the sender: `count` is read once with acquire, entries never change.
std::uint32_t BlockCount() noexcept;
ThreadBlock* BlockAt(std::uint32_t index) noexcept;
std::uint64_t BlockBytes() noexcept;  // memory of rings, tables and overflow bodies

struct BlockCounts {
  std::uint64_t ended = 0, sampled_out = 0, ring_full = 0, no_ring = 0, no_slot = 0;
};
// Sums since the last ResetCounts().
BlockCounts SumCounts() noexcept;
// At Start: discards what the rings hold and counts from here.
void ResetCounts() noexcept;
// In a forked child, at once: whoever held the lock is not there.
void ResetRegistryLockAfterFork() noexcept;
// In a forked child, before the first Start there: only the calling thread's block still has an owner.
void ResetBlocksAfterFork() noexcept;

// Wakes the sender. `kWakeFull` asks it to come at once, `kWakeSoon` within a millisecond.
enum : std::uint32_t { kAsleep = 0, kWakeSoon = 1, kWakeFull = 2 };
extern std::atomic<std::uint32_t> g_wake;
void Wake(std::uint32_t how) noexcept;
// The descriptor that Wake() writes to, made now if there is none; never closed. -1: none could be made.
int WakeDescriptor() noexcept;
void RemakeWakeDescriptorAfterFork() noexcept;
// Whether the process may open so many more.
bool AreDescriptorsLeft(int count) noexcept;

inline std::uint64_t NextRandom(std::uint64_t (&s)[4]) noexcept {  // xoshiro256+
  const std::uint64_t result = s[0] + s[3];
  const std::uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = s[3] << 45 | s[3] >> 19;
  return result;
}
// Random bytes from the kernel; from clock and address if it has none.
void FillRandom(void* out, std::size_t size) noexcept;

}  // namespace spanwatch::internal

#pragma GCC visibility pop

#endif  // SPANWATCH_SDK_CPP_SRC_THREAD_BLOCK_H_
