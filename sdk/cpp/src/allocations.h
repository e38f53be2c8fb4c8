// Counting what traced threads allocate; off until a program includes spanwatch/count_allocations.h.
#ifndef SPANWATCH_SDK_CPP_SRC_ALLOCATIONS_H_
#define SPANWATCH_SDK_CPP_SRC_ALLOCATIONS_H_

#include <cstdint>

#include "spanwatch/allocation_counter.h"

namespace spanwatch::internal {

// Threads: any.
bool CountsAllocations() noexcept;
// A number for this thread, never given again. From 1.
std::uint64_t NewAllocatingThread() noexcept;

// What this thread allocates while it lives is the SDK's own, and not counted.
class UncountedAllocations {
 public:
  UncountedAllocations() noexcept : bytes_(t_allocations.bytes), count_(t_allocations.count) {}
  ~UncountedAllocations() {
    t_allocations.bytes = bytes_;
    t_allocations.count = count_;
  }
  UncountedAllocations(const UncountedAllocations&) = delete;
  UncountedAllocations& operator=(const UncountedAllocations&) = delete;

 private:
  const std::uint64_t bytes_, count_;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_ALLOCATIONS_H_
