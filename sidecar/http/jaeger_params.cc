#include "sidecar/http/jaeger_params.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

namespace spanwatch::http::jaeger {
namespace {

using Tags = std::map<std::string, std::string>;

constexpr std::int64_t kMicro = 1'000, kMilli = 1'000'000;
constexpr std::int64_t kHour = 3'600'000'000'000;
constexpr std::int64_t kDefaultLookbackNs = 48 * kHour;

tl::unexpected<std::string> Unparsable(std::string_view name, std::string_view why) {
  return tl::unexpected("unable to parse param '" + std::string(name) + "': " + std::string(why));
}

tl::unexpected<std::string> Malformed(std::string_view name, std::string_view why) {
  return tl::unexpected("malformed parameter " + std::string(name) + ": " + std::string(why));
}

bool ParseInteger(std::string_view text, std::int64_t* out) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

// As near to value * unit as 64 bits allow.
std::int64_t Scale(std::int64_t value, std::int64_t unit) {
  std::int64_t scaled = 0;
  if (!__builtin_mul_overflow(value, unit, &scaled)) return scaled;
  return value < 0 ? INT64_MIN : INT64_MAX;
}

std::int64_t Before(std::int64_t time_ns, std::int64_t length_ns) {
  std::int64_t result = 0;
  return __builtin_sub_overflow(time_ns, length_ns, &result) ? INT64_MIN : result;
}

// An integer in `unit`; absent: `fallback`.
Parsed<std::int64_t> ParseUnits(const Params& params, const std::string& name, std::int64_t unit,
                                std::int64_t fallback) {
  const std::string_view text = First(params, name);
  if (text.empty()) return fallback;
  std::int64_t value = 0;
  if (!ParseInteger(text, &value)) return Unparsable(name, "must be an integer");
  return Scale(value, unit);
}

// {"key":"text",...} as in Jaeger: other values are errors.
bool ParseJsonTags(const std::string& text, Tags* tags) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return false;
    (*tags)[key] = value.get<std::string>();
  }
  return true;
}

tl::expected<void, std::string> AddTags(const Tags& tags, core::TraceQuery* query) {
  if (tags.size() > kMaxTags)
    return tl::unexpected("too many tags: " + std::to_string(kMaxTags) + " are allowed in one search");
  for (const auto& [key, value] : tags) query->tags.push_back({key, value});
  return {};
}

tl::expected<void, std::string> ParseTags(const Params& params, core::TraceQuery* query) {
  Tags tags;
  const auto [begin, end] = params.equal_range("tag");
  for (auto it = begin; it != end; ++it) {
    const std::size_t colon = it->second.find(':');
    if (colon == std::string::npos)
      return tl::unexpected("malformed 'tag' parameter, expecting key:value, received: " + it->second);
    tags[it->second.substr(0, colon)] = it->second.substr(colon + 1);
  }
  const auto [json_begin, json_end] = params.equal_range("tags");
  for (auto it = json_begin; it != json_end; ++it) {
    if (!it->second.empty() && !ParseJsonTags(it->second, &tags))
      return tl::unexpected(std::string("malformed 'tags' parameter: must be a JSON object of strings"));
  }
  return AddTags(tags, query);
}

// A duration that is a bound: not negative; absent: -1.
Parsed<std::int64_t> ParseBound(std::string_view text) {
  if (text.empty()) return -1;
  const auto duration = ParseGoDuration(text);
  if (duration && *duration < 0) return tl::unexpected(std::string("must not be negative"));
  return duration;
}

// -1: none. 0 is none too, as in Jaeger.
bool SetDurations(std::int64_t shortest, std::int64_t longest, core::TraceQuery* query) {
  if (shortest > 0) query->min_duration_ns = shortest;
  if (longest > 0) query->max_duration_ns = longest;
  return shortest <= 0 || longest <= 0 || shortest <= longest;
}

tl::expected<void, std::string> ParseDurations(const Params& params, core::TraceQuery* query) {
  const auto shortest = ParseBound(First(params, "minDuration"));
  if (!shortest) return Unparsable("minDuration", shortest.error());
  const auto longest = ParseBound(First(params, "maxDuration"));
  if (!longest) return Unparsable("maxDuration", longest.error());
  if (!SetDurations(*shortest, *longest, query))
    return tl::unexpected(std::string("'maxDuration' should be greater than 'minDuration'"));
  return {};
}

std::string LimitText() { return "must be from 1 to " + std::to_string(kMaxTraces); }

bool ParseLimit(std::string_view text, core::TraceQuery* query) {
  std::int64_t limit = kDefaultTraces;
  if (!text.empty() && !ParseInteger(text, &limit)) return false;
  query->limit = static_cast<std::size_t>(std::max<std::int64_t>(limit, 0));
  return limit >= 1 && limit <= kMaxTraces;
}

// Jaeger UI sends `lookback` beside `start`; by hand it is of use alone. "custom" and other words say nothing.
tl::expected<void, std::string> ParseWindow(const Params& params, std::int64_t now_ns, core::TraceQuery* query) {
  const auto end = ParseUnits(params, "end", kMicro, now_ns);
  if (!end) return tl::unexpected(end.error());
  const std::int64_t lookback = ParseDurationNs(First(params, "lookback"));
  const auto start =
      ParseUnits(params, "start", kMicro, lookback >= 0 ? Before(*end, lookback) : Before(now_ns, kDefaultLookbackNs));
  if (!start) return tl::unexpected(start.error());
  query->start_ns = *start;
  query->end_ns = *end;
  return {};
}

Parsed<std::vector<TraceId>> ParseTraceIds(const Params& params) {
  std::vector<TraceId> ids;
  const auto [begin, end] = params.equal_range("traceID");
  for (auto it = begin; it != end; ++it) {
    const auto id = ParseTraceId(it->second);
    if (!id) return tl::unexpected("cannot parse traceID param: " + id.error());
    if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
    if (ids.size() > kMaxTraceIds)
      return tl::unexpected("too many traceID params: " + std::to_string(kMaxTraceIds) + " are allowed");
  }
  return ids;
}

struct Named {
  std::string name;  // as it was sent
  std::string_view value;
};

// The first of its names that has a value.
Named Find(const Params& params, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const std::string_view value = First(params, name); !value.empty()) return {name, value};
  }
  return {*names.begin(), {}};
}

tl::expected<void, std::string> ParseV3Window(const Params& params, core::TraceQuery* query) {
  const Named from = Find(params, {"query.startTimeMin", "query.start_time_min"});
  const Named until = Find(params, {"query.startTimeMax", "query.start_time_max"});
  if (from.value.empty() || until.value.empty())
    return tl::unexpected(std::string("query.startTimeMin and query.startTimeMax are required"));
  // RFC 3339 alone: no other text that ParseTimeNs() takes has its shape.
  const auto parse = [](std::string_view text, std::int64_t* out) {
    return text.size() >= 20 && text[4] == '-' && text[7] == '-' && ParseTimeNs(text, 0, out);
  };
  constexpr std::string_view kWhat = "must be a time as in 2024-05-01T10:00:00.5Z (RFC 3339)";
  if (!parse(from.value, &query->start_ns)) return Malformed(from.name, kWhat);
  if (!parse(until.value, &query->end_ns)) return Malformed(until.name, kWhat);
  if (query->start_ns > query->end_ns) return Malformed(from.name, "lies after " + until.name);
  return {};
}

tl::expected<void, std::string> ParseV3Durations(const Params& params, core::TraceQuery* query) {
  const Named low = Find(params, {"query.durationMin", "query.duration_min"});
  const Named high = Find(params, {"query.durationMax", "query.duration_max"});
  const auto shortest = ParseBound(low.value);
  if (!shortest) return Malformed(low.name, shortest.error());
  const auto longest = ParseBound(high.value);
  if (!longest) return Malformed(high.name, longest.error());
  if (!SetDurations(*shortest, *longest, query)) return Malformed(high.name, "lies below " + low.name);
  return {};
}

// What would change the answer and is not there must not be passed over.
tl::expected<void, std::string> RefuseUnknownSearch(const Params& params) {
  for (const char* name : {"query.filter", "query.pagination.pageSize", "query.pagination.pageToken"}) {
    if (!First(params, name).empty()) return Malformed(name, "not supported");
  }
  return {};
}

Parsed<std::int64_t> ParseLength(const Params& params, const std::string& name, std::int64_t fallback) {
  const auto value = ParseUnits(params, name, kMilli, fallback);
  if (value && *value <= 0) return Unparsable(name, "must be a number of milliseconds over 0");
  return value;
}

Parsed<std::vector<core::SpanKind>> ParseKinds(const Params& params) {
  std::vector<core::SpanKind> kinds;
  const auto [begin, end] = params.equal_range("spanKind");
  for (auto it = begin; it != end; ++it) {
    const auto kind = ParseKind(it->second);
    if (!kind || it->second.empty()) return Unparsable("spanKind", "unsupported span kind: '" + it->second + "'");
    if (std::find(kinds.begin(), kinds.end(), *kind) == kinds.end()) kinds.push_back(*kind);
  }
  if (kinds.empty()) kinds.push_back(core::SpanKind::kServer);
  return kinds;
}

tl::expected<void, std::string> ParseMetricsWindow(const Params& params, std::int64_t now_ns,
                                                   core::SeriesQuery* query) {
  const auto end = ParseUnits(params, "endTs", kMilli, now_ns);
  if (!end) return tl::unexpected(end.error());
  const auto lookback = ParseLength(params, "lookback", kHour);
  if (!lookback) return tl::unexpected(lookback.error());
  const auto step = ParseLength(params, "step", 5'000'000'000);
  if (!step) return tl::unexpected(step.error());
  const auto per = ParseLength(params, "ratePer", 600'000'000'000);
  if (!per) return tl::unexpected(per.error());
  if (*lookback / *step >= kMaxPoints) {
    return Unparsable("step", "too many points: lookback / step must be below " + std::to_string(kMaxPoints));
  }
  query->end_ns = *end;
  query->lookback_ns = *lookback;
  query->step_ns = *step;
  query->per_ns = *per;
  return {};
}

bool ParseQuantile(std::string_view text, double* out) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && *out >= 0 && *out <= 1;
}

}  // namespace

std::string_view First(const Params& params, const std::string& name) {
  const auto it = params.find(name);
  return it == params.end() ? std::string_view() : std::string_view(it->second);
}

Parsed<LegacySearch> ParseLegacySearch(const Params& params, std::int64_t now_ns) {
  LegacySearch search;
  auto ids = ParseTraceIds(params);
  if (!ids) return tl::unexpected(ids.error());
  if (const auto raw = First(params, "raw"); !raw.empty() && !ParseGoBool(raw))
    return Unparsable("raw", "must be true or false");
  search.trace_ids = *std::move(ids);
  if (!search.trace_ids.empty()) return search;
  core::TraceQuery& query = search.query;
  query.by_span = true;
  query.service = First(params, "service");
  query.operation = First(params, "operation");
  if (query.service.empty()) return tl::unexpected(std::string("parameter 'service' is required"));
  if (const auto window = ParseWindow(params, now_ns, &query); !window) return tl::unexpected(window.error());
  if (const auto tags = ParseTags(params, &query); !tags) return tl::unexpected(tags.error());
  if (!ParseLimit(First(params, "limit"), &query)) return Unparsable("limit", LimitText());
  if (const auto durations = ParseDurations(params, &query); !durations) return tl::unexpected(durations.error());
  return search;
}

Parsed<core::TraceQuery> ParseV3Search(const Params& params) {
  core::TraceQuery query;
  query.by_span = true;
  query.service = Find(params, {"query.serviceName", "query.service_name"}).value;
  query.operation =
      Find(params, {"query.operationName", "query.operation_name", "query.spanName", "query.span_name"}).value;
  if (const auto refused = RefuseUnknownSearch(params); !refused) return tl::unexpected(refused.error());
  if (const auto attributes = First(params, "query.attributes"); !attributes.empty()) {
    Tags tags;
    if (!ParseJsonTags(std::string(attributes), &tags))
      return Malformed("query.attributes", "must be a JSON object of strings");
    if (const auto added = AddTags(tags, &query); !added) return Malformed("query.attributes", added.error());
  }
  if (const auto window = ParseV3Window(params, &query); !window) return tl::unexpected(window.error());
  if (const auto durations = ParseV3Durations(params, &query); !durations) return tl::unexpected(durations.error());
  const Named depth = Find(params, {"query.searchDepth", "query.search_depth", "query.num_traces", "query.numTraces"});
  if (!ParseLimit(depth.value, &query)) return Malformed(depth.name, LimitText());
  const Named raw = Find(params, {"query.rawTraces", "query.raw_traces"});
  if (!raw.value.empty() && !ParseGoBool(raw.value)) return Malformed(raw.name, "must be true or false");
  return query;
}

Parsed<bool> CheckDependencies(const Params& params) {
  for (const char* name : {"endTs", "lookback"}) {
    if (const auto value = ParseUnits(params, name, kMilli, 0); !value) return tl::unexpected(value.error());
  }
  return true;
}

Parsed<core::SeriesQuery> ParseMetrics(const Params& params, bool wants_quantile, std::int64_t now_ns) {
  core::SeriesQuery query;
  const std::string_view quantile = First(params, "quantile");
  if ((wants_quantile || !quantile.empty()) && !ParseQuantile(quantile, &query.quantile))
    return Unparsable("quantile", "must be a number from 0 to 1");
  const auto [begin, end] = params.equal_range("service");
  for (auto it = begin; it != end; ++it) {
    if (!it->second.empty() &&
        std::find(query.services.begin(), query.services.end(), it->second) == query.services.end())
      query.services.push_back(it->second);
  }
  if (query.services.empty()) return Unparsable("service", "please provide at least one service name");
  if (query.services.size() > kMaxMetricServices)
    return Unparsable("service", "at most " + std::to_string(kMaxMetricServices) + " services at once");
  if (const auto grouped = First(params, "groupByOperation"); !grouped.empty()) {
    const auto by_operation = ParseGoBool(grouped);
    if (!by_operation) return Unparsable("groupByOperation", "must be true or false");
    query.by_operation = *by_operation;
  }
  auto kinds = ParseKinds(params);
  if (!kinds) return tl::unexpected(kinds.error());
  query.kinds = *std::move(kinds);
  if (const auto window = ParseMetricsWindow(params, now_ns, &query); !window) return tl::unexpected(window.error());
  return query;
}

}  // namespace spanwatch::http::jaeger
