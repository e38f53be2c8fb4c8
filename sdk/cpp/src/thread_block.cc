#include "sdk/cpp/src/thread_block.h"

#include <cxxabi.h>
#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "sdk/cpp/src/mutex.h"

namespace spanwatch::internal {

namespace {
// What a thread without a block counts as exceptions in flight: it has no span that could tell.
const unsigned kNoExceptions = 0;
}  // namespace

__thread ThreadState t_state __attribute__((tls_model("initial-exec"))) = {nullptr, nullptr, &kNoExceptions, 0};
// Before all constructors: tracing may start in one.
constinit Slot g_no_ring_slot;
constinit Slot g_no_slot_slot;
std::atomic<std::uint32_t> g_epoch{0};
std::atomic<std::uint64_t> g_sampling{0};
std::atomic<std::uint64_t> g_slow_ticks{UINT64_MAX};
std::atomic<std::uint64_t> g_no_ring{0};
std::atomic<std::uint64_t> g_no_slot{0};

namespace {

std::atomic<std::uint32_t> g_count{0};
std::atomic<ThreadBlock*> g_blocks[kMaxBlocks];
std::atomic<std::uint32_t> g_chunks_beyond_first{0};
std::atomic<std::uint64_t> g_table_bytes{0};
std::atomic<std::uint64_t> g_ring_bytes{0};
std::atomic<std::uint64_t> g_overflow_bytes{0};
std::atomic<std::uint32_t> g_blocks_released{1};

Mutex g_registry;
ThreadBlock* g_free_blocks GUARDED_BY(g_registry) = nullptr;
std::uint64_t g_base_no_ring GUARDED_BY(g_registry) = 0;
std::uint64_t g_base_no_slot GUARDED_BY(g_registry) = 0;

pthread_key_t g_exit_key;
pthread_once_t g_exit_once = PTHREAD_ONCE_INIT;
bool g_exit_key_made = false;

void FreeSlot(ThreadBlock* block, Slot* slot) noexcept {
  slot->below = block->free_slots;
  block->free_slots = slot;
}

// Slots that other threads ended go back on the free list.
void TakeBackDead(ThreadState* thread, ThreadBlock* block) noexcept {
  const std::uint32_t chunks = block->chunk_count.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < chunks; ++i) {
    Slot* const chunk = block->chunks[i].load(std::memory_order_relaxed);
    for (std::uint32_t j = 0; j < kSlotsPerChunk; ++j) {
      Slot* const slot = &chunk[j];
      if (slot->life.load(std::memory_order_acquire) != NodeState::kDead) continue;
      if (slot->linked.load(std::memory_order_relaxed)) Unlink(thread, slot);
      Unref(slot->state);
      slot->state = nullptr;
      slot->life.store(NodeState::kLive, std::memory_order_relaxed);
      FreeSlot(block, slot);
    }
  }
}

void AddChunk(ThreadBlock* block) noexcept {
  const std::uint32_t count = block->chunk_count.load(std::memory_order_relaxed);
  if (count == kMaxChunks) return;
  if (count > 0 && g_chunks_beyond_first.fetch_add(1, std::memory_order_relaxed) >= kMaxChunks) {
    g_chunks_beyond_first.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  Slot* const chunk = new (std::nothrow) Slot[kSlotsPerChunk];
  if (chunk == nullptr) {
    if (count > 0) g_chunks_beyond_first.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  for (std::uint32_t i = kSlotsPerChunk; i-- > 0;) {
    chunk[i].block = block;
    chunk[i].UseBody(chunk[i].inline_body, Slot::kInlineWords);
    FreeSlot(block, &chunk[i]);
  }
  g_table_bytes.fetch_add(sizeof(Slot) * kSlotsPerChunk, std::memory_order_relaxed);
  block->chunks[count].store(chunk, std::memory_order_relaxed);
  block->chunk_count.store(count + 1, std::memory_order_release);
}

void ReleaseBlock(void* pointer) noexcept {
  auto* const block = static_cast<ThreadBlock*>(pointer);
  t_state.current = nullptr;
  t_state.block = nullptr;
  const std::uint32_t chunks = block->chunk_count.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < chunks; ++i) {
    Slot* const chunk = block->chunks[i].load(std::memory_order_relaxed);
    for (std::uint32_t j = 0; j < kSlotsPerChunk; ++j) chunk[j].linked.store(false, std::memory_order_release);
  }
  MutexLock lock(&g_registry);
  block->next_free = g_free_blocks;
  g_free_blocks = block;
  g_blocks_released.fetch_add(1, std::memory_order_relaxed);
}

void MakeExitKey() noexcept { g_exit_key_made = pthread_key_create(&g_exit_key, ReleaseBlock) == 0; }

// REQUIRES: the registry's mutex.
ThreadBlock* NewBlock() noexcept REQUIRES(g_registry) {
  const std::uint32_t count = g_count.load(std::memory_order_relaxed);
  if (count == kMaxBlocks) return nullptr;
  const std::uint64_t capacity = count < kLargeRings ? kLargeRingBytes : kSmallRingBytes;
  // mmap: pages that were never touched cost nothing.
  void* const ring = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ring == MAP_FAILED) return nullptr;
  auto* const block = new (std::nothrow) ThreadBlock;
  if (block == nullptr) {
    munmap(ring, capacity);
    return nullptr;
  }
  block->ring = static_cast<std::uint64_t*>(ring);
  block->capacity = capacity;
  block->next_wake = capacity / 2;
  g_ring_bytes.fetch_add(capacity, std::memory_order_relaxed);
  g_table_bytes.fetch_add(sizeof(ThreadBlock), std::memory_order_relaxed);
  g_blocks[count].store(block, std::memory_order_relaxed);
  g_count.store(count + 1, std::memory_order_release);
  return block;
}

ThreadBlock* TakeFreeBlock() noexcept REQUIRES(g_registry) {
  ThreadBlock** best = nullptr;
  for (ThreadBlock** at = &g_free_blocks; *at != nullptr; at = &(*at)->next_free) {
    if (best == nullptr || (*at)->capacity > (*best)->capacity) best = at;
  }
  if (best == nullptr) return nullptr;
  ThreadBlock* const block = *best;
  *best = block->next_free;
  block->next_free = nullptr;
  return block;
}

}  // namespace

ThreadBlock* AcquireBlock() noexcept {
  ThreadState* const thread = &t_state;
  const std::uint32_t released = g_blocks_released.load(std::memory_order_relaxed);
  if (thread->released_seen == released) return nullptr;  // none then, and none came back since
  pthread_once(&g_exit_once, MakeExitKey);
  if (!g_exit_key_made) return nullptr;
  ThreadBlock* block;
  {
    MutexLock lock(&g_registry);
    block = TakeFreeBlock();
    if (block == nullptr) block = NewBlock();
  }
  if (block == nullptr || pthread_setspecific(g_exit_key, block) != 0) {
    thread->released_seen = released;
    if (block != nullptr) ReleaseBlock(block);
    return nullptr;
  }
  thread->block = block;
  // The Itanium C++ ABI fixes __cxa_eh_globals: a pointer, then the count of uncaught exceptions. Reading it by the
  // pointer saves two calls a span.
  thread->uncaught =
      reinterpret_cast<const unsigned*>(reinterpret_cast<const char*>(abi::__cxa_get_globals()) + sizeof(void*));
  FillRandom(block->random, sizeof(block->random));
  block->random[0] |= 1;
  TakeBackDead(thread, block);
  return block;
}

Slot* MoreSlots(ThreadState* thread) noexcept {
  ThreadBlock* const block = thread->block;
  TakeBackDead(thread, block);
  if (block->free_slots == nullptr) AddChunk(block);
  return block->free_slots;
}

void Unlink(ThreadState* thread, Node* node) noexcept {
  node->linked.store(false, std::memory_order_release);  // whoever ends it sees what this thread did with it
  if (thread->current == node) {
    thread->current = node->below;
    return;
  }
  for (Node* above = thread->current; above != nullptr; above = above->below) {
    if (above->below == node) {
      above->below = node->below;
      return;
    }
  }
}

std::uint64_t* AllocateBody(ThreadBlock* block, std::uint32_t words) noexcept {
  if (words <= kSpareWords && block->spare != nullptr) {
    std::uint64_t* const body = block->spare;
    block->spare = nullptr;
    return body;
  }
  const std::uint64_t bytes = std::uint64_t{words} * 8;
  if (g_overflow_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes <= kMaxOverflowBytes) {
    if (void* const body = std::malloc(bytes); body != nullptr) return static_cast<std::uint64_t*>(body);
  }
  g_overflow_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  return nullptr;
}

void FreeBody(ThreadBlock* block, std::uint64_t* body, std::uint32_t words) noexcept {
  if (block != nullptr && words == kSpareWords && block->spare == nullptr) {
    block->spare = body;
    return;
  }
  g_overflow_bytes.fetch_sub(std::uint64_t{words} * 8, std::memory_order_relaxed);
  std::free(body);
}

std::uint32_t BlockCount() noexcept { return g_count.load(std::memory_order_acquire); }
ThreadBlock* BlockAt(std::uint32_t index) noexcept { return g_blocks[index].load(std::memory_order_relaxed); }
std::uint64_t BlockBytes() noexcept {
  return g_ring_bytes.load(std::memory_order_relaxed) + g_table_bytes.load(std::memory_order_relaxed) +
         g_overflow_bytes.load(std::memory_order_relaxed) + TraceState::BytesHeld();
}

BlockCounts SumCounts() noexcept {
  MutexLock lock(&g_registry);
  BlockCounts sum;
  for (std::uint32_t i = 0; i < BlockCount(); ++i) {
    const ThreadBlock& block = *BlockAt(i);
    sum.sampled_out += block.sampled_out.load(std::memory_order_acquire) - block.base_sampled_out;
    sum.ring_full += block.ring_full.load(std::memory_order_acquire) - block.base_ring_full;
    sum.ended += block.ended.load(std::memory_order_relaxed) - block.base_ended;
  }
  sum.no_ring = g_no_ring.load(std::memory_order_relaxed) - g_base_no_ring;
  sum.no_slot = g_no_slot.load(std::memory_order_relaxed) - g_base_no_slot;
  sum.ended += sum.no_ring + sum.no_slot;
  return sum;
}

void ResetCounts() noexcept {
  MutexLock lock(&g_registry);
  for (std::uint32_t i = 0; i < BlockCount(); ++i) {
    ThreadBlock& block = *BlockAt(i);
    block.tail.store(block.head.load(std::memory_order_acquire), std::memory_order_release);
    block.base_ended = block.ended.load(std::memory_order_relaxed);
    block.base_sampled_out = block.sampled_out.load(std::memory_order_relaxed);
    block.base_ring_full = block.ring_full.load(std::memory_order_relaxed);
  }
  g_base_no_ring = g_no_ring.load(std::memory_order_relaxed);
  g_base_no_slot = g_no_slot.load(std::memory_order_relaxed);
}

void ResetRegistryLockAfterFork() noexcept { g_registry.ResetAfterFork(); }

void ResetBlocksAfterFork() noexcept {
  MutexLock lock(&g_registry);
  g_free_blocks = nullptr;
  for (std::uint32_t i = 0; i < BlockCount(); ++i) {
    ThreadBlock* const block = BlockAt(i);
    if (block == t_state.block) {
      FillRandom(block->random, sizeof(block->random));
      block->random[0] |= 1;
      continue;
    }
    block->free_slots = nullptr;
    const std::uint32_t chunks = block->chunk_count.load(std::memory_order_relaxed);
    for (std::uint32_t c = 0; c < chunks; ++c) {
      Slot* const chunk = block->chunks[c].load(std::memory_order_relaxed);
      for (std::uint32_t j = 0; j < kSlotsPerChunk; ++j) {
        // Spans that the parent's other threads had open. Their generation moves on, so that handles to them, should
        // this thread hold any, do nothing.
        chunk[j].generation.store(chunk[j].generation.load(std::memory_order_relaxed) | 1, std::memory_order_relaxed);
        chunk[j].life.store(NodeState::kLive, std::memory_order_relaxed);
        chunk[j].linked.store(false, std::memory_order_relaxed);
        FreeSlot(block, &chunk[j]);
      }
    }
    block->next_free = g_free_blocks;
    g_free_blocks = block;
  }
  g_blocks_released.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace spanwatch::internal
