// What spanwatch/count_allocations.h and the SDK share: a thread's count of what it allocated. Not for programs.
#ifndef SPANWATCH_ALLOCATION_COUNTER_H_
#define SPANWATCH_ALLOCATION_COUNTER_H_

#include <cstdint>

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

// Plain and zero-initialised: counting needs no constructor, no lock and no allocation, and works from the first
// instruction of a thread to its last. Threads: its own alone.
struct AllocationCounts {
  std::uint64_t bytes;   // asked for, ever
  std::uint64_t count;   // calls of operator new, ever
  std::uint64_t thread;  // number of the thread, given by its first span that counts; 0: none yet
};
extern __thread AllocationCounts t_allocations __attribute__((tls_model("initial-exec")));

// From now on spans carry what their threads allocate. Threads: any. Returns true.
bool StartCountingAllocations() noexcept;

}  // namespace internal
}  // namespace spanwatch
#pragma GCC visibility pop

#endif  // SPANWATCH_ALLOCATION_COUNTER_H_
