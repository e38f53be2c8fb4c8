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
constexpr std::size_t kSummaryUnits = 700;
constexpr std::size_t kErrorUnits = 900;
constexpr std::size_t kNameUnits = 256;
constexpr std::size_t kTitleWhereUnits = 150;
constexpr std::size_t kQuietUnits = 400;
constexpr std::size_t kOtherLabelsUnits = 600;
constexpr std::size_t kFoldLineUnits = 200;

bool IsResolved(const Incident& incident) { return incident.state == AlertState::kResolved; }

const std::string* Find(const std::vector<core::NameValue>& pairs, std::string_view name) {
  for (const auto& pair : pairs) {
    if (pair.name == name) return &pair.value;
  }
  return nullptr;
}

// Of the labels that a title names.
std::string Shown(const std::string* value, std::size_t max_units) {
  return value == nullptr ? "" : EscapeUserText(*value, max_units);
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
  std::string text = Shown(Find(incident.labels, "operation"), max_units * 3 / 5);
  const std::string service = Shown(Find(incident.labels, "service"), max_units * 3 / 10);
  if (!service.empty()) text += (text.empty() ? "" : " in ") + service;
  return text;
}

std::string Title(const Incident& incident) {
  std::string text = IsResolved(incident) ? std::string(kResolved) : SeverityWord(incident.severity);
  text += ": " + EscapeUserText(incident.alertname, 80);
  const std::string where = Where(incident, kTitleWhereUnits);
  if (!where.empty()) text += ": " + where;
  return text;
}

// A rule without texts says at least what it measures: a value alone may be of anything.
std::string Description(const Incident& incident) {
  std::string text = Shown(Find(incident.annotations, "summary"), kSummaryUnits);
  const std::string more = Shown(Find(incident.annotations, "description"), kSummaryUnits);
  text += (text.empty() || more.empty() ? "" : "\n") + more;
  if (!text.empty() || incident.measure.empty()) return text;
  return EscapeUserText(incident.measure, kNameUnits) +
         (incident.window_ns > 0 ? " of the last " + FormatLength(incident.window_ns) : "");
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

// "14/11/2023 22:13": short enough for a third of the card.
std::string DateAndTime(std::int64_t ns) { return HasTime(ns) ? TimeTag(ns, 'd') + " " + TimeTag(ns, 't') : ""; }

std::string Since(std::int64_t begin) { return HasTime(begin) ? TimeTag(begin, 'R') + "\n" + DateAndTime(begin) : ""; }

std::string Number(std::uint64_t n) { return core::FormatValue(static_cast<double>(n), core::Unit::kCount); }

// Spans that match; what is no matter of spans (a process's memory, a service's health) has none.
std::string Count(const Incident& incident) {
  if (incident.count == 0 && incident.measure != "absent" && incident.measure != "rate") return "";
  const std::string n = Number(incident.count);
  if (incident.window_ns > 0)
    return n + (incident.count == 1 ? " span" : " spans") + " in " + FormatLength(incident.window_ns);
  return incident.count == 1 ? "once" : n + " times";
}

// What the title does not tell already.
std::string SeverityText(const Incident& incident) {
  const Severity peak = std::max(incident.severity, incident.peak_severity);
  if (IsResolved(incident)) return core::ToString(peak);
  if (peak == incident.severity) return "";
  return std::string(core::ToString(incident.severity)) + ", was " + core::ToString(peak);
}

// Of a window, the trace is that of the latest failed span where the rule counts failures.
const char* TraceName(const Incident& incident) {
  if (incident.measure.starts_with("error_") || incident.measure == "trace.error_count" ||
      incident.measure == "slo.burn_rate") {
    return "Failed trace";
  }
  const bool is_time = incident.unit == core::Unit::kNanoseconds || incident.measure.empty();
  return is_time ? "Slowest trace" : "Worst trace";
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
  return "[Open the trace](" + url + ")" + (length.empty() ? "" : ", " + length) + ", `" + id.substr(0, 8) + "`";
}

// A field only if there is something to say; else the footer tells it.
std::string Losses(std::uint64_t lost_spans) {
  return lost_spans == 0 ? "" : Number(lost_spans) + " lost: the numbers may be too low";
}

std::string Footer(const std::string& name, std::uint64_t lost_spans) {
  return name + (lost_spans == 0 ? ", no spans lost" : "");
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

// Where the title had to cut a name, it stands in full.
void AddWhere(Json* fields, const Incident& incident) {
  const std::string* service = Find(incident.labels, "service");
  const std::string* operation = Find(incident.labels, "operation");
  const bool is_cut = Shown(operation, kTitleWhereUnits * 3 / 5) != Shown(operation, kNameUnits) ||
                      Shown(service, kTitleWhereUnits * 3 / 10) != Shown(service, kNameUnits);
  if (!is_cut) return;
  AddField(fields, "Operation", Shown(operation, kNameUnits), true);
  AddField(fields, "Service", Shown(service, kNameUnits), true);
}

std::string Earlier(const CardContext& context) {
  if (context.reason == Reason::kNew) return "";
  const std::string what = context.reason == Reason::kEscalated ? "raised from warning to critical"
                           : context.reason == Reason::kUnmuted ? "no longer muted, still firing"
                                                                : "still firing";
  return context.earlier_link.empty() ? what : what + ", [earlier message](" + context.earlier_link + ")";
}

// A link that the rule's author gives: what to do now.
std::string Runbook(const Incident& incident) {
  const std::string* url = Find(incident.annotations, "runbook_url");
  const std::string link = url == nullptr ? "" : LinkUrl(*url);
  return link.empty() ? "" : "[What to do](" + link + ")";
}

// The order is that of the questions of somebody who was woken: how bad, since when, why, what now; then the rest.
Json Fields(const Incident& incident, const CardContext& context) {
  Json fields = Json::array();
  AddField(&fields, "Quiet", EscapeUserText(context.quiet, kQuietUnits), false);
  if (IsResolved(incident)) {
    AddField(&fields, "Lasted", FormatLength(Between(BeginOf(incident), EndOf(incident))), true);
    AddField(&fields, "Since", DateAndTime(BeginOf(incident)), true);
    AddField(&fields, "Ended", DateAndTime(EndOf(incident)), true);
  }
  AddField(&fields, "Value", Value(incident), true);
  if (!IsResolved(incident)) AddField(&fields, "Since", Since(BeginOf(incident)), true);
  AddField(&fields, "How often", Count(incident), true);
  AddField(&fields, "Severity", SeverityText(incident), true);
  AddWhere(&fields, incident);
  AddField(&fields, "Lost spans", Losses(incident.lost_spans), false);
  AddField(&fields, TraceName(incident), TraceText(incident, context), false);
  if (incident.worst_trace.IsValid()) AddField(&fields, "Critical path", PathText(context.path), false);
  AddField(&fields, "Last error", EscapeUserText(incident.last_error, kErrorUnits), false);
  AddField(&fields, "Runbook", Runbook(incident), false);
  AddField(&fields, "Labels", OtherLabels(incident), false);
  AddField(&fields, "History", Earlier(context), false);
  AddField(&fields, "Note", context.unwatched ? kUnwatchedNote : "", false);
  return fields;
}

// With a role to ping, the content is its mention: what stands in a card pings nobody.
std::string Message(Json message, const std::string& mention_role) {
  message["allowed_mentions"]["parse"] = Json::array();
  if (!mention_role.empty()) {
    const std::string rest = message.value("content", "");
    message["content"] = "<@&" + mention_role + ">" + (rest.empty() ? "" : " ") + rest;
    message["allowed_mentions"]["roles"] = {mention_role};
  }
  return message.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string EmbedMessage(Json embed, const std::string& mention_role) {
  Json message;
  message["embeds"].push_back(std::move(embed));
  return Message(std::move(message), mention_role);
}

void PutTimestamp(Json* embed, std::int64_t ns) {
  if (const std::string time = IsoTime(ns); !time.empty()) (*embed)["timestamp"] = time;
}

// What the title says of all of them is not said of each.
std::string FoldLine(const Incident& incident, const Fold& fold) {
  std::string text = IsResolved(incident) ? "over: " : "**" + std::string(core::ToString(incident.severity)) + "**: ";
  const std::string operation = Shown(Find(incident.labels, "operation"), 60);
  const bool one_service = Find(fold.group_labels, "service") != nullptr && !operation.empty();
  const std::string where = one_service ? operation : Where(incident, 100);
  if (where.empty() || Find(fold.group_labels, "alertname") == nullptr) {
    text += EscapeUserText(incident.alertname, 60) + (where.empty() ? "" : ": ");
  }
  return text + where + ", " + EscapeUserText(core::FormatValue(incident.worst_value, incident.unit), 40) + "\n";
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
    if (std::string line = FoldLine(*member, fold); Utf16Units(line) <= kFoldLineUnits) text += line;
    ++shown;
  }
  if (members.size() > shown) text += "and " + std::to_string(members.size() - shown) + " more\n";
  return text;
}

// "37 more SlowOperation in gemini (region = eu)": after what the group is made by.
std::string FoldTitle(const Fold& fold) {
  std::string text = std::to_string(fold.members.size()) + " more ";
  std::string name = Shown(Find(fold.group_labels, "alertname"), 80);
  if (name.empty()) name = fold.members.size() == 1 ? "alert" : "alerts";
  text += name;
  if (const std::string service = Shown(Find(fold.group_labels, "service"), 70); !service.empty()) {
    text += " in " + service;
  }
  std::string others;
  for (const core::NameValue& label : fold.group_labels) {
    if (label.name == "alertname" || label.name == "service" || label.value.empty()) continue;
    const std::string one = EscapeUserText(label.name, 20) + " = " + EscapeUserText(label.value, 40);
    if (Utf16Units(others) + Utf16Units(one) > 60) break;
    others += (others.empty() ? "" : ", ") + one;
  }
  return others.empty() ? text : text + " (" + others + ")";
}

std::uint64_t LostOf(const Fold& fold) {
  std::uint64_t lost = 0;
  for (const Incident* member : fold.members) lost = std::max(lost, member->lost_spans);
  return lost;
}

Json FoldFields(const Fold& fold, const CardContext& context, std::int64_t begin, std::int64_t last) {
  const auto firing = std::count_if(fold.members.begin(), fold.members.end(), [](auto* i) { return !IsResolved(*i); });
  Json fields = Json::array();
  AddField(&fields, "Quiet", EscapeUserText(context.quiet, kQuietUnits), false);
  AddField(&fields, "Firing", std::to_string(firing) + " of " + std::to_string(fold.members.size()), true);
  if (firing == 0) AddField(&fields, "Lasted", FormatLength(Between(begin, last)), true);
  AddField(&fields, "Since", Since(begin), true);
  if (const std::string url = LinkUrl(context.external_url + "/api/v1/alerts"); !url.empty()) {
    AddField(&fields, "All alerts", "[Open the list](" + url + ")", true);
  }
  AddField(&fields, "Lost spans", Losses(LostOf(fold)), false);
  AddField(&fields, "History", Earlier(context), false);
  return fields;
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
  if (const std::string description = Description(incident); !description.empty()) embed["description"] = description;
  embed["color"] = context.unwatched ? kGrey : IsResolved(incident) ? kGreen : Colour(incident.severity);
  embed["fields"] = Fields(incident, context);
  const std::string& fingerprint = incident.fingerprint;
  const bool is_hex =
      fingerprint.size() == 16 && fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  embed["footer"]["text"] = Footer(is_hex ? "Spanwatch " + fingerprint : "Spanwatch", incident.lost_spans);
  PutTimestamp(&embed, std::max({incident.resolved_at_ns, incident.last_match_ns, incident.fired_at_ns}));
  return EmbedMessage(std::move(embed), context.mention_role);
}

std::string RenderFold(const Fold& fold, const CardContext& context) {
  const Severity severity = FoldSeverity(fold.members);
  const bool is_over =
      std::all_of(fold.members.begin(), fold.members.end(), [](const auto* i) { return IsResolved(*i); });
  std::int64_t begin = 0, last = 0;
  for (const Incident* member : fold.members) {
    const std::int64_t since = BeginOf(*member);
    if (begin == 0 || since < begin) begin = since;
    last = std::max({last, member->resolved_at_ns, member->last_match_ns, member->fired_at_ns});
  }
  Json embed;
  embed["title"] = (is_over ? std::string(kResolved) : SeverityWord(severity)) + ": " + FoldTitle(fold);
  std::string lines = FoldLines(fold);
  if (!lines.empty()) lines.pop_back();
  if (!lines.empty()) embed["description"] = lines;
  embed["color"] = is_over ? kGreen : Colour(severity);
  embed["fields"] = FoldFields(fold, context, begin, last);
  embed["footer"]["text"] = Footer("Spanwatch", LostOf(fold));
  PutTimestamp(&embed, last);
  return EmbedMessage(std::move(embed), context.mention_role);
}

std::string RenderCut(Reason reason, const std::string& newer_link) {
  std::string text = reason == Reason::kEscalated ? "Now critical" : "Still firing";
  text += newer_link.empty() ? ": see the newer message" : ": " + newer_link;
  Json message;
  message["content"] = text;
  message["embeds"] = Json::array();
  return Message(std::move(message), "");
}

std::string RenderFallback(const Incident& incident, std::size_t also, bool is_edit, const std::string& mention_role) {
  std::string text = Title(incident) + ", " + EscapeUserText(core::FormatValue(incident.value, incident.unit), 64);
  if (also > 0) text += ", and " + std::to_string(also) + " more";
  Json message;
  message["content"] = text;
  if (is_edit) message["embeds"] = Json::array();
  return Message(std::move(message), mention_role);
}

}  // namespace spanwatch::notify
