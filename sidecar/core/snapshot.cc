#include "sidecar/core/snapshot.h"

#include <map>

namespace spanwatch::core {
namespace {

template <typename T>
void Subtract(const T& start, T* total) {
  *total = *total > start ? *total - start : 0;
}

void Subtract(const std::vector<ReasonCount>& start, std::vector<ReasonCount>* total) {
  std::map<std::string_view, std::uint64_t> before;
  for (const ReasonCount& each : start) before[each.name] += each.count;
  for (ReasonCount& each : *total) {
    if (const auto it = before.find(each.name); it != before.end()) Subtract(it->second, &each.count);
  }
}

void Subtract(const StoreView& start, StoreView* total) {
  Subtract(start.traces_total, &total->traces_total);
  Subtract(start.completed_total, &total->completed_total);
  Subtract(start.late_spans_total, &total->late_spans_total);
  Subtract(start.duplicate_spans_total, &total->duplicate_spans_total);
  Subtract(start.truncated_spans_total, &total->truncated_spans_total);
  Subtract(start.evicted, &total->evicted);
}

void Subtract(const std::vector<ProcessView>& start, std::vector<ProcessView>* total) {
  std::map<std::uint64_t, const ProcessView*> before;
  for (const ProcessView& process : start) before[process.serial] = &process;
  for (ProcessView& process : *total) {
    const auto it = before.find(process.serial);
    if (it == before.end()) continue;
    Subtract(it->second->emitted, &process.emitted);
    Subtract(it->second->applied, &process.applied);
    Subtract(it->second->sampled_out, &process.sampled_out);
    Subtract(it->second->lost, &process.lost);
  }
}

void Subtract(const std::vector<ServiceStats>& start, std::vector<ServiceStats>* total) {
  std::map<std::string_view, const ServiceStats*> before;
  for (const ServiceStats& service : start) before[service.service] = &service;
  for (ServiceStats& service : *total) {
    const auto it = before.find(service.service);
    if (it == before.end()) continue;
    Subtract(it->second->spans, &service.spans);
    Subtract(it->second->errors, &service.errors);
    Subtract(it->second->duration_sum_ns, &service.duration_sum_ns);
    Subtract(it->second->slow_warning, &service.slow_warning);
    Subtract(it->second->slow_critical, &service.slow_critical);
  }
}

}  // namespace

StatsView Since(const StatsView& start, StatsView total) {
  Subtract(start.records, &total.records);
  Subtract(start.spans_applied, &total.spans_applied);
  Subtract(start.store, &total.store);
  Subtract(start.lost, &total.lost);
  Subtract(start.malformed_messages, &total.malformed_messages);
  Subtract(start.rejected_spans, &total.rejected_spans);
  Subtract(start.emitted, &total.emitted);
  Subtract(start.applied, &total.applied);
  Subtract(start.sampled_out, &total.sampled_out);
  Subtract(start.processes_dropped, &total.processes_dropped);
  Subtract(start.processes, &total.processes);
  Subtract(start.services, &total.services);
  Subtract(start.incidents_dropped, &total.incidents_dropped);
  Subtract(start.forward_dropped, &total.forward_dropped);
  return total;
}

}  // namespace spanwatch::core
