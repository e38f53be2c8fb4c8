#include "sidecar/http/api_json.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "sidecar/core/unit_name.h"
#include "sidecar/http/events_json.h"
#include "sidecar/http/span_json.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMegabyte = 1 << 20;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// A reader in JavaScript keeps 53 bits.
template <typename Integer>
Json Safe(Integer value) {
  const bool exact = std::in_range<std::int64_t>(value) &&
                     static_cast<std::int64_t>(value) <= (std::int64_t{1} << 53) &&
                     static_cast<std::int64_t>(value) >= -(std::int64_t{1} << 53);
  return exact ? Json(value) : Json(std::to_string(value));
}

// Whole ms and the rest apart: a double does not hold ns since the epoch.
double Ms(std::int64_t ns) { return static_cast<double>(ns / 1'000'000) + static_cast<double>(ns % 1'000'000) / 1e6; }
double Megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

Json Reasons(const std::vector<core::ReasonCount>& counts) {
  Json object = Json::object();
  for (const auto& count : counts) object[count.name] = Safe(count.count);
  return object;
}

std::uint64_t Sum(const std::vector<core::ReasonCount>& counts) {
  std::uint64_t sum = 0;
  for (const auto& count : counts) sum += count.count;
  return sum;
}

Json Object(const std::vector<core::NameValue>& values) {
  Json object = Json::object();
  for (const auto& value : values) object[value.name] = value.value;
  return object;
}

Json ProcessJson(const core::ProcessView& process) {
  Json gauges = Json::array();
  for (const auto& gauge : process.gauges) {
    gauges.push_back({{"name", gauge.name}, {"labels", Object(gauge.labels)}, {"value", gauge.value}});
  }
  return {{"id", process.id},
          {"service", process.service},
          {"instance", process.instance},
          {"state", process.state},
          {"emitted", Safe(process.emitted)},
          {"applied", Safe(process.applied)},
          {"sampledOut", Safe(process.sampled_out)},
          {"lost", Reasons(process.lost)},
          {"lostTotal", Safe(Sum(process.lost))},
          {"tailUnknown", process.tail_unknown},
          {"openSpans", Safe(process.open_spans)},
          {"memoryMB", Megabytes(process.rss_bytes)},
          {"sdkMemoryMB", Megabytes(process.sdk_bytes)},
          {"sdkCpuSeconds", process.sdk_cpu_seconds},
          {"sdkRingFill", process.sdk_ring_fill},
          {"sampleRate", process.sdk_sample_rate < 0 ? Json() : Json(process.sdk_sample_rate)},
          {"lastSeen", TimeText(process.last_seen_ns)},
          {"gauges", std::move(gauges)}};
}

Json ServiceJson(const core::ServiceStats& service) {
  return {{"service", service.service},
          {"spans", service.spans},
          {"errors", service.errors},
          {"errorRate", service.spans > 0 ? service.errors / service.spans : 0.0},
          {"avgDuration", service.spans > 0 ? service.duration_sum_ns / service.spans / 1e6 : 0.0},
          {"slowWarning", service.slow_warning},
          {"slowCritical", service.slow_critical}};
}

Json SummaryJson(const core::TraceSummary& trace) {
  Json services = Json::array();
  for (const auto& service : trace.services) services.push_back(service.name);
  return {{"traceId", trace.trace_id.ToHex()},
          {"rootService", trace.root_service},
          {"rootOperation", trace.root_operation},
          {"startTime", Ms(trace.start_ns)},
          {"startTimeText", TimeText(trace.start_ns)},
          {"duration", Ms(trace.duration_ns)},
          {"status", trace.error_count > 0 ? "error" : "success"},
          {"spanCount", trace.span_count},
          {"errorCount", trace.error_count},
          {"maxDepth", trace.depth},
          {"orphans", trace.orphans},
          {"truncatedSpans", trace.truncated},
          {"complete", trace.complete},
          {"alerted", trace.alerted},
          {"services", std::move(services)}};
}

// Why a parent is not here; what it is, if it is still open.
Json MissingJson(const core::MissingSpan& missing) {
  Json json = {{"spanId", missing.id.ToHex()}, {"reason", missing.reason}, {"children", missing.children}};
  if (missing.operation.empty()) return json;
  json["service"] = missing.service;
  json["operation"] = missing.operation;
  json["startTime"] = Ms(missing.start_ns);
  return json;
}

std::string NumberText(double value) {
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

Json TimeOrNull(std::int64_t ns) { return ns == 0 ? Json(nullptr) : Json(TimeText(ns)); }

Json AlertJson(const core::Incident& incident) {
  Json labels = {{"alertname", incident.alertname}};
  for (const auto& label : incident.labels) labels[label.name] = label.value;
  labels["severity"] =
      core::ToString(incident.severity == core::Severity::kNone ? incident.peak_severity : incident.severity);
  Json json = {{"labels", std::move(labels)},
               {"annotations", Object(incident.annotations)},
               {"state", core::ToString(incident.state)},
               {"activeAt", TimeText(incident.active_at_ns)},
               {"value", NumberText(core::InNamedUnit(incident.value, incident.unit))},
               {"id", incident.id},
               {"fingerprint", incident.fingerprint},
               {"ruleGroup", incident.rule_group},
               {"measure", incident.measure},
               {"unit", core::UnitName(incident.unit)},
               {"direction", incident.direction == core::Direction::kAbove ? "above" : "below"},
               {"valueText", core::FormatValue(incident.value, incident.unit)},
               {"worstValue", core::InNamedUnit(incident.worst_value, incident.unit)},
               {"threshold", core::InNamedUnit(incident.threshold, incident.unit)},
               {"thresholdText", core::FormatValue(incident.threshold, incident.unit)},
               {"severity", core::ToString(incident.severity)},
               {"peakSeverity", core::ToString(incident.peak_severity)},
               {"firedAt", TimeOrNull(incident.fired_at_ns)},
               {"resolvedAt", TimeOrNull(incident.resolved_at_ns)},
               {"lastMatch", TimeOrNull(incident.last_match_ns)},
               {"count", Safe(incident.count)},
               {"window", Ms(incident.window_ns)},
               {"worstTrace", nullptr},
               {"lastError", incident.last_error},
               {"lostSpans", Safe(incident.lost_spans)}};
  if (incident.worst_trace.IsValid()) {
    json["worstTrace"] = {{"traceId", incident.worst_trace.ToHex()},
                          {"spanId", incident.worst_span.IsValid() ? Json(incident.worst_span.ToHex()) : Json(nullptr)},
                          {"duration", incident.worst_trace_duration_ns / 1e6}};
  }
  return json;
}

bool IsActive(const core::Incident& incident) {
  return incident.state == core::AlertState::kPending || incident.state == core::AlertState::kFiring;
}

Json RuleJson(const core::Rule& rule, const std::vector<core::Incident>& incidents, const core::RuleStatus& status) {
  const core::Unit unit = core::UnitOf(rule.measure);
  const auto threshold = [&](const std::optional<double>& value) {
    return value ? Json(core::InNamedUnit(*value, unit)) : Json(nullptr);
  };
  Json by = Json::array(), alerts = Json::array();
  for (const core::RuleLabel& label : rule.by) by.push_back(label.Text());
  const char* state = "inactive";
  for (const core::Incident& incident : incidents) {
    if (!IsActive(incident) || incident.alertname != rule.alert || incident.rule_group != rule.group) continue;
    if (incident.state == core::AlertState::kFiring || std::string_view(state) == "inactive")
      state = core::ToString(incident.state);
    alerts.push_back(AlertJson(incident));
  }
  return {{"state", state},
          {"name", rule.alert},
          {"query", rule.text},
          {"duration", static_cast<double>(rule.for_ns) / 1e9},  // seconds: Prometheus' field
          {"keepFiringFor", static_cast<double>(rule.keep_firing_for_ns) / 1e9},
          {"labels", Object(rule.labels)},
          {"annotations", Object(rule.annotations)},
          {"alerts", std::move(alerts)},
          {"health", status.ok ? "ok" : "err"},
          {"lastError", status.last_error},
          {"lastEvaluation", TimeOrNull(status.last_evaluation_ns)},
          {"evaluations", Safe(status.evaluations)},
          {"failures", Safe(status.failures)},
          {"groups", Safe(status.groups)},
          {"droppedGroups", Safe(status.dropped_groups)},
          {"droppedIncidents", Safe(status.dropped_incidents)},
          {"unpricedSpans", Safe(status.unpriced_spans)},
          {"type", "alerting"},
          {"by", std::move(by)},
          {"unit", core::UnitName(unit)},
          {"thresholds", {{"warning", threshold(rule.warning)}, {"critical", threshold(rule.critical)}}},
          {"window", Ms(rule.window_ns)},
          {"minCount", Safe(rule.min_count)}};
}

Json LedgerJson(const core::StatsView& stats) {
  return {{"total", Safe(Sum(stats.lost))},
          {"lost", Reasons(stats.lost)},
          {"emitted", Safe(stats.emitted)},
          {"applied", Safe(stats.applied)},
          {"sampledOut", Safe(stats.sampled_out)},
          {"malformedMessages", Reasons(stats.malformed_messages)},
          {"rejectedSpans", Reasons(stats.rejected_spans)},
          {"processesRefused", Safe(stats.processes_dropped)},
          {"incidentsDropped", Safe(stats.incidents_dropped)}};
}

}  // namespace

std::string ErrorJson(std::string_view error, std::string_view field) {
  Json json = {{"error", error}};
  if (!field.empty()) json["field"] = field;
  return Dump(json);
}

Json CardinalityJson(const core::StatisticsView& statistics) {
  Json list = Json::array();
  for (const core::CardinalityView& each : statistics.cardinality) {
    list.push_back({{"service", each.service.empty() ? Json(nullptr) : Json(each.service)},
                    {"label", each.label},
                    {"limit", Safe(each.limit)},
                    {"foldedSpans", Safe(each.folded_spans)},
                    {"since", TimeText(each.since_ns)},
                    {"samples", each.samples}});
  }
  return list;
}

std::string StatsJson(const core::StatsView& stats, const core::StatsView& at_start) {
  const core::StoreView& store = stats.store;
  Json processes = Json::array(), services = Json::array();
  for (const auto& process : stats.processes) processes.push_back(ProcessJson(process));
  for (const auto& service : stats.services) services.push_back(ServiceJson(service));
  const double traces = static_cast<double>(store.traces);
  return Dump({{"totalTraces", Safe(store.traces)},
               {"avgSpansPerTrace", store.traces > 0 ? static_cast<double>(store.spans) / traces : 0.0},
               {"memoryUsageMB", Megabytes(store.bytes)},
               {"totalSpans", Safe(store.spans)},
               {"openTraces", Safe(store.open_traces)},
               {"memoryLimitMB", Megabytes(store.memory_limit)},
               {"maxTraces", Safe(store.max_traces)},
               {"traceTtl", Ms(store.ttl_ns)},
               {"tracesStarted", Safe(store.traces_total)},
               {"tracesCompleted", Safe(store.completed_total)},
               {"lateSpans", Safe(store.late_spans_total)},
               {"duplicateSpans", Safe(store.duplicate_spans_total)},
               {"truncatedSpans", Safe(store.truncated_spans_total)},
               {"evicted", Reasons(store.evicted)},
               {"spansApplied", Safe(stats.spans_applied)},
               {"losses", LedgerJson(stats)},
               {"alerts", {{"firing", Safe(stats.alerts_firing)}, {"pending", Safe(stats.alerts_pending)}}},
               {"cardinality", CardinalityJson(stats.statistics)},
               {"processes", std::move(processes)},
               {"services", std::move(services)},
               {"sinceStart", LedgerJson(core::Since(at_start, stats))},
               {"startedAt", TimeOrNull(stats.started_ns)},
               {"now", TimeText(stats.now_ns)}});
}

std::string TracesJson(const std::vector<core::TraceSummary>& traces, const core::TraceQuery& query,
                       std::size_t total) {
  Json array = Json::array();
  for (const auto& trace : traces) array.push_back(SummaryJson(trace));
  return Dump({{"traces", std::move(array)}, {"total", total}, {"offset", query.offset}, {"limit", query.limit}});
}

std::string TraceJson(const core::TraceCopy& trace, const KeptNote& kept) {
  Json json = SummaryJson(trace.summary);
  if (kept.kept) {
    json["kept"] = true;
    json["cut"] = kept.cut;
  }
  Json rest = {{"missing", Json::array()}, {"losses", Json::array()}};
  for (const auto& missing : trace.missing) rest["missing"].push_back(MissingJson(missing));
  for (const auto& loss : trace.losses) {
    rest["losses"].push_back(
        {{"process", loss.process}, {"service", loss.service}, {"reason", loss.reason}, {"spans", Safe(loss.spans)}});
  }
  // The spans stand between; they are many, so they are no tree first.
  std::string text = Dump(json);
  text.resize(text.rfind('}'));
  text += ",\"spans\":[";
  for (const auto& span : trace.spans) {
    if (&span != &trace.spans.front()) text += ',';
    AppendSpanJson(span, trace.summary.start_ns, &text);
  }
  return text + "]," + Dump(rest).substr(1);
}

std::string SummaryText(const core::TraceSummary& trace) {
  return SummaryJson(trace).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string AlertText(const core::Incident& incident, std::string_view change) {
  Json json = {{"change", change}};
  json.update(AlertJson(incident));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// As in Alertmanager: "active", "suppressed", or "unprocessed" (nobody is to be told: pending, or over).
Json MutedJson(const core::Incident& incident, const MutedAlerts& muted) {
  const auto it = muted.find(incident.id);
  const MutedBy by = it == muted.end() ? MutedBy() : it->second;
  const bool fires = incident.state == core::AlertState::kFiring;
  const char* const state = !fires ? "unprocessed" : it == muted.end() ? "active" : "suppressed";
  return {{"state", state}, {"silencedBy", by.silences}, {"inhibitedBy", by.inhibitors}};
}

std::string AlertsJson(const std::vector<core::Incident>& incidents, std::string_view state, const MutedAlerts& muted) {
  Json alerts = Json::array();
  for (const auto& incident : incidents) {
    if (!state.empty() && core::ToString(incident.state) != state) continue;
    Json alert = AlertJson(incident);
    alert["status"] = MutedJson(incident, muted);
    alerts.push_back(std::move(alert));
  }
  return Dump({{"status", "success"}, {"data", {{"alerts", std::move(alerts)}}}});
}

std::string RulesJson(const core::RuleSet& rules, const std::vector<core::Incident>& incidents,
                      const std::vector<core::RuleStatus>& status) {
  Json groups = Json::array();
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    const core::Rule& rule = rules.rules[i];
    if (groups.empty() || groups.back()["name"] != rule.group) {
      groups.push_back({{"name", rule.group}, {"rules", Json::array()}});
    }
    // Between the calls that gave them the rules may have changed.
    const bool known = i < status.size() && status[i].alert == rule.alert && status[i].group == rule.group;
    groups.back()["rules"].push_back(RuleJson(rule, incidents, known ? status[i] : core::RuleStatus()));
  }
  return Dump({{"status", "success"}, {"data", {{"groups", std::move(groups)}}}});
}

}  // namespace spanwatch::http
