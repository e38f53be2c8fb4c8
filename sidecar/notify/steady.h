// The steady clock as nanoseconds, as the notifier's threads use it to wait.
#ifndef SPANWATCH_SIDECAR_NOTIFY_STEADY_H_
#define SPANWATCH_SIDECAR_NOTIFY_STEADY_H_

#include <chrono>
#include <cstdint>

namespace spanwatch::notify {

inline std::int64_t SteadyNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Since the epoch.
inline std::int64_t WallNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

inline std::chrono::steady_clock::time_point ToSteady(std::int64_t ns) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::nanoseconds(ns)));
}

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_STEADY_H_
