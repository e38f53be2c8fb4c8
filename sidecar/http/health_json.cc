#include "sidecar/http/health_json.h"

#include <array>
#include <nlohmann/json.hpp>

#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

double Ms(double ns) { return ns / 1e6; }

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json ServiceJson(const core::ServiceHealth& service) {
  return {{"serviceName", service.service},
          {"status", ToString(service.status)},
          {"since", TimeText(service.since_ns)},
          {"spans", service.spans},
          {"avgDuration", Ms(service.avg_duration_ns)},
          {"errorRate", service.error_rate},
          {"slowRate", service.slow_rate},
          {"issues", service.issues},
          {"recommendations", service.recommendations}};
}

Json WindowJson(const core::Dependency::Window& window) {
  return {{"calls", window.calls},
          {"failed", window.failed},
          {"errorRate", Ratio(window.failed, window.calls)},
          {"avgDuration", Ms(Ratio(window.duration_sum_ns, window.calls))}};
}

Json SideJson(const core::DurationHistogram& side) {
  return {{"avgDuration", Ms(Ratio(side.sum, side.count))},
          {"p50", Ms(HistogramQuantileNs(side, 0.50))},
          {"p95", Ms(HistogramQuantileNs(side, 0.95))},
          {"p99", Ms(HistogramQuantileNs(side, 0.99))}};
}

}  // namespace

double HistogramQuantileNs(const core::DurationHistogram& histogram, double quantile) {
  double total = 0;
  for (const double count : histogram.buckets) total += count;
  double rank = quantile * total;
  if (total <= 0) return 0;
  double lower = 0;
  for (std::size_t i = 0; i < core::kDurationBucketsNs.size(); ++i) {
    const auto upper = static_cast<double>(core::kDurationBucketsNs[i]);
    if (histogram.buckets[i] > 0 && rank <= histogram.buckets[i])
      return lower + (upper - lower) * rank / histogram.buckets[i];
    rank -= histogram.buckets[i];
    lower = upper;
  }
  return lower;
}

std::string ServicesJson(const core::HealthView& health, std::optional<core::HealthStatus> status) {
  std::array<std::uint64_t, 3> counts{};
  Json services = Json::array();
  for (const core::ServiceHealth& service : health.services) {
    ++counts[static_cast<std::size_t>(service.status)];
    if (!status || service.status == *status) services.push_back(ServiceJson(service));
  }
  return Dump({{"now", TimeText(health.now_ns)},
               {"healthyServices", counts[0]},
               {"warningServices", counts[1]},
               {"criticalServices", counts[2]},
               {"services", std::move(services)}});
}

std::string DependenciesJson(const core::DependencyView& dependencies) {
  Json edges = Json::array();
  for (const core::Dependency& edge : dependencies.edges) {
    edges.push_back({{"client", edge.client},
                     {"server", edge.server},
                     {"calls", edge.calls},
                     {"failed", edge.failed},
                     {"errorRate", Ratio(edge.failed, edge.calls)},
                     {"avgDuration", Ms(Ratio(edge.server_side.sum, edge.server_side.count))},
                     {"p95", Ms(HistogramQuantileNs(edge.server_side, 0.95))},
                     {"serverSide", SideJson(edge.server_side)},
                     {"clientSide", SideJson(edge.client_side)},
                     {"last5m", WindowJson(edge.last_5m)},
                     {"last60m", WindowJson(edge.last_60m)}});
  }
  return Dump({{"now", TimeText(dependencies.now_ns)}, {"dependencies", std::move(edges)}});
}

}  // namespace spanwatch::http
