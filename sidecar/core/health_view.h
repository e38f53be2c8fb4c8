// What the health of services and the map of who calls whom show. Copies; strings are owned.
#ifndef SPANWATCH_SIDECAR_CORE_HEALTH_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_HEALTH_VIEW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

enum class HealthStatus : std::uint8_t { kHealthy = 0, kWarning = 1, kCritical = 2 };
const char* ToString(HealthStatus status);  // "healthy", "warning", "critical"

struct ServiceHealth {
  std::string service;
  HealthStatus status = HealthStatus::kHealthy;
  std::int64_t since_ns = 0;  // engine time of the last change of status, or of its first span
  // Of the last five minutes, weighted by sampling.
  double spans = 0;
  double avg_duration_ns = 0;
  double error_rate = 0;
  double slow_rate = 0;  // over thresholds.slow[0]
  // One of each for each reason of the status; empty when healthy.
  std::vector<std::string> issues, recommendations;
};

struct HealthView {
  std::int64_t now_ns = 0;
  std::vector<ServiceHealth> services;  // worst first, then by name
};

// Calls from one service to another; calls within a service are not listed. Client and server both "(other)": what
// found the map full. Figures are weighted by sampling.
struct Dependency {
  struct Window {
    double calls = 0, failed = 0, duration_sum_ns = 0;  // of the server's side
  };
  std::string client, server;
  double calls = 0, failed = 0;                // since the engine's first record
  DurationHistogram client_side, server_side;  // the same: how long the caller waited, how long the work took
  Window last_5m,
      last_60m;  // by the time the traces were complete; the last of 5 minutes, or of 12 x 5, has just begun
  // What Mark() found: metrics show the rest.
  double calls_before = 0, failed_before = 0;
  DurationHistogram client_before, server_before;
};

struct DependencyView {
  std::int64_t now_ns = 0;
  std::vector<Dependency> edges;  // by client, then server
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_HEALTH_VIEW_H_
