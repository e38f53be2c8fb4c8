// Context in C++20 coroutines, which stop on one thread and go on on another.
//
// A thread's current span is the thread's: when a coroutine is suspended, its open spans must leave the thread, and
// come back on the thread where it goes on. Three ways, from the most comfortable to the most general:
//
// 1. A task type of your own: its promise derives from TracedPromise (examples/coroutines/task.h). All spans, scopes
//    and co_awaits in its coroutines then work as in plain functions.
// 2. A task type of others: a CoroutineContext is the coroutine's first variable, and each co_await goes through it.
//
//      cppcoro::task<std::string> Answer(Message message) {
//        spanwatch::CoroutineContext context;
//        spanwatch::Span span("Bot.answer");
//        std::string text = co_await context.Await(model.Generate(message));  // a span in Generate: child of span
//        spanwatch::Span send("Bot.send");                                    // child of span, on whatever thread
//        ...
//
// 3. Neither: a Span that is open over a plain co_await stays current on the thread that it left, where other work
//    finds a wrong parent; span.Detach() before the co_await prevents that, and `Span(name, kind, span.context())`
//    makes the children.
//
// CoroutineContext itself is C++17; Await and TracedPromise need nothing but coroutines.
#ifndef SPANWATCH_COROUTINE_H_
#define SPANWATCH_COROUTINE_H_

#include <utility>

#include "spanwatch/async.h"
#include "spanwatch/context.h"

#pragma GCC visibility push(default)
namespace spanwatch {

namespace internal {
struct CoroutineNode;
struct Node;
}  // namespace internal

// The contexts of one coroutine: those that it was created in, and the spans and scopes that it has open. Neither
// copied nor moved. Threads: the one where the coroutine runs, like all of its variables. Nothing throws; without
// memory spans get a parent further up.
class CoroutineContext {
 public:
  struct Suspended {};

  // In a running coroutine, before its spans: what is current now is the parent of all.
  CoroutineContext() noexcept : CoroutineContext(Suspended()) { Enter(); }
  // In a promise: what is current now is the parent; the coroutine runs from Enter() on.
  explicit CoroutineContext(Suspended) noexcept;
  ~CoroutineContext();
  CoroutineContext(const CoroutineContext&) = delete;
  CoroutineContext& operator=(const CoroutineContext&) = delete;

  // The coroutine stops running on this thread: what it has open is not current here any more. Before it can be
  // resumed.
  void Leave() noexcept;
  // It runs, on this thread. What it has open is current again.
  void Enter() noexcept;

  // `co_await context.Await(x)` is `co_await x` between Leave() and Enter(), if it does suspend. With coroutines only.
  template <typename Awaitable>
  auto Await(Awaitable&& awaitable);

 private:
  internal::CoroutineNode* NewNode() noexcept;
  internal::CoroutineNode* TakeAlong(internal::Node* node) noexcept;
  void Prune() noexcept;
  void Disown() noexcept;

  const Context parent_;
  internal::CoroutineNode* bottom_ = nullptr;  // stands for parent_; null: not entered yet, or no memory
  internal::CoroutineNode* top_ = nullptr;     // while not running: the uppermost, linked down to bottom_
  internal::CoroutineNode* owned_ = nullptr;   // all of them
  bool running_ = false;
};

#if defined(__cpp_impl_coroutine)

namespace internal {

template <typename Awaitable>
class [[nodiscard]] ContextAwaiter {
 public:
  ContextAwaiter(CoroutineContext* context, Awaitable&& awaitable)
      : context_(context), awaiter_(GetAwaiter(std::forward<Awaitable>(awaitable))) {}

  bool await_ready() { return static_cast<bool>(awaiter_.await_ready()); }
  template <typename Handle>
  auto await_suspend(Handle coroutine) {
    // Before it can be resumed elsewhere; afterwards this object is not touched any more.
    left_ = true;
    context_->Leave();
#if defined(__cpp_exceptions)
    try {
#endif
      return awaiter_.await_suspend(coroutine);
#if defined(__cpp_exceptions)
    } catch (...) {  // it was not suspended
      context_->Enter();
      left_ = false;
      throw;
    }
#endif
  }
  decltype(auto) await_resume() {
    if (left_) context_->Enter();
    left_ = false;
    return awaiter_.await_resume();
  }

 private:
  CoroutineContext* const context_;
  AwaiterOf<Awaitable> awaiter_;
  bool left_ = false;
};

}  // namespace internal

// REQUIRES: co_await at once, in the same expression.
template <typename Awaitable>
auto CoroutineContext::Await(Awaitable&& awaitable) {
  return internal::ContextAwaiter<Awaitable>(this, std::forward<Awaitable>(awaitable));
}

// The base of a promise whose coroutines carry their context. Besides deriving from it, the promise's
//   initial_suspend returns StartSuspended() (a lazy task) or StartAtOnce(),
//   final_suspend calls Finish() first.
// A promise with an await_transform of its own calls this one's in it.
class TracedPromise {
 public:
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable) {
    return context_.Await(std::forward<Awaitable>(awaitable));
  }

 protected:
  struct Start {
    bool await_ready() const noexcept { return at_once; }
    template <typename Handle>
    void await_suspend(Handle) const noexcept {}
    void await_resume() const noexcept { context->Enter(); }
    CoroutineContext* context;
    bool at_once;
  };
  Start StartSuspended() noexcept { return {&context_, false}; }
  Start StartAtOnce() noexcept { return {&context_, true}; }
  void Finish() noexcept { context_.Leave(); }

 private:
  CoroutineContext context_{CoroutineContext::Suspended()};
};

#endif  // __cpp_impl_coroutine

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_COROUTINE_H_
