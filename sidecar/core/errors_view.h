// What the groups of errors show. Copies; strings are owned.
#ifndef SPANWATCH_SIDECAR_CORE_ERRORS_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_ERRORS_VIEW_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "spanwatch/ids.h"

namespace spanwatch::core {

inline constexpr std::size_t kErrorMinutes = 60;

// docs/errors.md has the rule.
enum class ErrorTrend : std::uint8_t { kNew, kRising, kStable, kFalling };
const char* ToString(ErrorTrend trend);  // "new", "rising", "stable", "falling"

// Failed spans of one operation with one type and one normalised message. Counts of spans are adjusted by sampling
// weight.
struct ErrorGroupView {
  std::string service, operation, type;
  std::string message;  // normalised, see error_text.h
  std::string example;  // the newest as it came, cut
  double count = 0;
  double judged = 0;                               // of them stored, in traces that were complete at least once
  double root_causes = 0;                          // of those: none of their children failed
  std::array<double, kErrorMinutes> per_minute{};  // by engine time, the running minute last
  ErrorTrend trend = ErrorTrend::kStable;
  std::int64_t first_seen_ns = 0, last_seen_ns = 0;  // engine time
  std::vector<TraceId> traces;                       // those that are stored: the newest first, the very first last
  std::uint64_t traces_seen = 0;                     // complete traces with such errors
  struct Together {
    std::uint32_t group = 0;  // index into ErrorsView::groups
    std::uint64_t count = 0;  // traces that have both
  };
  std::vector<Together> together;  // at most 5, most traces first
};

struct ErrorsView {
  std::int64_t now_ns = 0;             // engine time
  std::int64_t since_ns = 0;           // engine time from which on errors are counted
  double total = 0;                    // errors ever counted: those of the groups and the forgotten ones
  std::vector<ErrorGroupView> groups;  // by count, then last seen, then names
  std::uint64_t forgotten_groups = 0;
  double forgotten_errors = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ERRORS_VIEW_H_
