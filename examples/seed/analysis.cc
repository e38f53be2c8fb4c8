// spanwatch-seed-analysis [PORT]: what the sidecar knows about performance, errors, health and memory, asked over HTTP.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "examples/seed/sidecar.h"

namespace {

void Overview(const seed::Json& overview) {
  for (const seed::Json& service : overview["serviceHealth"])
    std::printf("Service health: %s is %s\n", service["serviceName"].c_str(), service["status"].c_str());
  std::printf("Errors are %s, response times %s\n", overview["trends"]["errorRateTrend"].c_str(),
              overview["trends"]["responseTimeTrend"].c_str());
}

void Trace(const seed::Json& analysis) {
  const seed::Json& slowest = analysis["performance"]["slowestOperation"];
  std::printf("Slowest: %s, %s ms itself\n", slowest["operation"].c_str(), slowest["selfTime"].c_str());
  for (const seed::Json& error : analysis["errors"]["spans"]) std::printf("Error in %s\n", error["operation"].c_str());
}

void Insights(const seed::Json& analysis) {
  for (const seed::Json& insight : analysis["insights"])
    std::printf("%s: %s\n", insight["severity"].c_str(), insight["text"].c_str());
  for (const seed::Json& advice : analysis["recommendations"]) std::printf("advice: %s\n", advice["text"].c_str());
}

void ErrorPatterns(const seed::Json& overview) {
  const seed::Json& error_trend = overview["trends"]["errorRateTrend"];  // improving, stable, degrading
  std::printf("The error rate is %s\n", error_trend.c_str());
  for (const seed::Json& service : overview["serviceHealth"]) {
    if (!(service["status"] == "critical")) continue;
    std::printf("Critical: %s, error rate %.1f %%\n", service["serviceName"].c_str(),
                100 * service["errorRate"].number());
    for (const seed::Json& issue : service["issues"]) std::printf("  %s\n", issue.c_str());
  }
}

void Timeline(const seed::Json& analysis) {
  for (const seed::Json& row : analysis["timeline"]) {
    const int indent = 2 * static_cast<int>(row["depth"].number());
    std::printf("%8.2f ms %*s%s %.2f ms %s (%s)\n", row["start"].number(), indent, "", row["operation"].c_str(),
                row["duration"].number(), row["status"].c_str(), row["spanId"].c_str());
  }
}

void Memory(const seed::Json& analysis) {
  const seed::Json& memory = analysis["performance"]["memoryUsage"];
  if (memory.is_null()) return;  // no sample of the memory fell into the trace
  std::printf("Peak memory: %s MB, grew by %s MB: %s\n", memory["peakMemoryMB"].c_str(),
              memory["memoryDeltaMB"].c_str(), memory["memoryEfficiency"].c_str());
}

void Dashboard(const seed::Json& overview) {
  for (const seed::Json& service : overview["serviceHealth"]) {
    std::printf("%s:\n  status: %s\n  average: %s ms\n  error rate: %.1f %%\n", service["serviceName"].c_str(),
                service["status"].c_str(), service["avgDuration"].c_str(), 100 * service["errorRate"].number());
    for (const seed::Json& issue : service["issues"]) std::printf("  issue: %s\n", issue.c_str());
    for (const seed::Json& advice : service["recommendations"]) std::printf("  advice: %s\n", advice.c_str());
  }
}

void Export(const seed::Sidecar& sidecar) {
  const std::string last_hour = sidecar.GetText("/api/v1/export?start=-1h");  // anonymised
  std::printf("exported %zu bytes\n", last_hour.size());
}

void Metrics(const seed::Json& overview, const seed::Json& stats) {
  int healthy = 0, warning = 0, critical = 0;
  for (const seed::Json& service : overview["serviceHealth"]) {
    healthy += service["status"] == "healthy";
    warning += service["status"] == "warning";
    critical += service["status"] == "critical";
  }
  const seed::Json& recent = overview["recentMetrics"][0];
  std::printf("avgResponseTime %s, errorRate %s, throughput %s\n", recent["avgResponseTime"].c_str(),
              recent["errorRate"].c_str(), recent["throughput"].c_str());
  std::printf("healthyServices %d, warningServices %d, criticalServices %d\n", healthy, warning, critical);
  std::printf("totalTraces %s, avgSpansPerTrace %s, memoryUsageMB %s\n", stats["totalTraces"].c_str(),
              stats["avgSpansPerTrace"].c_str(), stats["memoryUsageMB"].c_str());
}

void Alert(const seed::Json& overview) {
  for (const seed::Json& service : overview["serviceHealth"]) {
    if (!(service["status"] == "critical")) continue;
    std::printf("critical_service_health: %s\n", service["serviceName"].c_str());  // send it where you like
    for (const seed::Json& issue : service["issues"]) std::printf("  %s\n", issue.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const seed::Sidecar sidecar(argc > 1 ? std::atoi(argv[1]) : 9464);
  const seed::Json overview = sidecar.Get("/api/v1/overview");
  const seed::Json stats = sidecar.Get("/api/v1/stats");
  if (stats["totalTraces"].is_null()) {
    std::printf("no sidecar answers\n");
    return 1;
  }
  Overview(overview);
  ErrorPatterns(overview);
  Dashboard(overview);
  Metrics(overview, stats);
  Alert(overview);
  Export(sidecar);

  const seed::Json traces = sidecar.Get("/api/v1/traces?limit=1");
  const std::string trace_id = traces["traces"][0]["traceId"].text();
  const seed::Json analysis = sidecar.Get("/api/v1/traces/" + trace_id + "/analysis");
  Trace(analysis);
  Insights(analysis);
  Timeline(analysis);
  Memory(analysis);
}
