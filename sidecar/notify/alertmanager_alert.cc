#include "sidecar/notify/alertmanager_alert.h"

#include <array>
#include <cstdio>

#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

}  // namespace

std::string LabelName(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (digit && result.empty()) result += '_';
    result += IsLetter(c) || digit ? c : '_';
  }
  return result.empty() ? "_" : result;
}

Labels AlertLabels(const core::Incident& incident, core::Severity severity) {
  Labels labels = {{"alertname", incident.alertname}, {"severity", core::ToString(severity)}};
  for (const core::NameValue& label : incident.labels) {
    if (label.value.empty() || label.name == "alertname" || label.name == "severity") continue;
    const std::string name = LabelName(label.name);
    std::string unique = name;
    for (int i = 2; labels.contains(unique); ++i) unique = name + "_" + std::to_string(i);
    labels.emplace(std::move(unique), label.value);
  }
  return labels;
}

Labels AlertAnnotations(const core::Incident& incident, const std::string& trace_url) {
  Labels annotations;
  for (const core::NameValue& annotation : incident.annotations) {
    if (!annotation.value.empty()) annotations.emplace(LabelName(annotation.name), annotation.value);
  }
  annotations.emplace("value", core::FormatValue(incident.value, incident.unit));
  annotations.emplace("threshold", core::FormatValue(incident.threshold, incident.unit));
  if (!incident.last_error.empty()) annotations.emplace("last_error", incident.last_error);
  if (!trace_url.empty()) annotations.emplace("trace", trace_url);
  return annotations;
}

std::uint64_t LabelsFingerprint(const Labels& labels) {
  std::uint64_t sum = 14695981039346656037u;
  const auto add = [&](std::string_view text) {
    for (const char c : text) sum = (sum ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
    sum = (sum ^ 255) * 1099511628211u;
  };
  for (const auto& [name, value] : labels) {
    add(name);
    add(value);
  }
  return sum;
}

std::string FingerprintText(std::uint64_t fingerprint) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(fingerprint));
  return text.data();
}

std::string TraceUrl(const core::Incident& incident, const std::string& external_url,
                     const std::function<bool(const TraceId&)>& trace_stored) {
  if (!incident.worst_trace.IsValid() || (trace_stored && !trace_stored(incident.worst_trace))) return "";
  return external_url + "/trace/" + incident.worst_trace.ToHex();
}

std::string AlertTime(std::int64_t ns_since_epoch) {
  const std::string text = IsoTime(ns_since_epoch);
  return text.empty() ? "1970-01-01T00:00:00.000Z" : text;
}

}  // namespace spanwatch::notify
