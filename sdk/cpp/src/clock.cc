#include "sdk/cpp/src/clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace spanwatch::internal {

bool g_use_tsc = false;

namespace {

// Whether the counter runs at one rate in all states of power (what /proc/cpuinfo calls constant_tsc and nonstop_tsc).
bool IsCounterInvariant() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kPowerLeaf = 0x80000007;
  constexpr unsigned kInvariantTsc = 1u << 8;
  if (static_cast<unsigned>(__get_cpuid_max(0x80000000, nullptr)) < kPowerLeaf ||
      __get_cpuid(kPowerLeaf, &a, &b, &c, &d) == 0)
    return false;
  return (d & kInvariantTsc) != 0;
#else
  return false;
#endif
}

// What the kernel keeps time by; empty if it does not say.
std::string_view ReadClocksource(char (&text)[64]) noexcept {
  const int file = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t size = read(file, text, sizeof(text));
  close(file);
  std::string_view name(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  if (!name.empty() && name.back() == '\n') name.remove_suffix(1);
  return name;
}

}  // namespace

bool IsTscUsable(bool is_invariant, std::string_view clocksource, std::string_view wanted) noexcept {
  if (!is_invariant || wanted == kMonotonicClock) return false;
  // The kernel falls back to these when it found the counters of the processors apart or unsteady.
  for (const std::string_view fallback : {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}) {
    if (clocksource == fallback) return false;
  }
  return true;
}

void DetectClock() noexcept {
  char text[64];
  const char* const wanted = std::getenv("TRACING_CLOCK");
  g_use_tsc = IsTscUsable(IsCounterInvariant(), ReadClocksource(text), wanted == nullptr ? "" : wanted);
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
