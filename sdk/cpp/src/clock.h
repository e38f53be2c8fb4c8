// Time: cycle counts on the traced threads, turned into wall-clock time on the sender thread with one anchor.
#ifndef SPANWATCH_SDK_CPP_SRC_CLOCK_H_
#define SPANWATCH_SDK_CPP_SRC_CLOCK_H_

#include <time.h>

#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <x86intrin.h>

// Without this, every use of a variable from another file would go by way of the global offset table.
#pragma GCC visibility push(hidden)
#endif

namespace spanwatch::internal {

inline std::int64_t ReadClock(clockid_t clock) noexcept {
  timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{1000000000} * now.tv_sec + now.tv_nsec;
}
inline std::int64_t MonotonicNs() noexcept { return ReadClock(CLOCK_MONOTONIC); }
inline std::int64_t WallNs() noexcept { return ReadClock(CLOCK_REALTIME); }
inline std::int64_t ThreadCpuNs() noexcept { return ReadClock(CLOCK_THREAD_CPUTIME_ID); }

// Whether Ticks() are the time-stamp counter's; else they are monotonic nanoseconds, as on all processors but x86-64.
// Set by DetectClock() before the first span.
extern bool g_use_tsc;
void DetectClock() noexcept;

// Whether the counter can be trusted: it runs at one rate in all states of power, the kernel (`clocksource`: what it
// keeps time by, or empty) does not distrust it, and TRACING_CLOCK (`wanted`) does not say otherwise.
inline constexpr std::string_view kMonotonicClock = "monotonic";
bool IsTscUsable(bool is_invariant, std::string_view clocksource, std::string_view wanted) noexcept;
inline const char* ClockName() noexcept { return g_use_tsc ? "tsc" : "monotonic"; }

inline std::uint64_t Ticks() noexcept {
#if defined(__x86_64__)
  if (__builtin_expect(g_use_tsc, 1)) return __rdtsc();
#endif
  return static_cast<std::uint64_t>(MonotonicNs());
}

// Converts ticks to nanoseconds since the epoch. Threads: the sender alone.
class ClockConverter {
 public:
  ClockConverter() noexcept;

  // Takes a new anchor; the rate is measured over the whole time since construction. Call at least once before the
  // conversions, at least 5 ms after construction, then each second: so the wall clock's corrections are followed.
  void Update() noexcept;

  std::int64_t ToWallNs(std::uint64_t ticks) const noexcept {
    return anchor_wall_ + static_cast<std::int64_t>(
                              static_cast<double>(static_cast<std::int64_t>(ticks - anchor_ticks_)) * ns_per_tick_);
  }
  std::uint64_t TicksOf(std::uint64_t ns) const noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(ns) / ns_per_tick_);
  }
  // How long ago construction was.
  std::int64_t AgeNs() const noexcept { return MonotonicNs() - first_mono_; }

 private:
  std::uint64_t first_ticks_ = 0;
  std::int64_t first_mono_ = 0;
  std::uint64_t anchor_ticks_ = 0;
  std::int64_t anchor_wall_ = 0;
  double ns_per_tick_ = 1;
};

}  // namespace spanwatch::internal

#pragma GCC visibility pop

#endif  // SPANWATCH_SDK_CPP_SRC_CLOCK_H_
