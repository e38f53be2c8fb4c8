#include "sidecar/metrics/exposition.h"

#include <atomic>
#include <utility>

#include "sidecar/metrics/families.h"
#include "sidecar/metrics/negotiate.h"
#include "sidecar/metrics/self.h"
#include "sidecar/metrics/writer.h"

namespace spanwatch::metrics {

class Exposition::Impl {
 public:
  explicit Impl(Sources sources) : sources_(std::move(sources)), self_(sources_.version) {}

  std::string Render(const std::string& accept, std::string* content_type) {
    Negotiated negotiated = Negotiate(accept);
    *content_type = std::move(negotiated.content_type);
    Writer writer(negotiated.format, last_size_.load(std::memory_order_relaxed) + 65536);
    self_.Write(&writer);
    if (sources_.engine != nullptr) WriteEngine(&writer);
    if (sources_.notifications) WriteNotifications(sources_.notifications(), &writer);
    if (sources_.outbox) WriteOutbox(sources_.outbox(), &writer);
    if (sources_.routing) WriteRouting(sources_.routing(), &writer);
    if (sources_.config_reload_successful) {
      writer.Family("spanwatch_config_last_reload_successful", Type::kGauge,
                    "1 if the configuration and rules in force are those of the last reload, 0 if that was refused.");
      writer.Sample(sources_.config_reload_successful() ? 1 : 0);
    }
    if (sources_.journal) WriteJournal(sources_.journal(), &writer);
    if (sources_.http) WriteHttp(sources_.http(), &writer);
    std::string text = writer.Finish();
    last_size_.store(text.size(), std::memory_order_relaxed);
    return text;
  }

 private:
  void WriteEngine(Writer* writer) const {
    // Counters begin at 0 with the process, as Prometheus expects, though the journal remembers more.
    const core::StatsView stats = core::Since(sources_.engine->StatsAtStart(), sources_.engine->Stats());
    WriteStore(stats, writer);
    WriteStatistics(stats.statistics, writer);
    WriteLedger(stats, writer);
    WriteProcesses(stats.processes, writer);
    WriteServices(stats.services, writer);
    WriteHealth(sources_.engine->GetHealth(), writer);
    WriteAlerts(sources_.engine->Incidents(), sources_.engine->Rules().get(), stats.incidents_dropped, writer);
    WriteRules(sources_.engine->GetRuleStatus(), writer);
    const core::MetricsView metrics = sources_.engine->Metrics();
    WriteTraceHistograms(metrics, writer);
    WriteSpanMetrics(metrics, sources_.duration_in_milliseconds, writer);
    WriteDependencies(sources_.engine->GetDependencies(), sources_.duration_in_milliseconds, writer);
    WriteGenAi(sources_.engine->GetGenAi(), writer);
    if (sources_.watchdog) WriteWatchdog(sources_.watchdog(), writer);
    if (!sources_.forward) return;
    ForwardCounts forward = sources_.forward();
    forward.dropped_traces.push_back({"engine_full", stats.forward_dropped});
    WriteForward(forward, writer);
  }

  const Sources sources_;
  const Self self_;
  std::atomic<std::size_t> last_size_{0};  // of the latest answer: the next one grows its string once
};

Exposition::Exposition(Sources sources) : impl_(std::make_unique<Impl>(std::move(sources))) {}
Exposition::~Exposition() = default;

std::string Exposition::Render(const std::string& accept, std::string* content_type) const {
  return impl_->Render(accept, content_type);
}

}  // namespace spanwatch::metrics
