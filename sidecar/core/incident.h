// One rule and one group make one incident; its changes leave the engine as transitions. Plain values, owned by whoever
// holds them; no references into the engine. As bytes: incident_codec.h.
#ifndef SPANWATCH_SIDECAR_CORE_INCIDENT_H_
#define SPANWATCH_SIDECAR_CORE_INCIDENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/rule.h"
#include "spanwatch/ids.h"

namespace spanwatch::core {

enum class AlertState : std::uint8_t { kInactive, kPending, kFiring, kResolved };
const char* ToString(AlertState state);  // "inactive", "pending", "firing", "resolved"

struct Incident {
  std::string id;           // 32 hex digits: hash of rule, group and the engine time it became active
  std::string fingerprint;  // 16 hex digits: hash of alertname and labels; the same for every incident of the group
  std::string alertname;
  std::string rule_group;
  std::vector<NameValue> labels;  // group labels ("service", "operation", ...) in the rule's order, then the rule's own
  std::vector<NameValue> annotations;  // rendered with the latest values
  std::string measure;                 // "span.duration"
  Unit unit = Unit::kCount;
  Direction direction = Direction::kAbove;
  AlertState state = AlertState::kInactive;
  Severity severity = Severity::kNone;       // highest active level
  Severity peak_severity = Severity::kNone;  // highest it ever reached
  double value = 0;                          // latest
  double worst_value = 0;
  double threshold = 0;             // of the highest level it reached
  std::int64_t active_at_ns = 0;    // engine time of the first match (pending since)
  std::int64_t fired_at_ns = 0;     // engine time it began to fire; 0 while pending
  std::int64_t resolved_at_ns = 0;  // 0 until resolved
  std::int64_t last_match_ns = 0;
  std::uint64_t count = 0;     // matches (events), or spans in the window (windows)
  std::int64_t window_ns = 0;  // of the rule; 0 for events
  TraceId worst_trace;         // of worst_value; for windows: the slowest or latest failed trace; may be invalid
  SpanId worst_span;
  double worst_trace_duration_ns = 0;
  std::string last_error;        // "TimeoutError: model did not answer", newest; may be empty
  std::uint64_t lost_spans = 0;  // spans lost, all processes, since active_at_ns: the numbers may be too low
};

enum class TransitionKind : std::uint8_t { kFiring, kEscalated, kDeescalated, kUpdated, kResolved };
const char* ToString(TransitionKind kind);  // "firing", "escalated", "deescalated", "updated", "resolved"

// `id` is deterministic: incident id, kind and a number within the incident ("<incident id>/3/escalated").
struct Transition {
  std::string id;
  TransitionKind kind = TransitionKind::kFiring;
  std::int64_t at_ns = 0;  // engine time
  Incident incident;       // as it stood after the change
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_INCIDENT_H_
