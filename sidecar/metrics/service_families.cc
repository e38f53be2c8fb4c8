// Families of services: how well they are, and who calls whom.
#include <array>
#include <string>
#include <string_view>

#include "sidecar/metrics/families.h"

namespace spanwatch::metrics {
namespace {

using core::DurationHistogram;
using core::HealthStatus;

DurationHistogram Less(DurationHistogram now, const DurationHistogram& before) {
  for (std::size_t i = 0; i < now.buckets.size(); ++i) now.buckets[i] -= before.buckets[i];
  now.sum -= before.sum;
  now.count -= before.count;
  return now;
}

}  // namespace

void WriteHealth(const core::HealthView& health, Writer* writer) {
  std::array<double, 3> counts{};
  for (const core::ServiceHealth& service : health.services) ++counts[static_cast<std::size_t>(service.status)];
  writer->Family("spanwatch_services", Type::kGauge, "Services that the sidecar knows, by how well they are.");
  for (const HealthStatus status : {HealthStatus::kHealthy, HealthStatus::kWarning, HealthStatus::kCritical}) {
    writer->Sample(Labels().Add("status", ToString(status)).text(), counts[static_cast<std::size_t>(status)]);
  }
  writer->Family("spanwatch_service_health", Type::kGauge,
                 "How well the service is: 0 healthy, 1 warning, 2 critical. /api/v1/services says why.");
  for (const core::ServiceHealth& service : health.services) {
    writer->Sample(Labels().Add("service_name", service.service).text(), static_cast<double>(service.status));
  }
}

void WriteDependencies(const core::DependencyView& dependencies, bool milliseconds, Writer* writer) {
  static const auto kSeconds = BoundTexts(core::kDurationBucketsNs, 1e9);
  static const auto kMilliseconds = BoundTexts(core::kDurationBucketsNs, 1e6);
  const auto& bounds = milliseconds ? kMilliseconds : kSeconds;
  const double scale = milliseconds ? 1e-6 : 1e-9;
  std::vector<std::string> labels;
  labels.reserve(dependencies.edges.size());
  for (const core::Dependency& edge : dependencies.edges)
    labels.push_back(Labels().Add("client", edge.client).Add("server", edge.server).text());
  const auto each = [&](auto write) {
    for (std::size_t i = 0; i < labels.size(); ++i) write(labels[i], dependencies.edges[i]);
  };
  writer->Family("traces_service_graph_request", Type::kCounter, "Calls from one service to another.");
  each([&](const std::string& text, const core::Dependency& edge) {
    writer->CountSample(text, Less(edge.server_side, edge.server_before));
  });
  writer->Family("traces_service_graph_request_failed", Type::kCounter, "Calls that failed on either side.");
  each([&](const std::string& text, const core::Dependency& edge) {
    writer->Sample(text, edge.failed - edge.failed_before);
  });
  writer->Family(
      milliseconds ? "traces_service_graph_request_server_milliseconds" : "traces_service_graph_request_server_seconds",
      Type::kHistogram, "How long calls took the called service.");
  each([&](const std::string& text, const core::Dependency& edge) {
    writer->Histogram(text, bounds, Less(edge.server_side, edge.server_before), scale);
  });
  writer->Family(
      milliseconds ? "traces_service_graph_request_client_milliseconds" : "traces_service_graph_request_client_seconds",
      Type::kHistogram, "How long the calling service waited.");
  each([&](const std::string& text, const core::Dependency& edge) {
    writer->Histogram(text, bounds, Less(edge.client_side, edge.client_before), scale);
  });
}

}  // namespace spanwatch::metrics
