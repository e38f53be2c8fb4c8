// Incidents and transitions for the notifier's tests.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_INCIDENTS_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_INCIDENTS_H_

#include <string>

#include "sidecar/core/incident.h"

namespace spanwatch::notify {

inline constexpr std::int64_t kSec = 1'000'000'000;
inline constexpr std::int64_t kEpoch = 1'700'000'000 * kSec;

inline core::Incident MakeIncident(const std::string& id, core::Severity severity = core::Severity::kWarning) {
  core::Incident incident;
  incident.id = id;
  incident.fingerprint = "00112233aabbccdd";
  incident.alertname = "SlowOperation";
  incident.labels = {{"service", "gemini"}, {"operation", "GeminiService.generate"}};
  incident.annotations = {{"summary", "GeminiService.generate took 3.2 s"}};
  incident.measure = "span.duration";
  incident.unit = core::Unit::kNanoseconds;
  incident.state = core::AlertState::kFiring;
  incident.severity = incident.peak_severity = severity;
  incident.value = 3.2e9;
  incident.worst_value = 4.5e9;
  incident.threshold = severity == core::Severity::kCritical ? 5e9 : 1e9;
  incident.active_at_ns = incident.fired_at_ns = kEpoch;
  incident.last_match_ns = kEpoch + 5 * kSec;
  incident.count = 17;
  incident.worst_trace = {0x0123456789abcdef, 0xfedcba9876543210};
  incident.worst_trace_duration_ns = 4.5e9;
  incident.last_error = "TimeoutError: model did not answer";
  return incident;
}

inline core::Transition MakeTransition(core::Incident incident, core::TransitionKind kind) {
  if (kind == core::TransitionKind::kResolved) {
    incident.state = core::AlertState::kResolved;
    incident.resolved_at_ns = incident.active_at_ns + 125 * kSec;
  }
  core::Transition transition;
  transition.id = incident.id + "/1/" + core::ToString(kind);
  transition.kind = kind;
  transition.at_ns = incident.last_match_ns;
  transition.incident = std::move(incident);
  return transition;
}

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_INCIDENTS_H_
