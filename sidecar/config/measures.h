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

std::optional<core::Measure> FindMeasure(std::string_view name);
const std::vector<std::string>& MeasureNames();

// Whether its numbers belong to services and operations: store.fill and spans_lost have one value for the whole
// sidecar.
inline constexpr bool HasLabels(core::Measure m) {
  return m != core::Measure::kStoreFill && m != core::Measure::kSpansLost;
}

// "1s" as a threshold of `measure`, in its unit.
Parsed<double> ParseThreshold(core::Measure measure, std::string_view text);

std::optional<core::RuleLabel> FindLabel(std::string_view name);
const std::vector<std::string>& LabelNames();

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_MEASURES_H_
