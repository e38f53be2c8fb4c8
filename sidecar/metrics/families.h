// The families of /metrics, each from plain copies of the engine's numbers. docs/metrics.md is the contract. Pure but
// for the writer; any thread.
#ifndef SPANWATCH_SIDECAR_METRICS_FAMILIES_H_
#define SPANWATCH_SIDECAR_METRICS_FAMILIES_H_

#include <cstddef>
#include <vector>

#include "sidecar/core/gen_ai_view.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/rule.h"
#include "sidecar/core/rule_status.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/metrics/exposition.h"
#include "sidecar/metrics/writer.h"

namespace spanwatch::metrics {

// Processes shown one by one, and values that programs report of themselves; the rest is counted as omitted.
inline constexpr std::size_t kMaxProcesses = 200;
inline constexpr std::size_t kMaxReportedValues = 2000;

void WriteSpanMetrics(const core::MetricsView& metrics, bool milliseconds, Writer* writer);
void WriteStatistics(const core::StatisticsView& statistics, Writer* writer);
void WriteTraceHistograms(const core::MetricsView& metrics, Writer* writer);
void WriteStore(const core::StatsView& stats, Writer* writer);
void WriteLedger(const core::StatsView& stats, Writer* writer);  // sums over processes, refusals
void WriteProcesses(const std::vector<core::ProcessView>& processes, Writer* writer);
void WriteServices(const std::vector<core::ServiceStats>& services, Writer* writer);
void WriteHealth(const core::HealthView& health, Writer* writer);
void WriteDependencies(const core::DependencyView& dependencies, bool milliseconds, Writer* writer);
void WriteGenAi(const core::GenAiView& view, Writer* writer);
void WriteAlerts(const std::vector<core::Incident>& incidents, const core::RuleSet* rules, std::uint64_t dropped,
                 Writer* writer);
void WriteRules(const std::vector<core::RuleStatus>& rules, Writer* writer);
void WriteNotifications(const std::vector<NotificationCounts>& counts, Writer* writer);
void WriteOutbox(const OutboxCounts& counts, Writer* writer);
void WriteRouting(const RoutingCounts& counts, Writer* writer);
void WriteJournal(const JournalCounts& counts, Writer* writer);
void WriteForward(const ForwardCounts& counts, Writer* writer);
void WriteWatchdog(const WatchdogCounts& counts, Writer* writer);
void WriteHttp(const HttpCounts& counts, Writer* writer);

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_SIDECAR_METRICS_FAMILIES_H_
