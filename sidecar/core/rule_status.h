// How the rules in force are doing. Plain values.
#ifndef SPANWATCH_SIDECAR_CORE_RULE_STATUS_H_
#define SPANWATCH_SIDECAR_CORE_RULE_STATUS_H_

#include <cstdint>
#include <string>

namespace spanwatch::core {

// A rule that failed stays marked for so long, engine time.
inline constexpr std::int64_t kRuleFailureShownNs = 300'000'000'000;

struct RuleStatus {
  std::string group, alert;
  bool ok = true;                       // it did not fail within kRuleFailureShownNs
  std::string last_error;               // why it did; empty while ok
  std::uint64_t evaluations = 0;        // window rules: passes over its groups; event rules: matches
  std::int64_t last_evaluation_ns = 0;  // engine time; 0: never
  std::uint64_t failures = 0;           // of any kind
  std::uint64_t groups = 0;             // of a window rule, now
  std::uint64_t dropped_groups = 0;     // times that a group found no room
  std::uint64_t dropped_incidents = 0;  // matches that found no room for their incident
  std::uint64_t unpriced_spans = 0;     // cost: spans with tokens and without a known price
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_RULE_STATUS_H_
