// What stands on a thread's stack for a span, a scope or a parent while a coroutine that has them runs there.
#ifndef SPANWATCH_SDK_CPP_SRC_COROUTINE_NODE_H_
#define SPANWATCH_SDK_CPP_SRC_COROUTINE_NODE_H_

#include <atomic>
#include <cstdint>

#include "sdk/cpp/src/thread_block.h"

namespace spanwatch::internal {

// Made and owned by a CoroutineContext; on the heap, because a thread that the coroutine left without saying so may
// still have it on its stack. Threads: the one where the coroutine runs; `life` alone is for all.
struct CoroutineNode : Node {
  CoroutineNode() noexcept {
    kind = NodeKind::kCoroutine;
    life.store(NodeState::kAsk, std::memory_order_relaxed);
  }

  ~CoroutineNode() { Unref(state); }

  // Whether what it stands for is still there. A parent always is.
  bool IsAlive() const noexcept {
    if (slot != nullptr) return slot->generation.load(std::memory_order_acquire) == generation;
    return !ended;
  }

  Slot* slot = nullptr;  // the span that it stands for
  std::uint64_t generation = 0;
  Node* scope = nullptr;  // the ContextScope that it stands for; that one points back by Node::below
  bool ended = false;     // that scope is gone
  const void* owner = nullptr;
  CoroutineNode* next_owned = nullptr;
};

// A ContextScope is going, and its coroutine's node stands for it.
void EndScopeOfCoroutine(Node* scope) noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_COROUTINE_NODE_H_
