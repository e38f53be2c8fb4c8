#include "sidecar/config/measures.h"

#include <array>

#include "sidecar/core/health_view.h"

namespace spanwatch::config {
namespace {

constexpr int kMeasureCount = static_cast<int>(core::Measure::kServiceHealth) + 1;

constexpr std::array<std::string_view, 10> kLaterMeasures = {
    "trace.repeated_calls", "duration.p50", "duration.p90", "duration.p95",  "duration.p99",
    "process.memory",       "absent",       "tokens",       "slo.burn_rate", "cost"};

constexpr std::array<core::RuleLabel, 4> kLabels = {core::RuleLabel::kService, core::RuleLabel::kOperation,
                                                    core::RuleLabel::kKind, core::RuleLabel::kStatus};

}  // namespace

std::optional<core::Measure> FindMeasure(std::string_view name) {
  for (int i = 0; i < kMeasureCount; ++i) {
    if (name == core::ToString(static_cast<core::Measure>(i))) return static_cast<core::Measure>(i);
  }
  return std::nullopt;
}

const std::vector<std::string>& MeasureNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (int i = 0; i < kMeasureCount; ++i) list.emplace_back(core::ToString(static_cast<core::Measure>(i)));
    return list;
  }();
  return names;
}

bool IsLaterMeasure(std::string_view name) {
  for (const std::string_view later : kLaterMeasures) {
    if (name == later) return true;
  }
  return name.starts_with("span.tag(");
}

Parsed<double> ParseThreshold(core::Measure measure, std::string_view text) {
  switch (core::UnitOf(measure)) {
    case core::Unit::kNanoseconds:
      return ParseDuration(text).map([](std::int64_t ns) { return static_cast<double>(ns); });
    case core::Unit::kBytes:
      return ParseSize(text).map([](std::uint64_t bytes) { return static_cast<double>(bytes); });
    case core::Unit::kRatio:
      return ParsePercent(text);
    case core::Unit::kPerSecond:
      return ParseRate(text);
    case core::Unit::kCount:
      return ParseNumber(text);
    case core::Unit::kHealth:
      if (text == "warning") return static_cast<double>(core::HealthStatus::kWarning);
      if (text == "critical") return static_cast<double>(core::HealthStatus::kCritical);
      return tl::make_unexpected(Quote(text) + " is no status that can alert; allowed: warning, critical");
  }
  return tl::make_unexpected(std::string("no unit"));
}

std::optional<core::RuleLabel> FindLabel(std::string_view name) {
  for (const core::RuleLabel label : kLabels) {
    if (name == core::ToString(label)) return label;
  }
  return std::nullopt;
}

const std::vector<std::string>& LabelNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const core::RuleLabel label : kLabels) list.emplace_back(core::ToString(label));
    return list;
  }();
  return names;
}

}  // namespace spanwatch::config
