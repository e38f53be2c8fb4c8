#include <new>
#include <utility>

#include "sdk/cpp/src/context_access.h"
#include "sdk/cpp/src/coroutine_node.h"
#include "spanwatch/coroutine.h"

namespace spanwatch {
namespace internal {

Node* WithoutDead(ThreadState* thread) noexcept {
  for (;;) {
    Node* const node = thread->current;
    if (node == nullptr) return nullptr;
    const NodeState life = node->life.load(std::memory_order_acquire);
    if (life == NodeState::kLive) return node;
    if (life == NodeState::kDead) {
      Unlink(thread, node);
      if (node->kind == NodeKind::kSpan) Unref(std::exchange(node->state, nullptr));
      continue;
    }
    auto* const own = static_cast<CoroutineNode*>(node);
    if (life == NodeState::kAsk) {
      if (own->IsAlive()) return node;
      Unlink(thread, node);
      if (node->life.exchange(NodeState::kDead, std::memory_order_acq_rel) == NodeState::kAsk) continue;
    } else {
      Unlink(thread, node);
    }
    delete own;  // its owner has left it
  }
}

void EndScopeOfCoroutine(Node* scope) noexcept {
  auto* const node = static_cast<CoroutineNode*>(scope->below);
  node->ended = true;
  node->scope = nullptr;
}

namespace {

bool IsOnStack(const ThreadState& thread, const Node* wanted) noexcept {
  for (const Node* node = thread.current; node != nullptr; node = node->below) {
    if (node == wanted) return true;
  }
  return false;
}

void CopyIds(const Node& from, CoroutineNode* to) noexcept {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  to->trace_hi.store(from.trace_hi.load(kRelaxed), kRelaxed);
  to->trace_lo.store(from.trace_lo.load(kRelaxed), kRelaxed);
  to->span_id.store(from.span_id.load(kRelaxed), kRelaxed);
  to->sampling = from.sampling;
  to->state = Ref(from.state);
}

void Delete(CoroutineNode* node) noexcept {
  if (node->scope != nullptr) node->scope->below = nullptr;
  delete node;
}

}  // namespace
}  // namespace internal

using internal::CoroutineNode;
using internal::Node;
using internal::NodeKind;
using internal::NodeState;
using internal::t_state;

CoroutineContext::CoroutineContext(Suspended) noexcept : parent_(Context::Current()) {}

CoroutineContext::~CoroutineContext() {
  Leave();
  while (owned_ != nullptr) {
    CoroutineNode* const node = owned_;
    owned_ = node->next_owned;
    internal::Delete(node);
  }
}

CoroutineNode* CoroutineContext::NewNode() noexcept {
  auto* const node = new (std::nothrow) CoroutineNode;
  if (node == nullptr) return nullptr;
  node->owner = this;
  node->next_owned = owned_;
  owned_ = node;
  return node;
}

void CoroutineContext::Enter() noexcept {
  if (running_) return;
  if (bottom_ == nullptr) {
    bottom_ = top_ = NewNode();
    if (bottom_ == nullptr) return;
    internal::ContextAccess::Fill(parent_, bottom_);
    internal::Ref(bottom_->state);
  }
  bottom_->below = t_state.current;
  t_state.current = top_;
  for (Node* node = top_; node != bottom_->below; node = node->below)
    node->linked.store(true, std::memory_order_relaxed);
  running_ = true;
}

void CoroutineContext::Leave() noexcept {
  if (!running_) return;
  running_ = false;
  internal::ThreadState* const thread = &t_state;
  if (!internal::IsOnStack(*thread, bottom_)) return Disown();
  CoroutineNode* kept = nullptr;  // the lowest so far: the chain is made from the top down
  top_ = nullptr;
  Node* node = thread->current;
  for (bool at_bottom = false; !at_bottom;) {
    at_bottom = node == bottom_;
    Node* const below = node->below;
    CoroutineNode* const own = TakeAlong(node);
    node->linked.store(false, std::memory_order_release);
    if (own != nullptr) {
      if (kept == nullptr)
        top_ = own;
      else
        kept->below = own;
      kept = own;
    }
    node = below;
  }
  thread->current = node;
  bottom_->below = nullptr;
  Prune();
}

// The node that stands for `node` from now on; null if that has ended, or without memory.
CoroutineNode* CoroutineContext::TakeAlong(Node* node) noexcept {
  if (node->kind == NodeKind::kCoroutine) {
    auto* const own = static_cast<CoroutineNode*>(node);
    return own->owner == this && own->IsAlive() ? own : nullptr;
  }
  if (node->life.load(std::memory_order_acquire) != NodeState::kLive) return nullptr;
  CoroutineNode* const own = NewNode();
  if (own == nullptr) return nullptr;
  internal::CopyIds(*node, own);
  if (node->kind == NodeKind::kSpan) {
    own->slot = static_cast<internal::Slot*>(node);
    own->generation = own->slot->generation.load(std::memory_order_relaxed);
  } else {
    own->scope = node;
    node->kind = NodeKind::kAwayScope;
    node->below = own;
  }
  return own;
}

// Deletes the nodes of what has ended. REQUIRES: not running.
void CoroutineContext::Prune() noexcept {
  for (CoroutineNode** at = &owned_; *at != nullptr;) {
    CoroutineNode* const node = *at;
    if (node->IsAlive()) {
      at = &node->next_owned;
      continue;
    }
    *at = node->next_owned;
    internal::Delete(node);
  }
}

// The coroutine went on on another thread and did not say so: the nodes on that thread's stack are not ours to touch.
void CoroutineContext::Disown() noexcept {
  while (owned_ != nullptr) {
    CoroutineNode* const node = owned_;
    owned_ = node->next_owned;
    if (node->scope != nullptr) node->scope->below = nullptr;
    node->scope = nullptr;
    if (node->life.exchange(NodeState::kOrphan, std::memory_order_acq_rel) == NodeState::kDead) delete node;
  }
  bottom_ = top_ = nullptr;
}

}  // namespace spanwatch
