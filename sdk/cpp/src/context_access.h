// Between the public Context and the nodes of a thread's stack.
#ifndef SPANWATCH_SDK_CPP_SRC_CONTEXT_ACCESS_H_
#define SPANWATCH_SDK_CPP_SRC_CONTEXT_ACCESS_H_

#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/context.h"
#include "spanwatch/span.h"

namespace spanwatch::internal {

// This thread's current span, if it runs on it; else without slot, as with tracing off.
SpanHandle CurrentSpan() noexcept;

struct ContextAccess {
  // A context of the node's ids, with its own reference to the tracestate.
  static Context Make(const Node& node) noexcept;
  // A node that borrows the context's tracestate.
  static void Fill(const Context& context, Node* node) noexcept {
    const bool valid = context.IsValid();
    node->trace_hi.store(valid ? context.trace_id_.hi : 0, std::memory_order_relaxed);
    node->trace_lo.store(valid ? context.trace_id_.lo : 0, std::memory_order_relaxed);
    node->span_id.store(valid ? context.span_id_.value : 0, std::memory_order_relaxed);
    node->sampling = context.sampling_;
    node->state = context.state_;
  }
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_CONTEXT_ACCESS_H_
