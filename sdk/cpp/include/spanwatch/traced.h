// Functions in spans: Traced (now), Trace (a callable for later), TraceTask (once, on another thread), WithNewContext.
// Included by spanwatch/span.h.
#include "spanwatch/span.h"  // which includes this file, after Span

#ifndef SPANWATCH_TRACED_H_
#define SPANWATCH_TRACED_H_

#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

#include "spanwatch/async.h"
#include "spanwatch/context.h"
#include "spanwatch/error.h"

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

template <typename Fn, typename... Args>
decltype(auto) CallWithSpan(Span& span, Fn&& fn, Args&&... args) {
  if constexpr (std::is_invocable_v<Fn, Args...>) {
    (void)span;
    return CallAny(std::forward<Fn>(fn), std::forward<Args>(args)...);
  } else {
    return std::forward<Fn>(fn)(span, std::forward<Args>(args)...);
  }
}

template <typename Fn, typename... Args>
decltype(auto) RunTraced(Span& span, Fn&& fn, Args&&... args) {
#if defined(__cpp_exceptions)
  try {
#endif
    using Result = decltype(CallWithSpan(span, std::forward<Fn>(fn), std::forward<Args>(args)...));
    if constexpr (kIsResult<std::decay_t<Result>>) {
      if constexpr (std::is_reference_v<Result>) {
        Result&& result = CallWithSpan(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
        span.FailIfError(result);
        return static_cast<Result>(result);
      } else {
        std::decay_t<Result> result = CallWithSpan(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
        span.FailIfError(result);
        return result;
      }
    } else {
      return CallWithSpan(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
    }
#if defined(__cpp_exceptions)
  } catch (...) {
    span.FailWithCurrentException();
    throw;
  }
#endif
}

// RunTraced, and what goes on afterwards takes the span along. What it gives for the kind of result:
template <typename Result>
constexpr int AsyncKind() {
  if constexpr (!std::is_object_v<Result>) {
    return 0;
  } else if constexpr (IsFuture<Result>::value) {
    return 1;
  } else {
#if defined(__cpp_impl_coroutine)
    if constexpr (IsAwaitable<Result>) return 2;
#endif
    return 0;
  }
}

template <typename Fn, typename... Args>
decltype(auto) RunAsync(Span& span, Fn&& fn, Args&&... args) {
  using Result = decltype(CallWithSpan(span, std::forward<Fn>(fn), std::forward<Args>(args)...));
  if constexpr (AsyncKind<Result>() == 1) {
    Result future = RunTraced(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
    span.Detach();
    return TracedFuture<Result>(std::move(future), std::move(span));
#if defined(__cpp_impl_coroutine)
  } else if constexpr (AsyncKind<Result>() == 2) {
    Result awaitable = RunTraced(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
    span.Detach();
    return TracedAwaitable<Result>(std::move(awaitable), std::move(span));
#endif
  } else {
    return RunTraced(span, std::forward<Fn>(fn), std::forward<Args>(args)...);
  }
}

// A name that is kept: of a literal its address, of anything else (a buffer's array looks like a literal) a copy.
class KeptName {
 public:
  template <typename T, std::enable_if_t<std::is_constructible_v<Text, const T&>, int> = 0>
  KeptName(const T& name) {  // NOLINT(google-explicit-constructor)
    const Text text(name);
    if (IsProgramText(text.data()))
      constant_ = text;
    else
      copy_ = std::string(text.view());
  }
  Text text() const noexcept { return copy_.empty() ? constant_ : Text(copy_); }

 private:
  Text constant_;
  std::string copy_;
};

template <typename Fn>
class TracedFunction {
 public:
  TracedFunction(KeptName name, Fn fn) : name_(std::move(name)), fn_(std::move(fn)) {}

  template <typename... Args>
  decltype(auto) operator()(Args&&... args) {
    Span span(name_.text());
    return RunAsync(span, fn_, std::forward<Args>(args)...);
  }
  template <typename... Args>
  decltype(auto) operator()(Args&&... args) const {
    Span span(name_.text());
    return RunAsync(span, fn_, std::forward<Args>(args)...);
  }

 private:
  KeptName name_;
  Fn fn_;
};

}  // namespace internal

// Runs fn in a span and returns what it returns. An exception marks the span as failed (type, message, nested causes)
// and goes on to the caller; so does a result that is an error (spanwatch/error.h). fn takes nothing, or the span:
// `Traced("op", [](spanwatch::Span& span) { ... })`. A future or an awaitable comes back as TracedFuture or
// TracedAwaitable (spanwatch/async.h), whose span goes on.
template <typename Fn>
decltype(auto) Traced(Text name, Fn&& fn) {
  Span span(name);
  return internal::RunAsync(span, std::forward<Fn>(fn));
}

// fn, traced at each call: a function, a method (the object is the first argument), a lambda, a std::function, any
// callable; arguments and results pass through, and it may take a Span& before its arguments. A name that is not a
// literal is copied.
//   auto parse = spanwatch::Trace("Config.parse", &ParseConfig);
template <typename Fn>
auto Trace(internal::KeptName name, Fn&& fn) {
  return internal::TracedFunction<std::decay_t<Fn>>(std::move(name), std::forward<Fn>(fn));
}

// fn, for a thread pool or std::packaged_task: traced where it runs, as a child of what is current here and now; its
// span ends when the work ends. `pool.Post(spanwatch::TraceTask("Index.rebuild", [] { ... }));`
template <typename Fn>
auto TraceTask(internal::KeptName name, Fn&& fn) {
  return Bind(Trace(std::move(name), std::forward<Fn>(fn)));
}

// Runs fn in the root of a new trace, whatever is current: for a piece of work that stands for itself (a message, a
// job). The metadata are the root's tags; its name is the value of "source", else "context". Where a span was current,
// the root is linked to it. What comes out is as of Traced().
//   spanwatch::WithNewContext({{"source", "nightly_cleanup"}}, [](spanwatch::Span& span) { ... });
template <typename Fn>
decltype(auto) WithNewContext(std::initializer_list<Tag> metadata, Fn&& fn) {
  Text name = "context";
  for (const Tag& tag : metadata) {
    if (tag.value.type() == Value::Type::kText && tag.key.view() == "source") name = tag.value.text();
  }
  const Context outer = Context::Current();
  Span span(name, SpanKind::kInternal, Context());
  if (span.IsRecording()) {
    span.SetTags(metadata);
    span.LinkTo(outer);
  }
  return internal::RunAsync(span, std::forward<Fn>(fn));
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_TRACED_H_
