// The measures of rules by the names that rule files use, with what each takes.
#ifndef SPANWATCH_SIDECAR_CONFIG_MEASURES_H_
#define SPANWATCH_SIDECAR_CONFIG_MEASURES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/config/units.h"
#include "sidecar/core/rule.h"

namespace spanwatch::config {

// By its plain name: "span.duration", "span.tag".
std::optional<core::Measure> FindMeasure(std::string_view name);
// As rules write them: "span.duration", "span.tag(NAME)", ...
const std::vector<std::string>& MeasureNames();

struct MeasureText {
  core::Measure measure = core::Measure::kSpanDuration;
  std::string tag;  // of span.tag
};
// What stands under `measure`: "span.duration", "span.tag(http.response.status_code)".
Parsed<MeasureText> ParseMeasure(std::string_view text);

// What a measure's numbers belong to: `match` and `by` take no other label.
enum class LabelSet {
  kNone,     // one number for the whole sidecar
  kService,  // numbers of services
  kAll,      // of spans
};
inline constexpr LabelSet LabelsOf(core::Measure m) {
  switch (m) {
    case core::Measure::kStoreFill:
    case core::Measure::kSpansLost:
      return LabelSet::kNone;
    case core::Measure::kServiceHealth:
    case core::Measure::kProcessMemory:
    case core::Measure::kProcessSilentFor:
      return LabelSet::kService;
    default:
      return LabelSet::kAll;
  }
}

// Counts over a window that the rule chooses. The other window measures are read as they stand on the tick.
inline constexpr bool HasWindow(core::Measure m) {
  return core::IsWindow(m) && m != core::Measure::kStoreFill && m != core::Measure::kAbsent &&
         (m == core::Measure::kSpansLost || LabelsOf(m) == LabelSet::kAll);
}

// Looks at no past at all: its rules have no window.
inline constexpr bool IsTimeless(core::Measure m) {
  return m == core::Measure::kProcessMemory || m == core::Measure::kProcessSilentFor || m == core::Measure::kAbsent;
}

// Fires above its thresholds alone.
inline constexpr bool IsOnlyAbove(core::Measure m) {
  return core::IsBudget(m) || m == core::Measure::kProcessSilentFor || m == core::Measure::kAbsent ||
         m == core::Measure::kSloBurnRate;
}

// "1s" as a threshold of `measure`, in its unit and within what it takes.
Parsed<double> ParseThreshold(core::Measure measure, std::string_view text);

std::optional<core::RuleLabel> FindLabel(std::string_view name);
// "service", ..., "tag.NAME".
const std::vector<std::string>& LabelNames();

// The names of attributes that rules may use: 1 to 128 bytes, no spaces, control characters or brackets.
bool IsTagName(std::string_view name);

// All values that `kind` or `status` can have; of other labels none: they may have any.
std::vector<std::string> ValuesOf(core::LabelSource source);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_MEASURES_H_
