#include "sdk/cpp/src/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace spanwatch::internal {

bool g_use_tsc = false;

void DetectClock() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kPowerLeaf = 0x80000007;
  constexpr unsigned kInvariantTsc = 1u << 8;
  if (static_cast<unsigned>(__get_cpuid_max(0x80000000, nullptr)) < kPowerLeaf) return;
  if (__get_cpuid(kPowerLeaf, &a, &b, &c, &d) != 0) g_use_tsc = (d & kInvariantTsc) != 0;
#endif
}

namespace {

// Ticks and a clock at the same moment: of five tries the one with the fewest ticks in between.
void ReadTogether(clockid_t clock, std::uint64_t* ticks, std::int64_t* ns) noexcept {
  std::uint64_t best = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = Ticks();
    const std::int64_t now = ReadClock(clock);
    const std::uint64_t after = Ticks();
    if (after - before >= best) continue;
    best = after - before;
    *ticks = before + best / 2;
    *ns = now;
  }
}

}  // namespace

ClockConverter::ClockConverter() noexcept { ReadTogether(CLOCK_MONOTONIC, &first_ticks_, &first_mono_); }

void ClockConverter::Update() noexcept {
  if (g_use_tsc) {
    std::uint64_t ticks = first_ticks_;
    std::int64_t mono = first_mono_;
    ReadTogether(CLOCK_MONOTONIC, &ticks, &mono);
    if (ticks > first_ticks_ && mono > first_mono_) {
      ns_per_tick_ = static_cast<double>(mono - first_mono_) / static_cast<double>(ticks - first_ticks_);
    }
  }
  ReadTogether(CLOCK_REALTIME, &anchor_ticks_, &anchor_wall_);
}

}  // namespace spanwatch::internal
