// Work that goes on after the function that began it has returned: futures and awaitables whose span ends with the
// work. Included by spanwatch/span.h; found by structure, so nothing of <future> or <coroutine> is included here.
#include "spanwatch/span.h"  // which includes this file, after Span

#ifndef SPANWATCH_ASYNC_H_
#define SPANWATCH_ASYNC_H_

#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

template <typename T, typename = void>
struct IsFuture : std::false_type {};
template <typename T>
struct IsFuture<T, std::void_t<decltype(std::declval<T&>().get()), decltype(std::declval<T&>().wait()),
                               decltype(static_cast<bool>(std::declval<const T&>().valid()))>> : std::true_type {};

// What fn returns, kept as it is; an exception or a result that is an error is recorded. fn takes the arguments, or the
// span before them.
template <typename Fn, typename... Args>
decltype(auto) RunTraced(Span& span, Fn&& fn, Args&&... args);

}  // namespace internal

// A future of someone else's (std::future, std::shared_future, boost's), with the span of what it waits for. When the
// work ended nobody tells: the span ends when get() or wait() returns, or wait_for() says ready, and its tag
// `spanwatch.ended_by` says so: "future.get", "future.wait"; "future.dropped" when it was destroyed before,
// "future.released" when it was turned back into the plain future. An exception out of get() is the span's error,
// unless a wait() ended it before. For spans that end exactly with the work, wrap the work: TraceTask(). Threads: as
// the future; the span moves along.
template <typename Future>
class [[nodiscard]] TracedFuture {
 public:
  TracedFuture(Future&& future, Span&& span) noexcept : future_(std::move(future)), span_(std::move(span)) {}
  TracedFuture(TracedFuture&&) = default;
  TracedFuture& operator=(TracedFuture&& other) noexcept {
    if (this == &other) return *this;
    EndBy("future.dropped");
    future_ = std::move(other.future_);
    span_ = std::move(other.span_);
    return *this;
  }
  ~TracedFuture() { EndBy("future.dropped"); }

  decltype(auto) get() {
    Ender ender{this, "future.get"};
    return internal::RunTraced(span_, [this]() -> decltype(auto) { return future_.get(); });
  }
  // As std::future's; each that finds the work done ends the span.
  void wait() {
    future_.wait();
    EndBy("future.wait");
  }
  template <typename Duration>
  auto wait_for(const Duration& duration) {
    return EndIfReady(future_.wait_for(duration));
  }
  template <typename Time>
  auto wait_until(const Time& time) {
    return EndIfReady(future_.wait_until(time));
  }
  // Whether there is still a result to get.
  bool valid() const noexcept { return future_.valid(); }
  // The plain future; the span ends here.
  Future Release() && {
    EndBy("future.released");
    return std::move(future_);
  }
  operator Future() && { return std::move(*this).Release(); }  // NOLINT(google-explicit-constructor)

  // For tags while the work goes on.
  Span& span() noexcept { return span_; }

 private:
  struct Ender {
    ~Ender() { future->EndBy(by); }
    TracedFuture* future;
    const char* by;
  };
  void EndBy(Text by) noexcept {
    if (span_.IsRecording()) span_.SetTag("spanwatch.ended_by", by);
    span_.End();
  }
  template <typename Status>
  Status EndIfReady(Status status) noexcept {
    if (status == Status::ready) EndBy("future.wait");
    return status;
  }

  Future future_;
  Span span_;
};

#if defined(__cpp_impl_coroutine)
namespace internal {

template <typename T>
concept HasMemberCoAwait = requires(T&& awaitable) {
  static_cast<T&&>(awaitable).operator co_await();
};
template <typename T>
concept HasFreeCoAwait = requires(T&& awaitable) {
  operator co_await(static_cast<T&&>(awaitable));
};
template <typename T>
concept IsAwaiter = requires(T& awaiter) {
  static_cast<bool>(awaiter.await_ready());
  awaiter.await_resume();
};
template <typename T>
concept IsAwaitable = HasMemberCoAwait<T> || HasFreeCoAwait<T> || IsAwaiter<std::remove_reference_t<T>>;

template <typename T>
decltype(auto) GetAwaiter(T&& awaitable) {
  if constexpr (HasMemberCoAwait<T>)
    return std::forward<T>(awaitable).operator co_await();
  else if constexpr (HasFreeCoAwait<T>)
    return operator co_await(std::forward<T>(awaitable));
  else
    return static_cast<std::remove_reference_t<T>&>(awaitable);
}
template <typename T>
using AwaiterOf = decltype(GetAwaiter(std::declval<T>()));

}  // namespace internal

// An awaitable (a task of any library) with the span of its work, which ends when co_await has its result or exception.
// Spans in the task are its children if the task carries its context (spanwatch/coroutine.h). co_await it once, as an
// rvalue. Threads: one at a time.
template <typename Awaitable>
class [[nodiscard]] TracedAwaitable {
 public:
  TracedAwaitable(Awaitable&& awaitable, Span&& span) noexcept
      : awaitable_(std::move(awaitable)), span_(std::move(span)) {}

  // What co_await uses.
  class Awaiter {
   public:
    explicit Awaiter(TracedAwaitable* traced)
        : span_(std::move(traced->span_)), awaiter_(internal::GetAwaiter(std::move(traced->awaitable_))) {}
    bool await_ready() { return static_cast<bool>(awaiter_.await_ready()); }
    template <typename Handle>
    auto await_suspend(Handle coroutine) {
      return awaiter_.await_suspend(coroutine);
    }
    decltype(auto) await_resume() {
      Span ended = std::move(span_);
      return internal::RunTraced(ended, [this]() -> decltype(auto) { return awaiter_.await_resume(); });
    }

   private:
    Span span_;
    internal::AwaiterOf<Awaitable> awaiter_;
  };
  Awaiter operator co_await() && { return Awaiter(this); }

  // The plain awaitable; the span ends here, and says so.
  Awaitable Release() && {
    if (span_.IsRecording()) span_.SetTag("spanwatch.ended_by", "task.released");
    span_.End();
    return std::move(awaitable_);
  }
  operator Awaitable() && { return std::move(*this).Release(); }  // NOLINT(google-explicit-constructor)

 private:
  Awaitable awaitable_;
  Span span_;
};
#endif  // __cpp_impl_coroutine

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_ASYNC_H_
