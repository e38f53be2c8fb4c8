// The parameters of Jaeger's query API -> checked values. What Jaeger ignores is ignored here. Pure; any thread.
// Errors are sentences for the client.
#ifndef SPANWATCH_SIDECAR_HTTP_JAEGER_PARAMS_H_
#define SPANWATCH_SIDECAR_HTTP_JAEGER_PARAMS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/overview_view.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/http/params.h"
#include "spanwatch/ids.h"

namespace spanwatch::http::jaeger {

inline constexpr std::int64_t kDefaultTraces = 100, kMaxTraces = 1500;
inline constexpr std::size_t kMaxTags = 64;
inline constexpr std::size_t kMaxTraceIds = kMaxTraces;
inline constexpr std::int64_t kMaxPoints = 11'000;  // of one series
inline constexpr std::size_t kMaxMetricServices = 100;

template <typename T>
using Parsed = tl::expected<T, std::string>;

// The first value of a parameter; absent: "".
std::string_view First(const Params& params, const std::string& name);

// As Go's time.ParseDuration: "1.5s", "1h30m", "100us", "-2ms", "0". In ns.
Parsed<std::int64_t> ParseGoDuration(std::string_view text);

// Up to 32 hexadecimal digits: leading zeros may be left out.
Parsed<TraceId> ParseTraceId(std::string_view text);
// That, or base64 of 16 bytes, as /api/v3/traces/{id} takes it.
Parsed<TraceId> ParseTraceIdV3(std::string_view text);

// "server", "SPAN_KIND_SERVER", ...; "unspecified" and "" too.
std::optional<core::SpanKind> ParseKind(std::string_view text);

// As strconv.ParseBool.
std::optional<bool> ParseGoBool(std::string_view text);

// GET /api/traces. If there are `trace_ids`, nothing else counts.
struct LegacySearch {
  core::TraceQuery query;
  std::vector<TraceId> trace_ids;
};
Parsed<LegacySearch> ParseLegacySearch(const Params& params, std::int64_t now_ns);

// GET /api/v3/traces and /api/v3/trace-summaries.
Parsed<core::TraceQuery> ParseV3Search(const Params& params);

// GET /api/dependencies: both are checked; the figures have no window.
Parsed<bool> CheckDependencies(const Params& params);

// GET /api/metrics/{latencies,calls,errors}. `wants_quantile`: it must be there.
Parsed<core::SeriesQuery> ParseMetrics(const Params& params, bool wants_quantile, std::int64_t now_ns);

}  // namespace spanwatch::http::jaeger

#endif  // SPANWATCH_SIDECAR_HTTP_JAEGER_PARAMS_H_
