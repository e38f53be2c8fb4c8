// Whether a figure of the last five minutes differs from the same operation's own past so much, and on so many calls,
// that it is no noise. The rule stands in docs/overview.md. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_OVERVIEW_TREND_H_
#define SPANWATCH_SIDECAR_CORE_OVERVIEW_TREND_H_

#include <span>

#include "sidecar/core/overview_sketch.h"
#include "sidecar/core/overview_view.h"

namespace spanwatch::core {

inline constexpr double kTrendZ = 3;  // standard errors
inline constexpr double kTrendRecentCalls = 20, kTrendPastCalls = 50;
inline constexpr double kTrendErrors = 5;  // errors on the side with the higher rate
inline constexpr double kTrendErrorPart = 0.25, kTrendErrorMargin = 0.005;
inline constexpr double kTrendTimePart = 0.10, kTrendTimeMarginNs = 1e6;
inline constexpr double kTrendRatePart = 0.20, kTrendRateMargin = 1;  // calls a minute
inline constexpr std::size_t kTrendRecentMinutes = 5, kTrendPastMinutes = 15;

// Calls of one side. `effective`: as many calls of weight 1 would tell as much: (sum of w)^2 / sum of w^2.
struct TrendSide {
  double calls = 0, errors = 0, effective = 0;
};

// Two proportions, pooled.
Trend ErrorTrend(const TrendSide& recent, const TrendSide& past);
// Medians; guarded by the rank test of Mann and Whitney.
Trend TimeTrend(const Sketch& recent, double recent_effective, const Sketch& past, double past_effective);
// Calls of whole minutes; guarded by how much the past minutes differ among themselves, at least as by chance.
// `variance`: that of one past minute if calls came independently (sum of w^2 a minute).
Trend ThroughputTrend(std::span<const double> recent, std::span<const double> past, double variance);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_OVERVIEW_TREND_H_
