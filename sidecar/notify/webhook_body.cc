#include "sidecar/notify/webhook_body.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/core/unit_name.h"

namespace spanwatch::notify {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json ToJson(const Labels& labels) {
  Json json = Json::object();
  for (const auto& [name, value] : labels) json[name] = value;
  return json;
}

// Of `common` what `labels` has too.
void Intersect(const Labels& labels, Labels* common) {
  std::erase_if(*common, [&](const auto& entry) {
    const auto it = labels.find(entry.first);
    return it == labels.end() || it->second != entry.second;
  });
}

Json AlertJson(const WebhookAlert& alert) {
  return {{"status", alert.ends_ns == 0 ? "firing" : "resolved"},
          {"labels", ToJson(alert.labels)},
          {"annotations", ToJson(alert.annotations)},
          {"startsAt", AlertTime(alert.starts_ns)},
          {"endsAt", alert.ends_ns == 0 ? kNoTime : AlertTime(alert.ends_ns)},
          {"generatorURL", alert.generator_url},
          {"fingerprint", FingerprintText(LabelsFingerprint(alert.labels))}};
}

// As Go's %q has it for printable text.
std::string Quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + '"';
}

Json SeverityOrNull(core::Severity severity) {
  return severity == core::Severity::kNone ? Json(nullptr) : Json(core::ToString(severity));
}

}  // namespace

std::size_t WeightOf(const WebhookAlert& alert) {
  std::size_t bytes = 200 + alert.generator_url.size();
  for (const Labels* labels : {&alert.labels, &alert.annotations}) {
    for (const auto& [name, value] : *labels) bytes += name.size() + value.size() + 6;
  }
  return bytes;
}

std::string GroupKeyText(const std::vector<core::NameValue>& labels) {
  Labels sorted;
  for (const core::NameValue& label : labels) sorted.emplace(label.name, label.value);
  std::string text;
  for (const auto& [name, value] : sorted) text += (text.empty() ? "" : ", ") + name + "=" + Quoted(value);
  return "{}:{" + text + "}";
}

std::string RenderWebhookGroup(const WebhookGroup& group, std::size_t* shown) {
  std::size_t bytes = 0;
  *shown = 0;
  while (*shown < std::min(group.alerts.size(), kMaxAlerts)) {
    bytes += WeightOf(group.alerts[*shown]);
    if (*shown > 0 && bytes > kMaxBytes) break;
    ++*shown;
  }
  Json alerts = Json::array();
  Labels common_labels, common_annotations;
  bool firing = false;
  for (std::size_t i = 0; i < group.alerts.size(); ++i) {
    const WebhookAlert& alert = group.alerts[i];
    firing = firing || alert.ends_ns == 0;
    if (i >= *shown) continue;
    alerts.push_back(AlertJson(alert));
    if (i == 0) {
      common_labels = alert.labels;
      common_annotations = alert.annotations;
    } else {
      Intersect(alert.labels, &common_labels);
      Intersect(alert.annotations, &common_annotations);
    }
  }
  Json group_labels = Json::object();
  for (const core::NameValue& label : group.labels) {
    if (!label.value.empty()) group_labels[LabelName(label.name)] = label.value;
  }
  return Dump({{"receiver", group.receiver},
               {"status", firing ? "firing" : "resolved"},
               {"alerts", std::move(alerts)},
               {"groupLabels", std::move(group_labels)},
               {"commonLabels", ToJson(common_labels)},
               {"commonAnnotations", ToJson(common_annotations)},
               {"externalURL", group.external_url},
               {"version", "4"},
               {"groupKey", group.key},
               {"truncatedAlerts", group.alerts.size() - *shown}});
}

std::string RenderWebhookChange(const WebhookChange& change) {
  const core::Incident& incident = *change.incident;
  Json labels = Json::object(), annotations = Json::object(), trace = nullptr;
  for (const core::NameValue& label : incident.labels) labels[label.name] = label.value;
  for (const core::NameValue& annotation : incident.annotations) annotations[annotation.name] = annotation.value;
  if (incident.worst_trace.IsValid()) {
    trace = {{"traceId", incident.worst_trace.ToHex()},
             {"duration", incident.worst_trace_duration_ns / 1e6},
             {"url", change.trace_url.empty() ? Json(nullptr) : Json(change.trace_url)}};
  }
  return Dump({{"id", change.id},
               {"incident", incident.id},
               {"fingerprint", incident.fingerprint},
               {"alertname", incident.alertname},
               {"transition", change.transition},
               {"status", change.ends_ns == 0 ? "firing" : "resolved"},
               {"severity", core::ToString(change.severity)},
               {"previousSeverity", SeverityOrNull(change.previous_severity)},
               {"labels", std::move(labels)},
               {"annotations", std::move(annotations)},
               {"measure", incident.measure},
               {"unit", core::UnitName(incident.unit)},
               {"value", core::InNamedUnit(incident.value, incident.unit)},
               {"valueText", core::FormatValue(incident.value, incident.unit)},
               {"worstValue", core::InNamedUnit(incident.worst_value, incident.unit)},
               {"threshold", core::InNamedUnit(incident.threshold, incident.unit)},
               {"thresholdText", core::FormatValue(incident.threshold, incident.unit)},
               {"direction", incident.direction == core::Direction::kAbove ? "above" : "below"},
               {"count", incident.count},
               {"startsAt", AlertTime(incident.fired_at_ns != 0 ? incident.fired_at_ns : incident.active_at_ns)},
               {"endsAt", change.ends_ns == 0 ? Json(nullptr) : Json(AlertTime(change.ends_ns))},
               {"trace", std::move(trace)},
               {"lastError", incident.last_error},
               {"lostSpans", incident.lost_spans},
               {"unwatched", change.unwatched},
               {"receiver", change.receiver},
               {"externalURL", change.external_url}});
}

}  // namespace spanwatch::notify
