// Folds a journal, a recording or OTLP spans: the same records give the same transitions, statistics and digest, in
// every process.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "sidecar/app.h"
#include "sidecar/command_line.h"
#include "sidecar/replay.h"
#include "sidecar/replay_table.h"
#include "sidecar/rule_files.h"
#include "sidecar/terminal.h"

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

void PrintSummary(const Replayed& replayed, const core::Engine& engine, std::uint64_t transitions) {
  std::array<char, 17> digest{};
  std::snprintf(digest.data(), digest.size(), "%016llx", static_cast<unsigned long long>(engine.Digest()));
  PrintLine({{"stats", StatsToJson(engine.Stats())},
             {"source", replayed.source},
             {"records", replayed.records},
             {"fromNs", replayed.first_ns},
             {"toNs", replayed.last_ns},
             {"transitions", transitions},
             {"torn", replayed.torn},
             {"problems", replayed.problems},
             {"digest", digest.data()}});
}

void TellProblems(const std::string& path, const Replayed& replayed) {
  for (const std::string& problem : replayed.problems) {
    std::fprintf(stderr, "spanwatch replay: %s: %s\n", path.c_str(), problem.c_str());
  }
  if (replayed.torn) {
    std::fprintf(stderr, "spanwatch replay: %s ends in the middle of a record; all before it was folded\n",
                 path.c_str());
  }
}

// Null: those that were in force. Mistakes are printed, and *failed is set.
std::shared_ptr<const core::RuleSet> OtherRules(const CommandLine& command_line, const config::Config& config,
                                                bool* failed) {
  if (command_line.rule_files.empty()) return nullptr;
  auto rules = LoadRuleFiles(command_line.rule_files, config.thresholds);
  if (rules) return std::make_shared<const core::RuleSet>(std::move(*rules));
  PrintProblems(rules.error());
  *failed = true;
  return nullptr;
}

}  // namespace

int RunReplay(const CommandLine& command_line) {
  const std::string& path = command_line.files.at(0);
  const auto config = LoadConfig(command_line.sources);
  if (!config) {
    PrintProblems(config.error());
    return kExitFailed;
  }
  bool failed = false;
  const auto rules = OtherRules(command_line, *config, &failed);
  if (failed) return kExitFailed;
  const Paint paint(STDOUT_FILENO);
  const bool as_text =
      command_line.output == Output::kText || (command_line.output == Output::kAuto && ::isatty(STDOUT_FILENO) == 1);
  core::Engine engine(core::Limits{}, std::make_shared<core::RuleSet>());
  ReplayTable table(config->external_url, &engine, command_line.max_messages);
  std::uint64_t count = 0;
  const auto replayed = Replay(path, *config, rules, &engine, [&](const std::vector<core::Transition>& transitions) {
    for (const core::Transition& transition : transitions) {
      if (as_text) {
        table.Add(transition);
      } else {
        PrintLine(TransitionToJson(transition));
      }
    }
    count += transitions.size();
  });
  if (!replayed) {
    std::fprintf(stderr, "spanwatch replay: %s\n", replayed.error().c_str());
    return kExitFailed;
  }
  if (as_text) {
    std::printf("%s", table.Text(*replayed, engine, paint.on()).c_str());
  } else {
    PrintSummary(*replayed, engine, count);
  }
  TellProblems(path, *replayed);
  return std::fflush(stdout) == 0 ? 0 : kExitFailed;
}

}  // namespace spanwatch::app
