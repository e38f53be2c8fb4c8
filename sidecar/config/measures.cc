#include "sidecar/config/measures.h"

#include <algorithm>
#include <array>

#include "sidecar/core/health_view.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::config {
namespace {

constexpr int kMeasureCount = static_cast<int>(core::Measure::kSloBurnRate) + 1;

constexpr std::array<core::LabelSource, 4> kLabels = {core::LabelSource::kService, core::LabelSource::kOperation,
                                                      core::LabelSource::kKind, core::LabelSource::kStatus};

constexpr std::size_t kMaxTagBytes = 128;
constexpr double kSecondNs = 1e9;
constexpr double kMaxAbsenceNs = 31 * 86400e9;
constexpr double kMaxSilenceNs = 12 * 3600e9;  // a process that is silent for a day is not missed any more

Parsed<double> ParseSilence(std::string_view text, double min_ns, double max_ns) {
  const Parsed<std::int64_t> ns = ParseDuration(text);
  if (!ns) return tl::make_unexpected(ns.error());
  const auto value = static_cast<double>(*ns);
  if (value >= min_ns && value <= max_ns) return value;
  return tl::make_unexpected(Quote(text) +
                             " is out of range; allowed: " + DurationText(static_cast<std::int64_t>(min_ns)) + " to " +
                             DurationText(static_cast<std::int64_t>(max_ns)));
}

Parsed<double> ParseStatus(std::string_view text) {
  if (text == "warning") return static_cast<double>(core::HealthStatus::kWarning);
  if (text == "critical") return static_cast<double>(core::HealthStatus::kCritical);
  return tl::make_unexpected(Quote(text) + " is no status that can alert; allowed: warning, critical");
}

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
    for (int i = 0; i < kMeasureCount; ++i) {
      const auto measure = static_cast<core::Measure>(i);
      list.push_back(std::string(core::ToString(measure)) + (measure == core::Measure::kSpanTag ? "(NAME)" : ""));
    }
    return list;
  }();
  return names;
}

Parsed<MeasureText> ParseMeasure(std::string_view text) {
  const std::size_t bracket = text.find('(');
  const std::string_view name = text.substr(0, bracket);
  const std::optional<core::Measure> measure = FindMeasure(name);
  if (measure == core::Measure::kSpanTag) {
    const bool closed = bracket != std::string_view::npos && text.ends_with(')');
    const std::string_view tag = closed ? text.substr(bracket + 1, text.size() - bracket - 2) : std::string_view();
    if (IsTagName(tag)) return MeasureText{*measure, std::string(tag)};
    return tl::make_unexpected(Quote(text) +
                               " does not name a tag; allowed: span.tag(NAME) with the name of one attribute, at most "
                               "128 bytes without spaces or brackets, as in span.tag(http.response.status_code)");
  }
  if (measure && bracket == std::string_view::npos) return MeasureText{*measure, {}};
  if (measure) {
    return tl::make_unexpected(Quote(text) + ": " + std::string(name) + " takes nothing in brackets; write " +
                               std::string(name));
  }
  return tl::make_unexpected("unknown measure " + Quote(text) + DidYouMean(text, MeasureNames()) +
                             "; allowed: " + Join(MeasureNames()));
}

Parsed<double> ParseThreshold(core::Measure measure, std::string_view text) {
  if (measure == core::Measure::kSpanTag) return ParseSigned(text);
  if (measure == core::Measure::kAbsent) return ParseSilence(text, kSecondNs, kMaxAbsenceNs);
  if (measure == core::Measure::kProcessSilentFor) return ParseSilence(text, 2 * kSecondNs, kMaxSilenceNs);
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
      return ParseCount(text);
    case core::Unit::kDollars:
      return ParseDollars(text);
    case core::Unit::kFactor:
      return ParseFactor(text);
    case core::Unit::kHealth:
      return ParseStatus(text);
  }
  return tl::make_unexpected(std::string("no unit"));
}

bool IsTagName(std::string_view name) {
  const auto allowed = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '(' && c != ')'; };
  return !name.empty() && name.size() <= kMaxTagBytes && std::all_of(name.begin(), name.end(), allowed);
}

std::optional<core::RuleLabel> FindLabel(std::string_view name) {
  for (const core::LabelSource source : kLabels) {
    if (const core::RuleLabel label = source; name == label.Text()) return label;
  }
  if (name.starts_with("tag.") && IsTagName(name.substr(4))) return core::RuleLabel(std::string(name.substr(4)));
  return std::nullopt;
}

const std::vector<std::string>& LabelNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const core::LabelSource source : kLabels) list.push_back(core::RuleLabel(source).Text());
    list.emplace_back("tag.NAME");
    return list;
  }();
  return names;
}

std::vector<std::string> ValuesOf(core::LabelSource source) {
  std::vector<std::string> values;
  if (source == core::LabelSource::kKind) {
    for (int i = 0; i <= static_cast<int>(core::SpanKind::kConsumer); ++i)
      values.emplace_back(core::ToString(static_cast<core::SpanKind>(i)));
  } else if (source == core::LabelSource::kStatus) {
    for (int i = 0; i <= static_cast<int>(core::StatusCode::kError); ++i)
      values.emplace_back(core::ToString(static_cast<core::StatusCode>(i)));
  }
  return values;
}

}  // namespace spanwatch::config
