// Tracing without a sender thread: spans are read out of the rings by whoever fills one, or asks.
#ifndef SPANWATCH_SDK_CPP_SRC_CAPTURE_H_
#define SPANWATCH_SDK_CPP_SRC_CAPTURE_H_

#include <atomic>

#include "sdk/cpp/src/config.h"

namespace spanwatch::internal {

// Called by Wake() when a ring is half full. Null: there is a sender, which is woken. Threads: any.
using DrainFunction = void (*)() noexcept;
extern std::atomic<DrainFunction> g_drain;

// Ends a run, if there is one, and turns tracing on with no sender; `drain` is called from traced threads. False:
// another capture is on. Threads: any.
bool BeginCapture(const Config& config, DrainFunction drain) noexcept;
void EndCapture() noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_CAPTURE_H_
