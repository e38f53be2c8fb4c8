// The answers of GET /api/v1/services and /api/v1/dependencies: docs/api.md is the contract. Durations in ms, rates
// 0..1. Any thread; invalid UTF-8 is repaired, never thrown.
#ifndef SPANWATCH_SIDECAR_HTTP_HEALTH_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_HEALTH_JSON_H_

#include <optional>
#include <string>

#include "sidecar/core/health_view.h"

namespace spanwatch::http {

// `status`: only services in it; the counts are of all.
std::string ServicesJson(const core::HealthView& health, std::optional<core::HealthStatus> status);
std::string DependenciesJson(const core::DependencyView& dependencies);

// The value below which the share `quantile` of what was observed lies, as Prometheus' histogram_quantile() has it:
// even within a bucket; the last bound, if it lies beyond. 0 without observations.
double HistogramQuantileNs(const core::DurationHistogram& histogram, double quantile);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_HEALTH_JSON_H_
