// An incident as Alertmanager sees it. There an alert is its labels, and severity is one of them: so each level of an
// incident is an alert of its own. When an incident rises, the alert of the lower level is resolved and that of the
// higher one fires. Pure functions, any thread. All text is what JSON can hold once invalid UTF-8 is replaced.
#ifndef SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_ALERT_H_
#define SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_ALERT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "sidecar/core/incident.h"

namespace spanwatch::notify {

using Labels = std::map<std::string, std::string>;

// `name` as Prometheus allows label names, [a-zA-Z_][a-zA-Z0-9_]*: other characters become "_".
std::string LabelName(std::string_view name);

// alertname, severity, and the incident's labels; those without a value are left out. Of two that become one name the
// second is NAME_2.
Labels AlertLabels(const core::Incident& incident, core::Severity severity);

// The incident's annotations, and where it has none of that name: value, threshold, last_error, trace (a link).
Labels AlertAnnotations(const core::Incident& incident, const std::string& trace_url);

// As Prometheus and Alertmanager count it: FNV-1a over the sorted labels.
std::uint64_t LabelsFingerprint(const Labels& labels);
std::string FingerprintText(std::uint64_t fingerprint);  // 16 hex digits

// Where the incident's trace is shown; empty if there is none.
std::string TraceUrl(const core::Incident& incident, const std::string& external_url,
                     const std::function<bool(const TraceId&)>& trace_stored);

// "2026-01-02T03:04:05.000Z".
std::string AlertTime(std::int64_t ns_since_epoch);
inline constexpr const char* kNoTime = "0001-01-01T00:00:00Z";  // endsAt of what fires

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_ALERT_H_
