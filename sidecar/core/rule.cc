#include "sidecar/core/rule.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "sidecar/core/health_view.h"
#include "sidecar/core/incident.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {
namespace {

// At most three significant digits, no trailing zeros: 1, 1.5, 12.3, 123, 1230.
std::string Short(double value) {
  std::array<char, 48> buffer{};
  const double magnitude = std::fabs(value);
  const int decimals = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2;
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  std::string text = buffer.data();
  if (text.find('.') != std::string::npos) {
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

std::string FormatNanoseconds(double ns) {
  const double magnitude = std::fabs(ns);
  if (magnitude < 1e3) return Short(ns) + " ns";
  if (magnitude < 1e6) return Short(ns / 1e3) + " µs";
  if (magnitude < 1e9) return Short(ns / 1e6) + " ms";
  if (magnitude < 120e9) return Short(ns / 1e9) + " s";
  if (magnitude < 7200e9) return Short(ns / 60e9) + " min";
  return Short(ns / 3600e9) + " h";
}

// Digits up to 9999, above that 10 k, 1.5 M, 2 G: nobody counts digits at night.
std::string FormatCount(double value) {
  constexpr std::array<std::pair<double, const char*>, 4> kSteps = {
      {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}}};
  const double magnitude = std::fabs(value);
  if (magnitude < 9999.5) return Short(value);
  for (const auto& [size, name] : kSteps) {
    if (magnitude >= size * 0.9995) return Short(value / size) + name;
  }
  return Short(value);
}

std::string FormatBytes(double bytes) {
  const double magnitude = std::fabs(bytes);
  if (magnitude < 1024) return Short(bytes) + " B";
  if (magnitude < 1024.0 * 1024) return Short(bytes / 1024) + " KB";
  if (magnitude < 1024.0 * 1024 * 1024) return Short(bytes / (1024.0 * 1024)) + " MB";
  return Short(bytes / (1024.0 * 1024 * 1024)) + " GB";
}

}  // namespace

std::string FormatValue(double value, Unit unit) {
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  switch (unit) {
    case Unit::kNanoseconds:
      return FormatNanoseconds(value);
    case Unit::kBytes:
      return FormatBytes(value);
    case Unit::kRatio:
      return Short(value * 100) + " %";
    case Unit::kPerSecond:
      return FormatCount(value) + " /s";
    case Unit::kHealth:
      return ToString(value >= 2   ? HealthStatus::kCritical
                      : value >= 1 ? HealthStatus::kWarning
                                   : HealthStatus::kHealthy);
    case Unit::kDollars: {
      std::array<char, 48> buffer{};
      std::snprintf(buffer.data(), buffer.size(), std::fabs(value) < 1 ? "$ %.4f" : "$ %.2f", value);
      return buffer.data();
    }
    case Unit::kFactor:
      return Short(value) + " x";
    case Unit::kCount:
      break;
  }
  return FormatCount(value);
}

const char* ToString(Severity severity) {
  constexpr const char* kNames[] = {"none", "warning", "critical"};
  return kNames[static_cast<int>(severity)];
}

std::string RuleLabel::Text() const {
  constexpr const char* kNames[] = {"service", "operation", "kind", "status"};
  return source == LabelSource::kTag ? "tag." + tag : kNames[static_cast<int>(source)];
}

std::string RuleLabel::Name() const {
  if (source != LabelSource::kTag) return Text();
  std::string name = tag;
  for (char& c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) c = '_';
  }
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) name.insert(0, "_");
  return name;
}

const char* ToString(Measure measure) {
  constexpr const char* kNames[] = {"span.duration",
                                    "span.open_for",
                                    "span.memory_delta",
                                    "span.tag",
                                    "trace.duration",
                                    "trace.depth",
                                    "trace.span_count",
                                    "trace.error_count",
                                    "trace.memory_delta",
                                    "trace.repeated_calls",
                                    "error_rate",
                                    "error_count",
                                    "rate",
                                    "duration.avg",
                                    "store.fill",
                                    "spans_lost",
                                    "service.health",
                                    "duration.p50",
                                    "duration.p90",
                                    "duration.p95",
                                    "duration.p99",
                                    "process.memory",
                                    "process.silent_for",
                                    "absent",
                                    "tokens",
                                    "cost",
                                    "slo.burn_rate"};
  return kNames[static_cast<int>(measure)];
}

const char* ToString(AlertState state) {
  constexpr const char* kNames[] = {"inactive", "pending", "firing", "resolved"};
  return kNames[static_cast<int>(state)];
}

const char* ToString(TransitionKind kind) {
  constexpr const char* kNames[] = {"firing", "escalated", "deescalated", "updated", "resolved"};
  return kNames[static_cast<int>(kind)];
}

const char* ToString(SpanKind kind) {
  constexpr const char* kNames[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  return kNames[static_cast<int>(kind)];
}

const char* ToString(StatusCode status) {
  constexpr const char* kNames[] = {"unset", "ok", "error"};
  return kNames[static_cast<int>(status)];
}

}  // namespace spanwatch::core
