// Families with a series per traced process. A process's id is a label, so old processes must not pile up: living ones
// are shown first, then those heard of last, up to kMaxProcesses.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>

#include "sidecar/metrics/families.h"

namespace spanwatch::metrics {
namespace {

using core::ProcessView;

constexpr std::string_view kBreaker = "circuit_breaker.";  // how the SDK's gauges of circuit breakers begin

struct Shown {
  const ProcessView* process;
  std::string labels;
};

bool Lives(const ProcessView& process) { return process.state == "alive" || process.state == "silent"; }

std::vector<Shown> Choose(const std::vector<ProcessView>& processes) {
  std::vector<Shown> shown;
  shown.reserve(processes.size());
  std::unordered_set<std::string> seen;  // two series with equal labels would spoil the whole scrape
  for (const ProcessView& process : processes) {
    std::string labels = Labels().Add("process", process.id).Add("service_name", process.service).text();
    if (seen.insert(labels).second) shown.push_back({&process, std::move(labels)});
  }
  std::stable_sort(shown.begin(), shown.end(), [](const Shown& a, const Shown& b) {
    const bool a_lives = Lives(*a.process), b_lives = Lives(*b.process);
    return a_lives != b_lives ? a_lives : a.process->last_seen_ns > b.process->last_seen_ns;
  });
  if (shown.size() > kMaxProcesses) shown.resize(kMaxProcesses);
  return shown;
}

template <typename Get>
void Family(Writer* writer, const std::vector<Shown>& shown, std::string_view name, Type type, bool only_living,
            std::string_view help, Get get) {
  writer->Family(name, type, help);
  for (const Shown& s : shown) {
    if (!only_living || Lives(*s.process)) writer->Sample(s.labels, static_cast<double>(get(*s.process)));
  }
}

void WriteState(const std::vector<ProcessView>& processes, const std::vector<Shown>& shown, Writer* writer) {
  std::map<std::string_view, double> states = {{"alive", 0}, {"silent", 0}, {"closed", 0}, {"died", 0}};
  for (const ProcessView& process : processes) ++states[process.state];
  writer->Family("spanwatch_processes", Type::kGauge, "Traced processes that the sidecar knows, by state.");
  for (const auto& [state, count] : states) writer->Sample(Labels().Add("state", state).text(), count);
  writer->Family("spanwatch_process_state", Type::kGauge, "1 for the state that the traced process is in.");
  for (const Shown& s : shown) {
    writer->Sample(s.labels + "," + Labels().Add("state", s.process->state).text(), 1);
  }
  writer->Family("spanwatch_process", Type::kInfo, "What the traced process calls itself; the value is always 1.");
  for (const Shown& s : shown) {
    writer->Sample(s.labels + "," + Labels().Add("service_instance_id", s.process->instance).text(), 1);
  }
}

void WriteLedgers(const std::vector<Shown>& shown, Writer* writer) {
  Family(writer, shown, "spanwatch_process_spans_emitted", Type::kCounter, false, "Spans that the process ended.",
         [](const ProcessView& p) { return p.emitted; });
  Family(writer, shown, "spanwatch_process_spans_applied", Type::kCounter, false,
         "Spans of the process that the engine took in.", [](const ProcessView& p) { return p.applied; });
  Family(writer, shown, "spanwatch_process_spans_sampled_out", Type::kCounter, false,
         "Spans of the process left out by sampling.", [](const ProcessView& p) { return p.sampled_out; });
  writer->Family("spanwatch_process_spans_lost", Type::kCounter, "Spans of the process that were lost, by reason.");
  for (const Shown& s : shown) {
    std::map<std::string_view, std::uint64_t> sums;
    for (const core::ReasonCount& lost : s.process->lost) sums[lost.name] += lost.count;
    for (const auto& [reason, count] : sums) {
      writer->Sample(s.labels + "," + Labels().Add("reason", reason).text(), static_cast<double>(count));
    }
  }
  Family(writer, shown, "spanwatch_process_tail_unknown", Type::kGauge, false,
         "1 if the process died without goodbye: what it did last is not in the numbers.",
         [](const ProcessView& p) { return p.tail_unknown; });
}

void WriteHealth(const std::vector<Shown>& shown, Writer* writer) {
  Family(writer, shown, "spanwatch_process_open_spans", Type::kGauge, true,
         "Spans open for longer than the SDK's threshold.", [](const ProcessView& p) { return p.open_spans; });
  Family(writer, shown, "spanwatch_process_resident_memory_bytes", Type::kGauge, true,
         "Resident memory of the traced process.", [](const ProcessView& p) { return p.rss_bytes; });
  Family(writer, shown, "spanwatch_process_sdk_memory_bytes", Type::kGauge, true,
         "Memory that the SDK holds in the process.", [](const ProcessView& p) { return p.sdk_bytes; });
  Family(writer, shown, "spanwatch_process_sdk_cpu_seconds", Type::kCounter, true,
         "CPU time of the SDK's sender thread.", [](const ProcessView& p) { return p.sdk_cpu_seconds; });
  Family(writer, shown, "spanwatch_process_sdk_ring_fill_ratio", Type::kGauge, true,
         "How full the fullest ring of the SDK was in the latest second. Near 1 spans are dropped.",
         [](const ProcessView& p) { return p.sdk_ring_fill; });
  writer->Family("spanwatch_process_sample_ratio", Type::kGauge, "Share of its traces that the process keeps now.");
  for (const Shown& s : shown) {
    if (Lives(*s.process) && s.process->sdk_sample_rate >= 0) writer->Sample(s.labels, s.process->sdk_sample_rate);
  }
  Family(writer, shown, "spanwatch_process_last_seen_timestamp_seconds", Type::kGauge, false,
         "When the process was last heard of, since unix epoch.",
         [](const ProcessView& p) { return static_cast<double>(p.last_seen_ns) / 1e9; });
}

// A reported value's labels: ours first, then the program's, made legal; ours win and a repeated name is left out.
std::string ReportedLabels(const Shown& shown, const ProcessView::Gauge& gauge) {
  std::vector<std::string> used = {"process", "service_name", "name", "le", "quantile", "job", "instance"};
  Labels labels;
  labels.Add("name", gauge.name);
  for (const core::NameValue& label : gauge.labels) {
    const std::string name = LegalLabelName(label.name);
    if (std::find(used.begin(), used.end(), name) != used.end()) continue;
    labels.Add(name, label.value);
    used.push_back(name);
  }
  return shown.labels + "," + labels.text();
}

// The name of the circuit breaker that a gauge of the SDK is about, if it is one, else null.
const std::string* BreakerName(const ProcessView::Gauge& gauge) {
  const bool own = gauge.labels.size() == 1 && gauge.labels[0].name == "name" && gauge.name.starts_with(kBreaker);
  return own ? &gauge.labels[0].value : nullptr;
}

// One figure of all circuit breakers. The wire's limits bound them, and the SDK tells each name once; what comes from
// elsewhere may not.
void BreakerFamily(const std::vector<Shown>& shown, std::string_view figure, std::string_view family, Type type,
                   std::string_view help, std::size_t* omitted, Writer* writer) {
  writer->Family(family, type, help);
  std::unordered_set<std::string> seen;
  for (const Shown& s : shown) {
    if (!Lives(*s.process)) continue;
    for (const ProcessView::Gauge& gauge : s.process->gauges) {
      const std::string* const name = BreakerName(gauge);
      if (name == nullptr || std::string_view(gauge.name).substr(kBreaker.size()) != figure) continue;
      if (seen.size() >= kMaxReportedValues || !seen.insert(s.labels + "," + *name).second) {
        ++*omitted;
        continue;
      }
      writer->Sample(s.labels + "," + Labels().Add("name", *name).text(), gauge.value);
    }
  }
}

std::size_t WriteBreakers(const std::vector<Shown>& shown, Writer* writer) {
  std::size_t omitted = 0;
  BreakerFamily(shown, "state", "spanwatch_circuit_breaker_state", Type::kGauge,
                "State of a circuit breaker in a traced process: 0 closed, 1 half-open, 2 open.", &omitted, writer);
  BreakerFamily(shown, "opened", "spanwatch_circuit_breaker_opened", Type::kCounter,
                "How often the circuit breaker opened.", &omitted, writer);
  BreakerFamily(shown, "refused", "spanwatch_circuit_breaker_refused", Type::kCounter,
                "Calls that the circuit breaker refused.", &omitted, writer);
  return omitted;
}

bool IsBreakerFigure(const ProcessView::Gauge& gauge) {
  if (BreakerName(gauge) == nullptr) return false;
  const std::string_view figure = std::string_view(gauge.name).substr(kBreaker.size());
  return figure == "state" || figure == "opened" || figure == "refused";
}

std::size_t WriteReported(const std::vector<Shown>& shown, Writer* writer) {
  std::unordered_set<std::string> seen;
  std::size_t omitted = 0;
  writer->Family("spanwatch_reported_value", Type::kGauge,
                 "Values that traced programs report of themselves, by name.");
  for (const Shown& s : shown) {
    if (!Lives(*s.process)) continue;
    for (const ProcessView::Gauge& gauge : s.process->gauges) {
      if (IsBreakerFigure(gauge)) continue;
      if (seen.size() >= kMaxReportedValues) {
        ++omitted;
        continue;
      }
      std::string labels = ReportedLabels(s, gauge);
      const auto [it, fresh] = seen.insert(std::move(labels));
      if (fresh) {
        writer->Sample(*it, gauge.value);
      } else {
        ++omitted;
      }
    }
  }
  return omitted;
}

}  // namespace

void WriteProcesses(const std::vector<ProcessView>& processes, Writer* writer) {
  const std::vector<Shown> shown = Choose(processes);
  WriteState(processes, shown, writer);
  WriteLedgers(shown, writer);
  WriteHealth(shown, writer);
  const std::size_t omitted_values = WriteBreakers(shown, writer) + WriteReported(shown, writer);
  writer->Family("spanwatch_metrics_omitted", Type::kGauge,
                 "What the latest answer left out because of a limit, or twice the same.");
  writer->Sample(Labels().Add("what", "process").text(), static_cast<double>(processes.size() - shown.size()));
  writer->Sample(Labels().Add("what", "reported_value").text(), static_cast<double>(omitted_values));
}

}  // namespace spanwatch::metrics
