#include "sdk/cpp/src/allocations.h"

#include <atomic>

#include "sdk/cpp/src/runtime.h"
#include "spanwatch/span.h"

namespace spanwatch::internal {

__thread AllocationCounts t_allocations __attribute__((tls_model("initial-exec"))) = {0, 0, 0};

namespace {
std::atomic<bool> g_counts{false};
std::atomic<std::uint64_t> g_threads{0};
}  // namespace

bool CountsAllocations() noexcept { return g_counts.load(std::memory_order_relaxed); }

std::uint64_t NewAllocatingThread() noexcept { return g_threads.fetch_add(1, std::memory_order_relaxed) + 1; }

bool StartCountingAllocations() noexcept {
  g_counts.store(true, std::memory_order_relaxed);
  // Tracing may be on already: a static constructor of another file started it.
  std::uint32_t on = kModeOn;
  __atomic_compare_exchange_n(&g_tracing_mode, &on, kModeCounting, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  return true;
}

}  // namespace spanwatch::internal
