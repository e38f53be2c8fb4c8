// What alerts*.cc know of each rule beside the rule itself: how it counts, how often it is looked at, how it does.
#ifndef SPANWATCH_SIDECAR_CORE_ALERTS_RULE_INFO_H_
#define SPANWATCH_SIDECAR_CORE_ALERTS_RULE_INFO_H_

#include <array>
#include <cstdint>
#include <string>

#include "sidecar/core/rule.h"
#include "sidecar/core/span_batch.h"
#include "sidecar/core/span_index.h"

namespace spanwatch::core {

// Where something happened. operation == kNone: nowhere in particular (store.fill), or only texts are known.
struct Subject {
  std::uint32_t operation = kNone;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
};

// What a window rule adds to a slot for a span, beside its weight.
enum class Counting : std::uint8_t {
  kNothing,    // no spans at all: store.fill, spans_lost, service.health, process.*
  kSpans,      // rate
  kFailed,     // error_rate, error_count
  kDurations,  // duration.avg
  kSketch,     // duration.pNN
  kBad,        // slo.burn_rate
  kAmount,     // tokens, cost: these instead of the weight
  kPresence    // absent: no slots
};

struct RuleInfo {
  explicit RuleInfo(const Rule& rule);

  Counting counting = Counting::kNothing;
  bool matches_tags = false, groups_by_tags = false;
  bool keeps_texts = false;  // its groups and incidents keep the texts of their labels: no operation stands for them
  bool per_span = false;     // its group depends on each span's attributes
  bool per_service = false;  // process.*
  bool misses = false;       // a rate that is too low: what says nothing at all is judged too
  std::int64_t slot_ns = 1, slots = 60, short_slots = 0;
  std::int64_t interval_ns = 0;    // of evaluations
  double lowest = 0, highest = 0;  // thresholds
};

enum class RuleFailure : std::uint8_t { kGroups, kIncidents, kNotFinite, kUnpriced, kSketch };
inline constexpr std::size_t kRuleFailures = 5;

struct RuleState {
  std::uint32_t uid = 0;  // the same for as long as the rule does not change
  std::uint32_t groups = 0, active = 0;
  std::uint64_t evaluations = 0;
  std::int64_t evaluated_ns = 0, failed_ns = 0;
  RuleFailure failure = RuleFailure::kGroups;  // the latest
  std::array<std::uint64_t, kRuleFailures> failures{};
  std::string unpriced_model;  // of the latest span without a price
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ALERTS_RULE_INFO_H_
