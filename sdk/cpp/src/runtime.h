// The SDK's one instance: starting, stopping, forking, and what the public functions share.
#ifndef SPANWATCH_SDK_CPP_SRC_RUNTIME_H_
#define SPANWATCH_SDK_CPP_SRC_RUNTIME_H_

#include <cstdint>

namespace spanwatch::internal {

// Values of g_tracing_mode. kModeForked: a child in which the next span starts the sender anew. kModeCounting: on, and
// spans count what their threads allocate (spanwatch/count_allocations.h).
enum : std::uint32_t { kModeOff = 0, kModeOn = 1, kModeForked = 2, kModeCounting = 3 };

// Returns whether tracing is on. Threads: any.
bool RestartAfterFork() noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_RUNTIME_H_
