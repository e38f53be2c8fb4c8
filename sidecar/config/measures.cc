#include "sidecar/config/measures.h"

#include <array>

#include "sidecar/core/health_view.h"

namespace spanwatch::config {
namespace {

constexpr int kMeasureCount = static_cast<int>(core::Measure::kSloBurnRate) + 1;

constexpr std::array<core::LabelSource, 4> kLabels = {core::LabelSource::kService, core::LabelSource::kOperation,
                                                      core::LabelSource::kKind, core::LabelSource::kStatus};

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
    case core::Unit::kDollars:
    case core::Unit::kFactor:
      return ParseNumber(text);
    case core::Unit::kHealth:
      if (text == "warning") return static_cast<double>(core::HealthStatus::kWarning);
      if (text == "critical") return static_cast<double>(core::HealthStatus::kCritical);
      return tl::make_unexpected(Quote(text) + " is no status that can alert; allowed: warning, critical");
  }
  return tl::make_unexpected(std::string("no unit"));
}

std::optional<core::RuleLabel> FindLabel(std::string_view name) {
  for (const core::LabelSource source : kLabels) {
    if (const core::RuleLabel label = source; name == label.Text()) return label;
  }
  if (name.starts_with("tag.") && name.size() > 4) return core::RuleLabel(std::string(name.substr(4)));
  return std::nullopt;
}

const std::vector<std::string>& LabelNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const core::LabelSource source : kLabels) list.push_back(core::RuleLabel(source).Text());
    return list;
  }();
  return names;
}

}  // namespace spanwatch::config
