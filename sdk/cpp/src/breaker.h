// The state machine behind CircuitBreaker, and all breakers of the process, for the heartbeat.
#ifndef SPANWATCH_SDK_CPP_SRC_BREAKER_H_
#define SPANWATCH_SDK_CPP_SRC_BREAKER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/cpp/src/mutex.h"
#include "spanwatch/circuit_breaker.h"

namespace spanwatch::internal {

// Calls and failures of the last while, in tenths of it.
class CallWindow {
 public:
  explicit CallWindow(std::uint32_t window_ms) noexcept : step_ns_(std::int64_t{window_ms} * 100000) {}
  void Add(std::int64_t now_ns, bool failed) noexcept;
  void Clear() noexcept;
  void Sum(std::int64_t now_ns, std::uint64_t* calls, std::uint64_t* failures) const noexcept;

 private:
  static constexpr std::uint64_t kSteps = 10;
  struct Step {
    std::uint64_t number = 0;
    std::uint64_t calls = 0;
    std::uint64_t failures = 0;
  };
  std::uint64_t StepAt(std::int64_t now_ns) const noexcept {
    return now_ns <= 0 ? 0 : static_cast<std::uint64_t>(now_ns / step_ns_);
  }

  const std::int64_t step_ns_;
  Step steps_[kSteps];
};

// Threads: any. A closed breaker without a failure rate costs a call two loads.
class Breaker {
 public:
  static constexpr std::size_t kMaxName = 64;

  // Enters the process's list, and leaves it.
  Breaker(std::string_view name, CircuitBreakerOptions options) noexcept;
  ~Breaker();
  Breaker(const Breaker&) = delete;
  Breaker& operator=(const Breaker&) = delete;

  // Whether a call may be made. The era goes back with its verdict: verdicts of an earlier state do not count.
  bool Acquire(std::uint64_t* era) noexcept EXCLUDES(mutex_);
  enum class Verdict : std::uint8_t { kSuccess, kFailure, kNone };
  void Tell(std::uint64_t era, Verdict verdict) noexcept EXCLUDES(mutex_);
  void Force(BreakerState state) noexcept EXCLUDES(mutex_);

  std::string_view name() const noexcept { return {name_, name_bytes_}; }
  BreakerState state() const noexcept { return StateOf(era_.load(std::memory_order_acquire)); }
  std::uint64_t opened() const noexcept { return opened_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  const Breaker* next() const noexcept { return next_; }

 private:
  friend struct BreakerList;

  // The state in two bits, above it a number that each change raises.
  static BreakerState StateOf(std::uint64_t era) noexcept { return static_cast<BreakerState>(era & 3); }
  std::int64_t Now() const noexcept;
  bool AcquireSlowly(std::uint64_t* era, BreakerChange* change) noexcept REQUIRES(mutex_);
  void Judge(Verdict verdict, BreakerChange* change) noexcept REQUIRES(mutex_);
  const char* WhyOpen(std::int64_t now_ns) const noexcept REQUIRES(mutex_);
  void Become(BreakerState state, const char* reason, std::int64_t now_ns, BreakerChange* change) noexcept
      REQUIRES(mutex_);
  void Announce(const BreakerChange& change) noexcept;

  // Constant after construction.
  char name_[kMaxName];
  std::size_t name_bytes_;
  CircuitBreakerOptions options_;
  std::int64_t reset_ns_;
  Breaker* next_ = nullptr;  // in the list, under its mutex

  std::atomic<std::uint64_t> era_{0};
  std::atomic<std::int64_t> opened_at_{0};  // written before era_ says open
  std::atomic<std::uint64_t> opened_{0}, refused_{0};
  std::atomic<std::uint32_t> failures_in_a_row_{0};  // written under mutex_

  Mutex mutex_;
  CallWindow window_ GUARDED_BY(mutex_);
  std::uint32_t probes_out_ GUARDED_BY(mutex_) = 0;
  std::uint32_t probe_successes_ GUARDED_BY(mutex_) = 0;
  std::int64_t last_probe_ns_ GUARDED_BY(mutex_) = 0;
  std::uint64_t changes_ GUARDED_BY(mutex_) = 0;
};

// What the breakers of one name report together: the worst state, the sums.
struct BreakerReport {
  std::string name;
  BreakerState state = BreakerState::kClosed;
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
};
// Of all names, in the order of their first breakers. May throw std::bad_alloc. Threads: any.
std::vector<BreakerReport> ReportBreakers();

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_BREAKER_H_
