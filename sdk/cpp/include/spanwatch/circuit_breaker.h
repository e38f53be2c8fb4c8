// A circuit breaker: stops calling what keeps failing, and tries again after a while.
//
//   spanwatch::CircuitBreaker breaker("gemini");
//   auto answer = breaker.Run([&] { return gemini.Generate(prompt); });
//   if (answer.refused()) return "try again in a minute";
//   Use(*answer);
//
// Closed: calls go through, their failures are counted. Open: calls are refused, at the cost of a clock reading.
// Half-open, when the reset time is over: a few probes go through; a success closes, a failure opens again.
// A call fails when an exception leaves it, or by a result that is an error (spanwatch/error.h).
//
// Needs no tracing: works before Start(), after Shutdown() and with TRACING_ENABLED=false. With tracing on, the current
// span gets the tags `circuit_breaker.name`, `circuit_breaker.state` (as this call found it) and, if the call was
// refused, `circuit_breaker.refused`; a change of state is a line of its log; and the heartbeat takes state and counts
// to the sidecar's /metrics. Nothing here throws but what the program's own functions throw, and RunOrThrow.
#ifndef SPANWATCH_CIRCUIT_BREAKER_H_
#define SPANWATCH_CIRCUIT_BREAKER_H_

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spanwatch/error.h"
#include "spanwatch/span.h"

#pragma GCC visibility push(default)
namespace spanwatch {

// What a breaker does with calls: makes them, tries a few, refuses them.
enum class BreakerState : std::uint8_t { kClosed = 0, kHalfOpen = 1, kOpen = 2 };
// "closed", "half_open", "open".
const char* BreakerStateName(BreakerState state) noexcept;

// A change of state, as CircuitBreakerOptions::on_change is told.
struct BreakerChange {
  std::string_view name;  // the breaker's; valid during the call
  BreakerState from = BreakerState::kClosed;
  BreakerState to = BreakerState::kClosed;
  // "failures_in_a_row", "failure_rate", "reset_time", "probes_succeeded", "probe_failed", "Open", "Close"; static
  // text.
  const char* reason = "";
  std::uint64_t number = 0;  // 1, 2, ...: the order of changes, when hooks run on several threads
};

// Values out of range count as the default.
struct CircuitBreakerOptions {
  // Opens at so many failures without a success in between; 0: not by this.
  std::uint32_t failures_in_a_row = 5;
  // Opens when this share (0..1) of the calls of the last `window_ms` failed, and there were `minimum_calls`; 0: not by
  // this. Both rules may hold together.
  double failure_rate = 0;
  std::uint32_t window_ms = 10000;
  std::uint32_t minimum_calls = 20;
  // How long it stays open.
  std::uint32_t reset_ms = 30000;
  // Half-open: how many calls may be under way at once, and how many successes close it. A probe that does not come
  // back within `reset_ms` gives its place to another.
  std::uint32_t probes = 1;
  std::uint32_t probe_successes = 1;
  // Called after each change of state, without a lock, on the thread whose call caused it: it may use the breaker. What
  // it throws is dropped.
  std::function<void(const BreakerChange&)> on_change;
  // Monotonic nanoseconds; null: CLOCK_MONOTONIC. For tests that step the time.
  std::int64_t (*now_ns)() noexcept = nullptr;
};

class CircuitBreaker;
template <typename T>
class BreakerResult;

namespace internal {
class Breaker;

template <typename T>
bool IsFailedResult(const T& result) {
  if constexpr (!kIsResult<T>) {
    return false;
  } else if constexpr (kHas<SpecialisedExpression, T>) {
    return ResultTraits<T>::Failed(result);
  } else if constexpr (kIsExpected<T>) {
    return !result.has_value();
  } else if constexpr (kIsCode<T>) {
    return static_cast<bool>(result);
  } else {
    return !result.ok();
  }
}
}  // namespace internal

// Leave for one call, or its refusal. Say Success() or Failure() once; destroyed without either it counts as a failure
// if an exception destroys it, else not at all. May move to where the work ends (a callback, a coroutine), but not
// outlive the breaker. Threads: one at a time.
class [[nodiscard]] BreakerPermit {
 public:
  BreakerPermit() noexcept = default;  // refused
  BreakerPermit(BreakerPermit&& other) noexcept { *this = std::move(other); }
  BreakerPermit& operator=(BreakerPermit&& other) noexcept;
  ~BreakerPermit();
  BreakerPermit(const BreakerPermit&) = delete;
  BreakerPermit& operator=(const BreakerPermit&) = delete;

  // Whether the call may be made.
  explicit operator bool() const noexcept { return allowed_; }

  // How the call went.
  void Success() noexcept;
  void Failure() noexcept;

 private:
  friend class CircuitBreaker;
  BreakerPermit(internal::Breaker* breaker, std::uint64_t era) noexcept;

  internal::Breaker* breaker_ = nullptr;  // null: refused, told, or a breaker without memory
  std::uint64_t era_ = 0;
  int uncaught_ = 0;
  bool allowed_ = false;
};

// What RunOrThrow throws.
class CircuitOpen : public std::exception {
 public:
  explicit CircuitOpen(std::string_view breaker) noexcept;
  const char* what() const noexcept override { return text_; }  // `circuit breaker "gemini" is open`

 private:
  char text_[128];
};

// Threads: any, all functions. It must outlive its permits and the calls under way.
class CircuitBreaker {
 public:
  // The name is the label in /metrics: up to 64 bytes, not personal; several breakers of one name are shown as one, in
  // the worst state. Allocates here, and never again; without memory for it, all calls go through. At most 64 gauges
  // are reported in all: breakers beyond that work, but are not shown (GetStats().problems says so).
  explicit CircuitBreaker(std::string_view name, CircuitBreakerOptions options = {}) noexcept;
  ~CircuitBreaker();
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  // Runs fn if calls may go through, and returns its result or the refusal. Exceptions of fn pass on, as failures.
  // Of a function that returns a future or a coroutine, the end is not known here: use TryAcquire().
  template <typename Fn>
  BreakerResult<std::invoke_result_t<Fn>> Run(Fn&& fn);

  // The same, with fallback() instead of the refusal: `breaker.RunOr(ask, [] { return CachedAnswer(); })`.
  template <typename Fn, typename Fallback>
  std::invoke_result_t<Fn> RunOr(Fn&& fn, Fallback&& fallback);

  // The same; throws CircuitOpen instead of the refusal.
  template <typename Fn>
  std::invoke_result_t<Fn> RunOrThrow(Fn&& fn);

  // For calls that end elsewhere: `if (auto permit = breaker.TryAcquire()) ...`.
  BreakerPermit TryAcquire() noexcept;

  // kOpen until a call has found the reset time to be over.
  BreakerState state() const noexcept;
  std::uint64_t opened() const noexcept;   // how often it opened
  std::uint64_t refused() const noexcept;  // calls refused
  std::string_view name() const noexcept;

  // By hand: open from now for the reset time; closed, with no failures counted.
  void Open() noexcept;
  void Close() noexcept;

 private:
  template <typename Fn>
  static std::invoke_result_t<Fn> Judge(BreakerPermit* permit, Fn&& fn);

  internal::Breaker* const breaker_;
};

// The result of Run(): a value, or refused. Traced() and Instrumented see a refusal as a failure of type CircuitOpen.
template <typename T>
class [[nodiscard]] BreakerResult {
 public:
  using Stored = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

  BreakerResult() noexcept = default;  // refused
  explicit BreakerResult(T&& value) {
    if constexpr (std::is_reference_v<T>)
      value_ = &value;
    else
      value_.emplace(std::forward<T>(value));
  }
  // Whether the breaker was open: the call was not made.
  bool refused() const noexcept { return !value_.has_value(); }
  explicit operator bool() const noexcept { return value_.has_value(); }

  // REQUIRES: !refused().
  std::remove_reference_t<T>& operator*() noexcept { return Get(*value_); }
  const std::remove_reference_t<T>& operator*() const noexcept { return Get(*value_); }
  std::remove_reference_t<T>* operator->() noexcept { return &**this; }
  const std::remove_reference_t<T>* operator->() const noexcept { return &**this; }
  template <typename U>
  std::decay_t<T> value_or(U&& fallback) && {
    if (refused()) return static_cast<std::decay_t<T>>(std::forward<U>(fallback));
    return static_cast<T&&>(**this);
  }

 private:
  template <typename Of>
  static auto& Get(Of& stored) noexcept {
    if constexpr (std::is_reference_v<T>)
      return *stored;
    else
      return stored;
  }
  std::optional<Stored> value_;
};

template <>
class BreakerResult<void> {
 public:
  explicit BreakerResult(bool ran = false) noexcept : ran_(ran) {}
  // As above.
  bool refused() const noexcept { return !ran_; }
  explicit operator bool() const noexcept { return ran_; }

 private:
  bool ran_;
};

template <typename T>
struct ResultTraits<BreakerResult<T>> {
  static bool Failed(const BreakerResult<T>& result) {
    if (result.refused()) return true;
    if constexpr (std::is_void_v<T>)
      return false;
    else
      return internal::IsFailedResult(*result);
  }
  static void Record(const BreakerResult<T>& result, Span& span) {
    if (result.refused()) {
      span.Fail("CircuitOpen", "refused by a circuit breaker");
    } else if constexpr (!std::is_void_v<T>) {
      span.FailIfError(*result);
    }
  }
};

template <typename Fn>
std::invoke_result_t<Fn> CircuitBreaker::Judge(BreakerPermit* permit, Fn&& fn) {
  using Result = std::invoke_result_t<Fn>;
  static_assert(internal::AsyncKind<Result>() == 0,
                "the end of a future or a coroutine is not known here: take TryAcquire(), and let the permit go along");
  if constexpr (std::is_void_v<Result>) {
    std::forward<Fn>(fn)();
    permit->Success();
  } else if constexpr (internal::kIsResult<std::decay_t<Result>>) {
    Result result = std::forward<Fn>(fn)();
    internal::IsFailedResult<std::decay_t<Result>>(result) ? permit->Failure() : permit->Success();
    return static_cast<Result&&>(result);
  } else {
    struct AtEnd {  // so that results which cannot be moved come back as well
      BreakerPermit* permit;
      int uncaught;
      ~AtEnd() {
        if (std::uncaught_exceptions() == uncaught) permit->Success();
      }
    } const at_end{permit, std::uncaught_exceptions()};
    return std::forward<Fn>(fn)();
  }
}

template <typename Fn>
BreakerResult<std::invoke_result_t<Fn>> CircuitBreaker::Run(Fn&& fn) {
  using Result = std::invoke_result_t<Fn>;
  BreakerPermit permit = TryAcquire();
  if (!permit) return BreakerResult<Result>();
  if constexpr (std::is_void_v<Result>) {
    Judge(&permit, std::forward<Fn>(fn));
    return BreakerResult<void>(true);
  } else {
    return BreakerResult<Result>(Judge(&permit, std::forward<Fn>(fn)));
  }
}

template <typename Fn, typename Fallback>
std::invoke_result_t<Fn> CircuitBreaker::RunOr(Fn&& fn, Fallback&& fallback) {
  BreakerPermit permit = TryAcquire();
  if (!permit) return std::forward<Fallback>(fallback)();
  return Judge(&permit, std::forward<Fn>(fn));
}

template <typename Fn>
std::invoke_result_t<Fn> CircuitBreaker::RunOrThrow(Fn&& fn) {
  BreakerPermit permit = TryAcquire();
#if defined(__cpp_exceptions)
  if (!permit) throw CircuitOpen(name());
#else
  static_assert(sizeof(Fn) == 0, "RunOrThrow needs exceptions");
#endif
  return Judge(&permit, std::forward<Fn>(fn));
}

}  // namespace spanwatch
#pragma GCC visibility pop

#endif  // SPANWATCH_CIRCUIT_BREAKER_H_
