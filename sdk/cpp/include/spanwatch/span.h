// Spans: the timed operations that make a trace.
//
//   {
//     spanwatch::Span span("GeminiService.generateResponse");  // child of this thread's current span, and now current
//     span.SetTag("model", "gemini-pro");
//     ...
//   }  // ends here; as an error, if an exception takes it out
//
// Nothing here throws, blocks, prints or aborts, and errno stays as it is. With tracing off a span costs one load and a
// branch. Not for signal handlers: one that interrupts a span's end would write into the same place.
#ifndef SPANWATCH_SPAN_H_
#define SPANWATCH_SPAN_H_

#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "spanwatch/context.h"
#include "spanwatch/ids.h"
#include "spanwatch/value.h"

#pragma GCC visibility push(default)
namespace spanwatch {

// The part that a span has in a call between processes; OpenTelemetry's kinds and numbers.
enum class SpanKind : std::uint8_t { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

namespace internal {

struct Slot;  // the running span's state, in a bounded table of the SDK

struct SpanHandle {
  Slot* slot;
  std::uint64_t generation;
};

// 0: tracing is off. Read by every span start.
extern std::uint32_t g_tracing_mode;
SPANWATCH_INLINE bool TracingOn() noexcept { return __atomic_load_n(&g_tracing_mode, __ATOMIC_RELAXED) != 0; }

SpanHandle StartSpan(Text name, SpanKind kind) noexcept;
SpanHandle StartSpanUnder(Text name, SpanKind kind, const Context& parent) noexcept;
void EndSpan(SpanHandle handle) noexcept;
void EndSpanInDestructor(SpanHandle handle) noexcept;
void SetSpanText(SpanHandle handle, Text key, Text text) noexcept;
void SetSpanNumber(SpanHandle handle, Text key, std::uint64_t bits, Value::Type type) noexcept;
void SetSpanTags(SpanHandle handle, const Tag* tags, std::size_t count) noexcept;
void AddSpanLog(SpanHandle handle, LogLevel level, Text text, const Tag* fields, std::size_t count) noexcept;
void FailSpan(SpanHandle handle, Text type, Text message) noexcept;
void FailSpanWithCurrentException(SpanHandle handle) noexcept;
void DetachSpan(SpanHandle handle) noexcept;
bool IsSpanRecording(SpanHandle handle) noexcept;
Context SpanContext(SpanHandle handle) noexcept;
void LinkSpan(SpanHandle handle, const Context& other) noexcept;
// Whether a text lies in the read-only data of the program, and so stays what and where it is. Works before Start().
bool IsProgramText(const char* text) noexcept;

}  // namespace internal

// A running span; ends once, by End() or by its destructor. A handle of two words: moving it is cheap, and the span
// moves along (the moved-from handle does nothing).
//
// Threads: one span is for one thread at a time; handing it to another needs the usual synchronisation. It is
// current (parent of spans started later) only on the thread that started it, until it ends or Detach(). Detach() it
// before another thread takes it over, if the first goes on: what writes to the current span (Context::Current(),
// CircuitBreaker) would write to it from there.
// Limits: 64 tags and 32 logs (16 fields each), 48 KiB of text in all; what is over is counted and shown as dropped.
// Setting a key again replaces its value.
class [[nodiscard]] Span {
 public:
  // No span: everything does nothing.
  Span() noexcept = default;
  // Child of the thread's current context; the root of a new trace if there is none.
  SPANWATCH_INLINE explicit Span(Text name, SpanKind kind = SpanKind::kInternal) noexcept {
    if (internal::TracingOn()) handle_ = internal::StartSpan(name, kind);
  }
  // Child of `parent` (often from Context::FromTraceparent); the root of a new trace if that is invalid.
  SPANWATCH_INLINE Span(Text name, SpanKind kind, const Context& parent) noexcept {
    if (internal::TracingOn()) handle_ = internal::StartSpanUnder(name, kind, parent);
  }
  SPANWATCH_INLINE ~Span() {
    if (handle_.slot != nullptr) internal::EndSpanInDestructor(handle_);
  }
  Span(Span&& other) noexcept : handle_(other.handle_) { other.handle_ = {nullptr, 0}; }
  // Ends the span that was held before.
  Span& operator=(Span&& other) noexcept {
    if (this != &other) {
      End();
      handle_ = other.handle_;
      other.handle_ = {nullptr, 0};
    }
    return *this;
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  // Text, integer, floating point or bool (whatever a Value can be made of).
  template <typename T>
  SPANWATCH_INLINE Span& SetTag(Text key, const T& value) noexcept {
    if (handle_.slot == nullptr) return *this;
    if constexpr (std::is_arithmetic_v<T>) {
      const Value number(value);
      internal::SetSpanNumber(handle_, key, number.bits(), number.type());
    } else if constexpr (std::is_same_v<T, Value>) {
      if (value.type() == Value::Type::kText)
        internal::SetSpanText(handle_, key, value.text());
      else
        internal::SetSpanNumber(handle_, key, value.bits(), value.type());
    } else {
      internal::SetSpanText(handle_, key, Text(value));
    }
    return *this;
  }
  SPANWATCH_INLINE Span& SetTags(std::initializer_list<Tag> tags) noexcept {
    if (handle_.slot != nullptr) internal::SetSpanTags(handle_, tags.begin(), tags.size());
    return *this;
  }

  // A line of this span's log, with the time. Lines below the level of Options::log_level are not kept.
  SPANWATCH_INLINE Span& AddLog(LogLevel level, Text text, std::initializer_list<Tag> fields = {}) noexcept {
    if (handle_.slot != nullptr) internal::AddSpanLog(handle_, level, text, fields.begin(), fields.size());
    return *this;
  }

  // The operation failed. `type` groups errors ("TimeoutError", "429"); the message is for people. The last call wins.
  SPANWATCH_INLINE Span& Fail(Text message) noexcept {
    if (handle_.slot != nullptr) internal::FailSpan(handle_, Text(), message);
    return *this;
  }
  SPANWATCH_INLINE Span& Fail(Text type, Text message) noexcept {
    if (handle_.slot != nullptr) internal::FailSpan(handle_, type, message);
    return *this;
  }
  // With an error that is a value: std::error_code, the error() of an expected, a status, an enum, a std::exception, a
  // std::exception_ptr (spanwatch/error.h).
  template <typename E, typename = std::enable_if_t<!std::is_constructible_v<Text, const E&>>>
  Span& Fail(const E& error) noexcept;
  // Fail(), if the result of a call is a failure (spanwatch/error.h): `span.FailIfError(file.Open(path))`.
  template <typename T>
  Span& FailIfError(const T& result) noexcept;
  // In a catch block: type (demangled), message and nested causes of the exception being handled.
  Span& FailWithCurrentException() noexcept {
    if (handle_.slot != nullptr) internal::FailSpanWithCurrentException(handle_);
    return *this;
  }

  // Says that another trace led to this one, without being its parent: an OTLP link. Counts as one of the 32 logs.
  Span& LinkTo(const Context& other) noexcept {
    if (handle_.slot != nullptr && other.IsValid()) internal::LinkSpan(handle_, other);
    return *this;
  }

  // Ends now instead of in the destructor. Later calls on this object do nothing.
  void End() noexcept {
    if (handle_.slot != nullptr) internal::EndSpan(handle_);
    handle_ = {nullptr, 0};
  }

  // Stops being this thread's current span, without ending: for an operation that goes on elsewhere (a callback,
  // another thread). Call on the thread that started the span.
  Span& Detach() noexcept {
    if (handle_.slot != nullptr) internal::DetachSpan(handle_);
    return *this;
  }

  // False after the end, with tracing off, or when the SDK had no room for the span (counted).
  bool IsRecording() const noexcept { return handle_.slot != nullptr && internal::IsSpanRecording(handle_); }
  // For links, headers (InjectHeaders) and ContextScope. Invalid if !IsRecording().
  Context context() const noexcept { return handle_.slot != nullptr ? internal::SpanContext(handle_) : Context(); }

 private:
  internal::SpanHandle handle_{nullptr, 0};
};

}  // namespace spanwatch

#include "spanwatch/async.h"   // NOLINT: after Span
#include "spanwatch/error.h"   // NOLINT
#include "spanwatch/traced.h"  // NOLINT

#pragma GCC visibility pop

#endif  // SPANWATCH_SPAN_H_
