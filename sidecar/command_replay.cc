// Folds a journal, a recording or OTLP spans: the same records give the same transitions, statistics and digest, in
// every process.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "sidecar/app.h"
#include "sidecar/command_line.h"
#include "sidecar/replay.h"

namespace spanwatch::app {
namespace {

using Json = nlohmann::ordered_json;

void PrintLine(const Json& json) {
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

Json PairsToJson(const std::vector<core::NameValue>& pairs) {
  Json json = Json::object();
  for (const core::NameValue& pair : pairs) json[pair.name] = pair.value;
  return json;
}

Json CountsToJson(const std::vector<core::ReasonCount>& counts) {
  Json json = Json::object();
  for (const core::ReasonCount& count : counts) json[count.name] = count.count;
  return json;
}

Json TransitionToJson(const core::Transition& transition) {
  const core::Incident& incident = transition.incident;
  return {{"id", transition.id},
          {"transition", core::ToString(transition.kind)},
          {"atNs", transition.at_ns},
          {"alertname", incident.alertname},
          {"group", incident.rule_group},
          {"incident", incident.id},
          {"fingerprint", incident.fingerprint},
          {"labels", PairsToJson(incident.labels)},
          {"annotations", PairsToJson(incident.annotations)},
          {"measure", incident.measure},
          {"state", core::ToString(incident.state)},
          {"severity", core::ToString(incident.severity)},
          {"peakSeverity", core::ToString(incident.peak_severity)},
          {"value", incident.value},
          {"worstValue", incident.worst_value},
          {"threshold", incident.threshold},
          {"activeAtNs", incident.active_at_ns},
          {"firedAtNs", incident.fired_at_ns},
          {"resolvedAtNs", incident.resolved_at_ns},
          {"lastMatchNs", incident.last_match_ns},
          {"count", incident.count},
          {"worstTrace", incident.worst_trace.ToHex()},
          {"worstTraceDurationNs", incident.worst_trace_duration_ns},
          {"lastError", incident.last_error},
          {"lostSpans", incident.lost_spans}};
}

Json StatsToJson(const core::StatsView& stats) {
  Json services = Json::array();
  for (const core::ServiceStats& service : stats.services) {
    services.push_back({{"service", service.service},
                        {"spans", service.spans},
                        {"errors", service.errors},
                        {"durationSumNs", service.duration_sum_ns},
                        {"slowWarning", service.slow_warning},
                        {"slowCritical", service.slow_critical}});
  }
  return {{"startedNs", stats.started_ns},
          {"nowNs", stats.now_ns},
          {"records", stats.records},
          {"emitted", stats.emitted},
          {"applied", stats.applied},
          {"sampledOut", stats.sampled_out},
          {"lost", CountsToJson(stats.lost)},
          {"spansApplied", stats.spans_applied},
          {"malformedMessages", CountsToJson(stats.malformed_messages)},
          {"rejectedSpans", CountsToJson(stats.rejected_spans)},
          {"traces", stats.store.traces},
          {"spans", stats.store.spans},
          {"bytes", stats.store.bytes},
          {"tracesTotal", stats.store.traces_total},
          {"completedTotal", stats.store.completed_total},
          {"lateSpansTotal", stats.store.late_spans_total},
          {"duplicateSpansTotal", stats.store.duplicate_spans_total},
          {"evicted", CountsToJson(stats.store.evicted)},
          {"services", std::move(services)},
          {"alertsFiring", stats.alerts_firing},
          {"alertsPending", stats.alerts_pending},
          {"incidentsDropped", stats.incidents_dropped}};
}

}  // namespace

int RunReplay(const CommandLine& command_line) {
  const std::string& path = command_line.files.at(0);
  const auto config = LoadConfig(command_line.sources);
  if (!config) {
    PrintProblems(config.error());
    return kExitFailed;
  }
  core::Engine engine(core::Limits{}, std::make_shared<core::RuleSet>());
  std::uint64_t count = 0;
  const auto replayed = Replay(path, *config, &engine, [&](const std::vector<core::Transition>& transitions) {
    for (const core::Transition& transition : transitions) PrintLine(TransitionToJson(transition));
    count += transitions.size();
  });
  if (!replayed) {
    std::fprintf(stderr, "spanwatch replay: %s\n", replayed.error().c_str());
    return kExitFailed;
  }
  std::array<char, 17> digest{};
  std::snprintf(digest.data(), digest.size(), "%016llx", static_cast<unsigned long long>(engine.Digest()));
  PrintLine({{"stats", StatsToJson(engine.Stats())},
             {"source", replayed->source},
             {"records", replayed->records},
             {"fromNs", replayed->first_ns},
             {"toNs", replayed->last_ns},
             {"transitions", count},
             {"torn", replayed->torn},
             {"problems", replayed->problems},
             {"digest", digest.data()}});
  for (const std::string& problem : replayed->problems) {
    std::fprintf(stderr, "spanwatch replay: %s: %s\n", path.c_str(), problem.c_str());
  }
  if (replayed->torn) {
    std::fprintf(stderr, "spanwatch replay: %s ends in the middle of a record; all before it was folded\n",
                 path.c_str());
  }
  return std::fflush(stdout) == 0 ? 0 : kExitFailed;
}

}  // namespace spanwatch::app
