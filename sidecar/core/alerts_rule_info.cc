#include "sidecar/core/alerts_rule_info.h"

#include <algorithm>

#include "sidecar/core/engine.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kEvaluationsPerWindow = 300;      // 5 min: each second
constexpr std::int64_t kMaxIntervalNs = 10'000'000'000;  // a budget of a month does not speak hours late
constexpr std::int64_t kStateIntervalNs = 1'000'000'000;
constexpr std::int64_t kSlots = 60;
constexpr std::int64_t kShortSlots = 10, kMaxSlots = 720;  // of slo.burn_rate

Counting CountingOf(Measure measure) {
  switch (measure) {
    case Measure::kRate:
      return Counting::kSpans;
    case Measure::kErrorRate:
    case Measure::kErrorCount:
      return Counting::kFailed;
    case Measure::kDurationAvg:
      return Counting::kDurations;
    case Measure::kDurationP50:
    case Measure::kDurationP90:
    case Measure::kDurationP95:
    case Measure::kDurationP99:
      return Counting::kSketch;
    case Measure::kSloBurnRate:
      return Counting::kBad;
    case Measure::kTokens:
    case Measure::kCost:
      return Counting::kAmount;
    case Measure::kAbsent:
      return Counting::kPresence;
    default:
      return Counting::kNothing;
  }
}

bool IsTag(const RuleLabel& label) { return label.source == LabelSource::kTag; }

}  // namespace

RuleInfo::RuleInfo(const Rule& rule) : counting(CountingOf(rule.measure)) {
  matches_tags =
      std::any_of(rule.match.begin(), rule.match.end(), [](const LabelMatcher& each) { return IsTag(each.label); });
  groups_by_tags = std::any_of(rule.by.begin(), rule.by.end(), IsTag);
  per_service = rule.measure == Measure::kProcessMemory || rule.measure == Measure::kProcessSilentFor;
  misses = rule.measure == Measure::kRate && rule.direction == Direction::kBelow;
  keeps_texts = groups_by_tags || per_service || counting == Counting::kPresence;
  per_span = counting != Counting::kNothing && (matches_tags || groups_by_tags || counting == Counting::kAmount);
  slot_ns = std::max<std::int64_t>(1, rule.window_ns / kSlots);
  slots = kSlots;
  if (counting == Counting::kBad) {
    slot_ns = std::max(std::min(slot_ns, rule.short_window_ns / kShortSlots), rule.window_ns / kMaxSlots);
    slot_ns = std::max<std::int64_t>(1, slot_ns);
    slots = std::max<std::int64_t>(1, (rule.window_ns + slot_ns - 1) / slot_ns);
    short_slots = std::clamp<std::int64_t>((rule.short_window_ns + slot_ns - 1) / slot_ns, 1, slots);
  }
  const std::int64_t window = counting == Counting::kBad ? rule.short_window_ns : rule.window_ns;
  interval_ns = std::clamp(window / kEvaluationsPerWindow / kTickNs * kTickNs, kTickNs, kMaxIntervalNs);
  if (per_service || counting == Counting::kPresence) interval_ns = kStateIntervalNs;
  lowest = std::min(rule.warning.value_or(rule.critical.value_or(0)), rule.critical.value_or(rule.warning.value_or(0)));
  highest = std::max(rule.warning.value_or(lowest), rule.critical.value_or(lowest));
}

}  // namespace spanwatch::core
