// The gauges set by the program, for the heartbeat.
#ifndef SPANWATCH_SDK_CPP_SRC_GAUGES_H_
#define SPANWATCH_SDK_CPP_SRC_GAUGES_H_

#include <vector>

#include "sdk/cpp/src/envelope.h"

namespace spanwatch::internal {

// Threads: any. May throw std::bad_alloc.
std::vector<Gauge> CopyGauges();
// At Start and after a fork.
void ClearGauges() noexcept;
void ResetGaugesAfterFork() noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_GAUGES_H_
