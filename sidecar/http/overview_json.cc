#include "sidecar/http/overview_json.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sidecar/core/overview_sketch.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRanked = 10;
constexpr double kMegabyte = 1 << 20;
constexpr const char* kWindowNames[core::kOverviewWindows] = {"1m", "5m", "60m"};

Json TrendsJson(const core::Trends& trends) {
  return {{"errorRateTrend", core::ToString(trends.error_rate)},
          {"responseTimeTrend", core::ToString(trends.response_time)},
          {"throughputTrend", core::ToString(trends.throughput)}};
}

Json WindowJson(const core::WindowFigures& window) {
  return {{"seconds", static_cast<double>(window.covered_ns) / 1e9},
          {"calls", window.calls},
          {"errors", window.errors},
          {"rate", window.rate},
          {"errorRate", window.error_rate},
          {"avg", window.avg_ns / 1e6},
          {"p50", window.p50_ns / 1e6},
          {"p90", window.p90_ns / 1e6},
          {"p95", window.p95_ns / 1e6},
          {"p99", window.p99_ns / 1e6},
          {"slowWarning", window.slow_warning},
          {"slowCritical", window.slow_critical},
          {"timeouts", window.timeouts},
          {"memoryGrowthMB", window.memory_growth_bytes / kMegabyte},
          {"memoryLargestMB", window.memory_largest_bytes / kMegabyte}};
}

Json WindowsJson(const std::array<core::WindowFigures, core::kOverviewWindows>& windows) {
  Json json = Json::object();
  for (std::size_t i = 0; i < windows.size(); ++i) json[kWindowNames[i]] = WindowJson(windows[i]);
  return json;
}

Json NameJson(const core::OperationOverview& operation) {
  return {{"service", operation.service}, {"operation", operation.operation}, {"kind", KindText(operation.kind)}};
}

Json OperationJson(const core::OperationOverview& operation) {
  Json json = NameJson(operation);
  json["windows"] = WindowsJson(operation.windows);
  json["trends"] = TrendsJson(operation.trends);
  return json;
}

Json ServiceJson(const core::ServiceOverview& service) {
  return {
      {"service", service.service}, {"windows", WindowsJson(service.windows)}, {"trends", TrendsJson(service.trends)}};
}

Json HealthJson(const core::HealthView& health, const std::string& service) {
  Json list = Json::array();
  for (const core::ServiceHealth& each : health.services) {
    if (!service.empty() && each.service != service) continue;
    list.push_back({{"serviceName", each.service},
                    {"status", core::ToString(each.status)},
                    {"avgDuration", each.avg_duration_ns / 1e6},
                    {"errorRate", each.error_rate},
                    {"issues", each.issues},
                    {"recommendations", each.recommendations}});
  }
  return list;
}

Json RecentJson(const std::vector<core::RecentMinute>& recent) {
  Json list = Json::array();
  for (const core::RecentMinute& minute : recent) {
    const double seconds = static_cast<double>(minute.covered_ns) / 1e9;
    list.push_back({{"startTime", minute.start_ns / 1'000'000},
                    {"startTimeText", TimeText(minute.start_ns)},
                    {"avgResponseTime", minute.calls > 0 ? minute.duration_ns / minute.calls / 1e6 : 0.0},
                    {"errorRate", minute.calls > 0 ? minute.errors / minute.calls : 0.0},
                    {"throughput", minute.calls / seconds}});
  }
  return list;
}

// The figures that rank it, and how much they rest on.
Json RankedJson(const core::OverviewView& view, core::OverviewRank rank, const std::string& service) {
  Json list = Json::array();
  for (const core::OperationOverview* each : core::RankOperations(view, rank, service, kRanked)) {
    const core::WindowFigures& hour = each->windows[2];
    Json json = NameJson(*each);
    json["calls"] = hour.calls;
    if (rank == core::OverviewRank::kMemoryGrowing) {
      json["memoryGrowthMB"] = hour.memory_growth_bytes / kMegabyte;
      json["memoryLargestMB"] = hour.memory_largest_bytes / kMegabyte;
      json["growingCalls"] = hour.memory_spans;
    } else {
      json["p95"] = hour.p95_ns / 1e6;
      json["avg"] = hour.avg_ns / 1e6;
      json["slowCalls"] = hour.slow_warning;
      json["slowShare"] = hour.slow_warning / hour.calls;
    }
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace

tl::expected<OverviewQuery, ParamError> ParseOverviewQuery(const Params& params) {
  OverviewQuery query;
  for (const auto& [name, value] : params) {
    if (name != "service" && name != "limit")
      return tl::unexpected(ParamError{"unknown parameter: service and limit are known", name});
    if (params.count(name) > 1) return tl::unexpected(ParamError{"given more than once", name});
    if (value.empty()) continue;
    if (name == "service") {
      query.service = value;
      continue;
    }
    const auto result = std::from_chars(value.data(), value.data() + value.size(), query.limit);
    if (result.ec != std::errc() || result.ptr != value.data() + value.size() || query.limit < 1 ||
        query.limit > kMaxOverviewLimit) {
      return tl::unexpected(ParamError{"must be a whole number from 1 to " + std::to_string(kMaxOverviewLimit), name});
    }
  }
  return query;
}

std::string OverviewJson(const core::OverviewView& view, const core::HealthView& health, const OverviewQuery& query) {
  static const core::ServiceOverview kNothing{};
  Json services = Json::array(), operations = Json::array();
  const core::ServiceOverview* whole = query.service.empty() ? &view.all : &kNothing;
  for (const core::ServiceOverview& each : view.services) {
    if (!query.service.empty() && each.service != query.service) continue;
    services.push_back(ServiceJson(each));
    if (!query.service.empty()) whole = &each;
  }
  std::size_t found = 0;
  for (const core::OperationOverview& each : view.operations) {
    if (!query.service.empty() && each.service != query.service) continue;
    if (found++ < query.limit) operations.push_back(OperationJson(each));
  }
  Json json;
  json["serviceHealth"] = HealthJson(health, query.service);
  json["trends"] = TrendsJson(whole->trends);
  json["recentMetrics"] = RecentJson(whole->recent);
  json["windows"] = WindowsJson(whole->windows);
  json["services"] = std::move(services);
  json["operations"] = std::move(operations);
  json["operationsTotal"] = found;
  json["slowestOperations"] = RankedJson(view, core::OverviewRank::kSlowest, query.service);
  json["frequentSlowOperations"] = RankedJson(view, core::OverviewRank::kFrequentlySlow, query.service);
  json["memoryGrowingOperations"] = RankedJson(view, core::OverviewRank::kMemoryGrowing, query.service);
  json["now"] = TimeText(view.now_ns);
  json["since"] = view.since_ns == 0 ? Json() : Json(TimeText(view.since_ns));
  json["errorBound"] = core::kQuantileError;
  json["foldedOperations"] = view.folded_operations;
  json["foldedCalls"] = view.folded_calls;
  json["memoryMB"] = static_cast<double>(view.bytes) / kMegabyte;
  json["memoryLimitMB"] = static_cast<double>(view.max_bytes) / kMegabyte;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace spanwatch::http
