// What the overview shows: copies, made under the engine's mutex in short holds. Strings are owned. Counts are weighted
// by sampling. How each figure and trend comes about is told to users in docs/overview.md.
#ifndef SPANWATCH_SIDECAR_CORE_OVERVIEW_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_OVERVIEW_VIEW_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

// A window of N minutes: the running minute and the N whole ones before it; of 60: from where a five-minute slot
// begins.
inline constexpr std::size_t kOverviewWindows = 3;
inline constexpr std::array<std::int32_t, kOverviewWindows> kWindowMinutes = {1, 5, 60};

struct WindowFigures {
  std::int64_t covered_ns = 0;  // of it there are figures: not longer ago than the first span
  double calls = 0, errors = 0;
  double rate = 0;        // calls a second of covered_ns
  double error_rate = 0;  // 0..1
  double avg_ns = 0;
  double p50_ns = 0, p90_ns = 0, p95_ns = 0, p99_ns = 0;  // within kQuantileError; 0 without calls
  double slow_warning = 0, slow_critical = 0;             // calls over thresholds.slow
  double timeouts = 0;                                    // calls that failed by a timeout
  double memory_growth_bytes = 0;                         // sum over spans that grew
  double memory_largest_bytes = 0;                        // of one span
  double memory_spans = 0;                                // that grew
};

// Of the last five minutes against the rest of the hour. `kImproving` is good for the user: fewer errors, shorter
// times, more throughput.
enum class Trend : std::uint8_t { kStable, kImproving, kDegrading };
const char* ToString(Trend trend);  // "stable", "improving", "degrading"

struct Trends {
  Trend error_rate = Trend::kStable, response_time = Trend::kStable, throughput = Trend::kStable;
};

struct RecentMinute {
  std::int64_t start_ns = 0;
  std::int64_t covered_ns = 0;  // of the running one what has passed, of the first one what came after the first span
  double calls = 0, errors = 0, duration_ns = 0;
};

struct OperationOverview {
  std::string service, operation;
  SpanKind kind = SpanKind::kUnspecified;
  std::array<WindowFigures, kOverviewWindows> windows;
  Trends trends;
};

struct ServiceOverview {
  std::string service;  // empty: of all
  std::array<WindowFigures, kOverviewWindows> windows;
  Trends trends;
  std::vector<RecentMinute> recent;  // newest first, the running one included, at most 60
};

struct OverviewView {
  std::int64_t now_ns = 0;
  std::int64_t since_ns = 0;  // engine time of the first span that is counted here; 0: none
  ServiceOverview all;
  std::vector<ServiceOverview> services;      // by name
  std::vector<OperationOverview> operations;  // by calls in 60 min, most first; then by name and kind
  std::uint64_t folded_operations = 0;        // now counted in the "(other)" of their service: memory is full
  double folded_calls = 0;                    // ever
  std::uint64_t bytes = 0, max_bytes = 0;     // by formula
};

// Lists for people, from the window of 60 minutes.
enum class OverviewRank : std::uint8_t {
  kSlowest,         // by p95; at least kRankedCalls calls
  kFrequentlySlow,  // by share of calls over thresholds.slow (warning); at least kRankedCalls calls
  kMemoryGrowing    // by sum of growth
};
inline constexpr double kRankedCalls = 10;
// At most `limit` of the operations of `service` (empty: all), the first first; pointers into `view`.
std::vector<const OperationOverview*> RankOperations(const OverviewView& view, OverviewRank rank,
                                                     std::string_view service, std::size_t limit);

// Points at end_ns, end_ns - step_ns, ... back to end_ns - lookback_ns. Each tells of the per_ns before it; points of
// which nothing can be known (the last hour is kept) are left out, and those beyond kMaxSeriesPoints. Calls and errors
// are known by minute, durations by minute for the last five, else by five minutes; of a minute that lies partly within
// per_ns, that part counts.
inline constexpr std::size_t kMaxSeriesPoints = 1500;
struct SeriesQuery {
  std::vector<std::string> services;  // empty: all
  std::vector<SpanKind> kinds;        // empty: all
  bool by_operation = false;          // else one series a service
  double quantile = 0.95;
  std::int64_t end_ns = 0, lookback_ns = 0, step_ns = 60'000'000'000, per_ns = 600'000'000'000;
};

struct Series {
  std::string service, operation;  // no operation: of the whole service
  struct Point {
    std::int64_t at_ns = 0;
    double calls_per_s = 0, errors_per_s = 0;
    double quantile_ns = 0;  // of the durations; 0 if there were no calls
  };
  std::vector<Point> points;  // in order of time
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_OVERVIEW_VIEW_H_
