#include "sidecar/notify/discord_card.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

using core::AlertState;
using core::Incident;
using core::Severity;
using Json = nlohmann::ordered_json;

constexpr int kRed = 0xD93025;
constexpr int kOrange = 0xF29900;
constexpr int kGreen = 0x1E8E3E;
constexpr int kGrey = 0x80868B;
constexpr std::size_t kFoldLines = 12;

constexpr std::string_view kResolved = "Resolved";
constexpr const char* kUnwatchedNote =
    "Spanwatch was restarted and no longer watches this. Whether it still goes on is not known.";

// Shares of kMaxEmbedTotal. Their sum, with the fixed texts of all fields, stays below it.
constexpr std::size_t kSummaryUnits = 1200;
constexpr std::size_t kErrorUnits = 900;
constexpr std::size_t kNameUnits = 256;
constexpr std::size_t kOtherLabelsUnits = 600;
constexpr std::size_t kFoldLineUnits = 200;

bool IsResolved(const Incident& incident) { return incident.state == AlertState::kResolved; }

const std::string* Find(const std::vector<core::NameValue>& pairs, std::string_view name) {
  for (const auto& pair : pairs) {
    if (pair.name == name) return &pair.value;
  }
  return nullptr;
}

const char* SeverityWord(Severity severity) {
  return severity == Severity::kCritical ? "Critical" : severity == Severity::kWarning ? "Warning" : "Alert";
}

int Colour(Severity severity) { return severity == Severity::kCritical ? kRed : kOrange; }

std::int64_t EndOf(const Incident& incident) {
  return incident.resolved_at_ns > 0 ? incident.resolved_at_ns : incident.last_match_ns;
}

std::int64_t BeginOf(const Incident& incident) {
  return incident.active_at_ns > 0 ? incident.active_at_ns : incident.fired_at_ns;
}

std::int64_t Between(std::int64_t begin, std::int64_t end) { return begin > 0 && end > begin ? end - begin : 0; }

// "operation in service", whichever is known. Escaped.
std::string Where(const Incident& incident, std::size_t max_units) {
  const std::string* service = Find(incident.labels, "service");
  const std::string* operation = Find(incident.labels, "operation");
  std::string text = operation != nullptr ? EscapeUserText(*operation, max_units * 3 / 5) : "";
  if (service != nullptr && !service->empty()) {
    text += text.empty() ? "" : " in ";
    text += EscapeUserText(*service, max_units * 3 / 10);
  }
  return text;
}

std::string Title(const Incident& incident) {
  std::string text = IsResolved(incident) ? std::string(kResolved) : SeverityWord(incident.severity);
  text += ": " + EscapeUserText(incident.alertname, 80);
  const std::string where = Where(incident, 150);
  if (!where.empty()) text += ": " + where;
  return text;
}

// Discord shows these in the reader's own time zone.
std::string TimeTag(std::int64_t ns, char style) {
  return "<t:" + std::to_string(ns / 1'000'000'000) + ":" + style + ">";
}

bool HasTime(std::int64_t ns) { return !IsoTime(ns).empty(); }

std::string Value(const Incident& incident) {
  const auto show = [&](double value) { return EscapeUserText(core::FormatValue(value, incident.unit), 64); };
  std::string text = "**" + show(incident.value) + "**";
  const bool worse = incident.direction == core::Direction::kAbove ? incident.worst_value > incident.value
                                                                   : incident.worst_value < incident.value;
  if (worse) text += ", at worst " + show(incident.worst_value);
  if (incident.unit == core::Unit::kHealth) return text;  // its limit is the status itself
  text += incident.direction == core::Direction::kAbove ? ", limit " : ", lower limit ";
  return text + show(incident.threshold);
}

std::string Since(const Incident& incident) {
  const std::int64_t begin = BeginOf(incident);
  if (!HasTime(begin)) return "";
  return TimeTag(begin, 'R') + ", " + TimeTag(begin, 'F');
}

std::string Count(const Incident& incident) {
  const std::string n = std::to_string(incident.count);
  if (incident.window_ns > 0)
    return n + (incident.count == 1 ? " span" : " spans") + " in " + FormatLength(incident.window_ns);
  return incident.count == 1 ? "once" : n + " times";
}

std::string SeverityText(const Incident& incident) {
  if (IsResolved(incident) || incident.peak_severity <= incident.severity) {
    return core::ToString(std::max(incident.severity, incident.peak_severity));
  }
  return std::string(core::ToString(incident.severity)) + ", was " + core::ToString(incident.peak_severity);
}

std::string TraceText(const Incident& incident, const CardContext& context) {
  if (!incident.worst_trace.IsValid()) return "";
  const std::string id = incident.worst_trace.ToHex();
  const std::string length =
      incident.worst_trace_duration_ns > 0
          ? EscapeUserText(core::FormatValue(incident.worst_trace_duration_ns, core::Unit::kNanoseconds), 64)
          : "";
  if (!context.trace_stored) return "`" + id + "`" + (length.empty() ? "" : ", " + length) + " (no longer stored)";
  const std::string url = LinkUrl(context.external_url + "/trace/" + id);
  if (url.empty()) return "`" + id + "`" + (length.empty() ? "" : ", " + length);
  return "[" + (length.empty() ? "open" : length) + "](" + url + ") `" + id.substr(0, 8) + "`";
}

std::string Losses(const Incident& incident) {
  if (incident.lost_spans == 0) return "none";
  return std::to_string(incident.lost_spans) + " lost: the numbers may be too low";
}

std::string OtherLabels(const Incident& incident) {
  std::string text;
  std::size_t left_out = 0;
  for (const auto& label : incident.labels) {
    if (label.name == "service" || label.name == "operation" || label.name == "alertname" || label.name == "severity")
      continue;
    if (left_out > 0) {
      ++left_out;
      continue;
    }
    const std::string name = EscapeUserText(label.name, 64);
    const std::string value = EscapeUserText(label.value, 128);
    if (name.empty() || value.empty()) continue;
    const std::string line = (text.empty() ? "" : "\n") + name + " = " + value;
    if (Utf16Units(text) + Utf16Units(line) > kOtherLabelsUnits) {
      ++left_out;
    } else {
      text += line;
    }
  }
  if (left_out > 0) text += "\nand " + std::to_string(left_out) + " more";
  return text;
}

void AddField(Json* fields, const char* name, const std::string& value, bool is_inline) {
  if (value.empty() || fields->size() >= kMaxFields) return;
  Json field;
  field["name"] = name;
  field["value"] = value;
  field["inline"] = is_inline;
  fields->push_back(std::move(field));
}

std::string UserLabel(const Incident& incident, std::string_view name) {
  const std::string* value = Find(incident.labels, name);
  return value == nullptr ? "" : EscapeUserText(*value, kNameUnits);
}

std::string Earlier(const CardContext& context) {
  if (context.reason == Reason::kNew) return "";
  const std::string what = context.reason == Reason::kEscalated ? "raised from warning to critical" : "still firing";
  return context.earlier_link.empty() ? what : what + ", [earlier message](" + context.earlier_link + ")";
}

Json Fields(const Incident& incident, const CardContext& context) {
  Json fields = Json::array();
  AddField(&fields, "Value", Value(incident), true);
  AddField(&fields, "How often", Count(incident), true);
  AddField(&fields, "Severity", SeverityText(incident), true);
  AddField(&fields, "Since", Since(incident), false);
  if (IsResolved(incident)) {
    AddField(&fields, "Lasted", FormatLength(Between(BeginOf(incident), EndOf(incident))), true);
    AddField(&fields, "Ended", HasTime(EndOf(incident)) ? TimeTag(EndOf(incident), 'F') : "", true);
  }
  AddField(&fields, "Service", UserLabel(incident, "service"), true);
  AddField(&fields, "Operation", UserLabel(incident, "operation"), true);
  AddField(&fields, "Slowest trace", TraceText(incident, context), false);
  if (incident.worst_trace.IsValid()) AddField(&fields, "Critical path", PathText(context.path), false);
  AddField(&fields, "Last error", EscapeUserText(incident.last_error, kErrorUnits), false);
  AddField(&fields, "Lost spans", Losses(incident), true);
  AddField(&fields, "Labels", OtherLabels(incident), false);
  AddField(&fields, "History", Earlier(context), false);
  AddField(&fields, "Note", context.unwatched ? kUnwatchedNote : "", false);
  return fields;
}

std::string Message(Json message) {
  message["allowed_mentions"]["parse"] = Json::array();
  return message.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string EmbedMessage(Json embed) {
  Json message;
  message["embeds"].push_back(std::move(embed));
  return Message(std::move(message));
}

void PutTimestamp(Json* embed, std::int64_t ns) {
  if (const std::string time = IsoTime(ns); !time.empty()) (*embed)["timestamp"] = time;
}

std::string FoldLine(const Incident& incident) {
  std::string text = IsResolved(incident) ? "over: " : std::string(core::ToString(incident.severity)) + ": ";
  const std::string where = Where(incident, 100);
  text += where.empty() ? EscapeUserText(incident.alertname, 60) : where;
  return text + ", " + EscapeUserText(core::FormatValue(incident.worst_value, incident.unit), 40) + "\n";
}

// Firing members first, the worst severity on top; resolved ones after them.
std::string FoldLines(const Fold& fold) {
  std::vector<const Incident*> members = fold.members;
  std::stable_sort(members.begin(), members.end(), [](const Incident* a, const Incident* b) {
    const auto rank = [](const Incident* i) { return IsResolved(*i) ? 0 : static_cast<int>(i->severity); };
    return rank(a) > rank(b);
  });
  std::string text;
  std::size_t shown = 0;
  for (const Incident* member : members) {
    if (shown == kFoldLines) break;
    if (std::string line = FoldLine(*member); Utf16Units(line) <= kFoldLineUnits) text += line;
    ++shown;
  }
  if (members.size() > shown) text += "and " + std::to_string(members.size() - shown) + " more\n";
  return text;
}

}  // namespace

core::Severity FoldSeverity(const std::vector<const Incident*>& members) {
  Severity highest = Severity::kNone;
  for (const Incident* member : members) {
    if (!IsResolved(*member)) highest = std::max(highest, member->severity);
  }
  return highest;
}

std::string RenderCard(const Incident& incident, const CardContext& context) {
  Json embed;
  embed["title"] = context.unwatched ? "No longer watched" + Title(incident).substr(kResolved.size()) : Title(incident);
  const std::string* summary = Find(incident.annotations, "summary");
  std::string description = summary != nullptr ? EscapeUserText(*summary, kSummaryUnits) : "";
  if (!description.empty()) embed["description"] = description;
  embed["color"] = context.unwatched ? kGrey : IsResolved(incident) ? kGreen : Colour(incident.severity);
  embed["fields"] = Fields(incident, context);
  const std::string& fingerprint = incident.fingerprint;
  const bool is_hex =
      fingerprint.size() == 16 && fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  embed["footer"]["text"] = is_hex ? "Spanwatch " + fingerprint : "Spanwatch";
  PutTimestamp(&embed, std::max({incident.resolved_at_ns, incident.last_match_ns, incident.fired_at_ns}));
  return EmbedMessage(std::move(embed));
}

std::string RenderFold(const Fold& fold, const CardContext& context) {
  const std::size_t total = fold.members.size();
  const auto firing = static_cast<std::size_t>(
      std::count_if(fold.members.begin(), fold.members.end(), [](const Incident* i) { return !IsResolved(*i); }));
  const Severity severity = FoldSeverity(fold.members);
  std::string title = firing == 0 ? "Resolved: " : std::string(SeverityWord(severity)) + ": ";
  title += std::to_string(total) + " more ";
  title += fold.alertname.empty() ? (total == 1 ? "alert" : "alerts") : EscapeUserText(fold.alertname, 80);
  if (const std::string service = EscapeUserText(fold.service, 80); !service.empty()) title += " in " + service;

  std::int64_t begin = 0, last = 0;
  std::uint64_t lost = 0;
  for (const Incident* member : fold.members) {
    const std::int64_t since = BeginOf(*member);
    if (begin == 0 || since < begin) begin = since;
    last = std::max({last, member->resolved_at_ns, member->last_match_ns, member->fired_at_ns});
    lost = std::max(lost, member->lost_spans);
  }
  Json fields = Json::array();
  AddField(&fields, "Firing", std::to_string(firing) + " of " + std::to_string(total), true);
  if (HasTime(begin)) AddField(&fields, "Since", TimeTag(begin, 'R') + ", " + TimeTag(begin, 'F'), false);
  if (firing == 0) AddField(&fields, "Lasted", FormatLength(Between(begin, last)), true);
  AddField(&fields, "Lost spans", lost == 0 ? "none" : std::to_string(lost) + " lost: the numbers may be too low",
           true);
  if (const std::string url = LinkUrl(context.external_url + "/api/v1/alerts"); !url.empty()) {
    AddField(&fields, "All alerts", "[open](" + url + ")", true);
  }
  AddField(&fields, "History", Earlier(context), false);

  Json embed;
  embed["title"] = title;
  std::string lines = FoldLines(fold);
  if (!lines.empty()) lines.pop_back();
  if (!lines.empty()) embed["description"] = lines;
  embed["color"] = firing == 0 ? kGreen : Colour(severity);
  embed["fields"] = std::move(fields);
  embed["footer"]["text"] = "Spanwatch";
  PutTimestamp(&embed, last);
  return EmbedMessage(std::move(embed));
}

std::string RenderCut(Reason reason, const std::string& newer_link) {
  std::string text = reason == Reason::kRepeated ? "Still firing" : "Now critical";
  text += newer_link.empty() ? ": see the newer message" : ": " + newer_link;
  Json message;
  message["content"] = text;
  message["embeds"] = Json::array();
  return Message(std::move(message));
}

std::string RenderFallback(const Incident& incident, std::size_t also, bool is_edit) {
  std::string text = Title(incident) + ", " + EscapeUserText(core::FormatValue(incident.value, incident.unit), 64);
  if (also > 0) text += ", and " + std::to_string(also) + " more";
  Json message;
  message["content"] = text;
  if (is_edit) message["embeds"] = Json::array();
  return Message(std::move(message));
}

}  // namespace spanwatch::notify
