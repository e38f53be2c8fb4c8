#include "sidecar/core/overview_trend.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace spanwatch::core {
namespace {

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

const char* ToString(Trend trend) {
  switch (trend) {
    case Trend::kImproving:
      return "improving";
    case Trend::kDegrading:
      return "degrading";
    case Trend::kStable:
      break;
  }
  return "stable";
}

Trend ErrorTrend(const TrendSide& recent, const TrendSide& past) {
  if (recent.effective < kTrendRecentCalls || past.effective < kTrendPastCalls) return Trend::kStable;
  const double now = recent.errors / recent.calls, before = past.errors / past.calls;
  const TrendSide& worse = now > before ? recent : past;
  if (worse.errors < kTrendErrors) return Trend::kStable;
  const double difference = now - before;
  if (std::abs(difference) < std::max(kTrendErrorMargin, kTrendErrorPart * before)) return Trend::kStable;
  const double pooled = (now * recent.effective + before * past.effective) / (recent.effective + past.effective);
  const double error = std::sqrt(pooled * (1 - pooled) * (1 / recent.effective + 1 / past.effective));
  if (std::abs(difference) < kTrendZ * error) return Trend::kStable;
  return difference > 0 ? Trend::kDegrading : Trend::kImproving;
}

Trend TimeTrend(const Sketch& recent, double recent_effective, const Sketch& past, double past_effective) {
  if (recent_effective < kTrendRecentCalls || past_effective < kTrendPastCalls) return Trend::kStable;
  const double now = recent.Quantile(0.5), before = past.Quantile(0.5);
  const double difference = now - before;
  if (std::abs(difference) < std::max(kTrendTimeMarginNs, kTrendTimePart * before)) return Trend::kStable;
  const double chance = Sketch::ChanceLonger(recent, past) - 0.5;
  const double error = std::sqrt((recent_effective + past_effective + 1) / (12 * recent_effective * past_effective));
  // Medians may go up while most calls get shorter: then neither is sure.
  if (std::abs(chance) < kTrendZ * error || (chance > 0) != (difference > 0)) return Trend::kStable;
  return difference > 0 ? Trend::kDegrading : Trend::kImproving;
}

Trend ThroughputTrend(std::span<const double> recent, std::span<const double> past, double variance) {
  if (recent.size() < kTrendRecentMinutes || past.size() < kTrendPastMinutes) return Trend::kStable;
  const double now = Mean(recent), before = Mean(past);
  if (before * static_cast<double>(past.size()) < kTrendPastCalls) return Trend::kStable;
  const double difference = now - before;
  if (std::abs(difference) < std::max(kTrendRateMargin, kTrendRatePart * before)) return Trend::kStable;
  double squares = 0;
  for (const double value : past) squares += (value - before) * (value - before);
  const double spread = std::max(variance, squares / static_cast<double>(past.size() - 1));
  const double error =
      std::sqrt(spread * (1 / static_cast<double>(recent.size()) + 1 / static_cast<double>(past.size())));
  if (std::abs(difference) < kTrendZ * error) return Trend::kStable;
  return difference > 0 ? Trend::kImproving : Trend::kDegrading;
}

}  // namespace spanwatch::core
