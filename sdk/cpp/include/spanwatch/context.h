// Where in which trace a piece of code runs, and how that travels: to other threads (Bind, ContextScope) and to other
// processes (W3C traceparent and tracestate).
#ifndef SPANWATCH_CONTEXT_H_
#define SPANWATCH_CONTEXT_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spanwatch/ids.h"
#include "spanwatch/value.h"

#pragma GCC visibility push(default)
namespace spanwatch {

namespace internal {
struct ContextAccess;
struct TraceState;
}  // namespace internal

// A point in a trace: trace id, span id, the sampling decision and the tracestate of a remote parent. A value: copies
// are cheap (a counted pointer when there is a tracestate). Threads: one object is for one thread at a time; copies
// may go anywhere. Nothing throws; where memory fails, text comes back empty.
class Context {
 public:
  // No context: a span started with it as its parent is the root of a new trace.
  Context() noexcept = default;
  Context(const Context& other) noexcept;
  Context(Context&& other) noexcept;
  Context& operator=(const Context& other) noexcept;
  Context& operator=(Context&& other) noexcept;
  ~Context();

  // The current span's context on this thread; !IsValid() when there is none or tracing is off.
  static Context Current() noexcept;

  // From the headers of an incoming request, by the rules of W3C Trace Context (level 2). A bad traceparent gives an
  // invalid context; a bad tracestate is dropped alone. Join several tracestate headers with commas, in order;
  // several traceparent headers are invalid (joined by a comma they are found to be).
  // `baggage` is that header (W3C Baggage): illegal entries, and what is over 1024 bytes, are left out.
  static Context FromTraceparent(std::string_view traceparent, std::string_view tracestate = {},
                                 std::string_view baggage = {}) noexcept;

  // Whether it stands for a span: has both ids.
  bool IsValid() const noexcept { return trace_id_.IsValid() && span_id_.IsValid(); }
  TraceId trace_id() const noexcept { return trace_id_; }
  SpanId span_id() const noexcept { return span_id_; }
  // Whether sampling keeps this trace. (A failed span is kept in any case.)
  bool IsSampled() const noexcept;
  // Whether it came from another process.
  bool IsRemote() const noexcept;

  // Tags for the whole trace: they go on its outermost span that runs on this thread, which for a request that is
  // handled on one thread (or in one coroutine) is this process's root span. On another thread (Bind) it is the
  // outermost span there; without one they go nowhere. `spanwatch::Context::Current().SetTags({{"userId", id}});`
  const Context& SetTags(std::initializer_list<Tag> tags) const noexcept;
  // A line of the log of this context's span, if that runs on this thread; of Current(), of the current span.
  const Context& AddLog(LogLevel level, Text text, std::initializer_list<Tag> fields = {}) const noexcept;

  // `00-<trace id>-<span id>-<flags>`, 55 characters; empty if !IsValid(). Start one span of kind kClient for each
  // outgoing call and inject that span's context, so that each call has a parent id of its own.
  std::string Traceparent() const noexcept;
  // Empty if there is nothing to send: then send no tracestate header.
  std::string Tracestate() const noexcept;

  // Baggage: entries that travel with the trace, to all its spans' contexts and over InjectHeaders to other processes.
  // All of it, as the header; empty if there is none.
  std::string Baggage() const noexcept;
  // The value of one entry; empty if there is none.
  std::string BaggageValue(std::string_view key) const noexcept;
  // This context with one entry more, or another value (empty: without it); make it current by a ContextScope. The same
  // context if it is not valid, the key is no token (letters, digits, `-_.` and the like), or there is no room.
  Context WithBaggage(std::string_view key, std::string_view value) const noexcept;
  // What ties together what belongs together over several traces: the baggage `correlation.id`, else the trace id.
  std::string CorrelationId() const noexcept;

 private:
  friend struct internal::ContextAccess;

  TraceId trace_id_;
  SpanId span_id_;
  std::uint64_t sampling_ = 0;
  internal::TraceState* state_ = nullptr;
};

// The current context's traceparent and tracestate header; empty if there is none.
std::string InjectTraceparent() noexcept;
std::string InjectTracestate() noexcept;

// Calls set(name, value) for each header to send: `InjectHeaders([&](auto name, auto value) { ... })`.
template <typename Set>
void InjectHeaders(const Context& context, Set&& set) {
  if (!context.IsValid()) return;
  set(std::string_view("traceparent"), context.Traceparent());
  std::string state = context.Tracestate();
  if (!state.empty()) set(std::string_view("tracestate"), std::move(state));
  std::string baggage = context.Baggage();
  if (!baggage.empty()) set(std::string_view("baggage"), std::move(baggage));
}
template <typename Set>
void InjectHeaders(Set&& set) {
  InjectHeaders(Context::Current(), std::forward<Set>(set));
}

// Makes a context the current one of this thread while it lives: spans started meanwhile are its children.
// Neither copied nor moved; destroy in reverse order, on the thread that made it.
class ContextScope {
 public:
  explicit ContextScope(const Context& context) noexcept;
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  friend struct internal::ContextAccess;
  alignas(8) unsigned char node_[96];
};

// Sets the correlation id of what is traced while it lives, in a trace: the outermost span gets the tag
// `correlation.id`, and the baggage takes it to other threads and processes, whose first spans get it too. Outside of
// traces it does nothing. `spanwatch::CorrelationScope correlation(request.header("X-Request-Id"));`
class CorrelationScope {
 public:
  explicit CorrelationScope(std::string_view id) noexcept
      : scope_(Context::Current().SetTags({{"correlation.id", id}}).WithBaggage("correlation.id", id)) {}

 private:
  ContextScope scope_;
};

namespace internal {

template <typename Member>
struct ClassOfMember;
template <typename Type, typename Class>
struct ClassOfMember<Type Class::*> {
  using type = Class;
};

// A method, of an object or of what a pointer leads to.
template <typename Method, typename Object, typename... Args>
decltype(auto) CallMethod(Method method, Object&& object, Args&&... args) {
  if constexpr (std::is_base_of_v<typename ClassOfMember<Method>::type, std::decay_t<Object>>)
    return (std::forward<Object>(object).*method)(std::forward<Args>(args)...);
  else
    return ((*std::forward<Object>(object)).*method)(std::forward<Args>(args)...);
}

// As std::invoke, which is in a heavy header.
template <typename Fn, typename... Args>
decltype(auto) CallAny(Fn&& fn, Args&&... args) {
  if constexpr (std::is_member_function_pointer_v<std::decay_t<Fn>>)
    return CallMethod(fn, std::forward<Args>(args)...);
  else
    return std::forward<Fn>(fn)(std::forward<Args>(args)...);
}

}  // namespace internal

// Wraps fn, any callable, so that it runs, on whatever thread, in the context that is current now.
//   std::thread worker(spanwatch::Bind([] { spanwatch::Span span("work"); }));
//   std::thread other(spanwatch::Bind(&Worker::Run), &worker_object, 5);
template <typename Fn>
auto Bind(Fn&& fn) {
  return [context = Context::Current(), bound = std::forward<Fn>(fn)](auto&&... args) mutable -> decltype(auto) {
    ContextScope scope(context);
    return internal::CallAny(bound, std::forward<decltype(args)>(args)...);
  };
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_CONTEXT_H_
