// Reads one rule: its measure, its times, its texts.
#include "sidecar/config/rule_fields.h"

#include <algorithm>
#include <array>

#include "sidecar/config/canonical.h"
#include "sidecar/config/measures.h"
#include "sidecar/config/rules.h"

namespace spanwatch::config {
namespace {

using core::Measure;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMinuteNs = 60 * kSecondNs;
constexpr std::int64_t kDayNs = 24 * 60 * kMinuteNs;
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::size_t kMaxPairs = 16;
constexpr std::int64_t kMaxBurnRatio = 720;  // the engine counts in so many steps at most
constexpr double kMinObjective = 0.5, kMaxObjective = 0.999999;

bool IsLabelName(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || text.size() > 64 || !letter(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// Tokens, money and service levels are promised by the month.
std::int64_t LongestWindow(Measure measure) {
  return core::IsBudget(measure) || measure == Measure::kSloBurnRate ? 31 * kDayNs : kDayNs;
}

// "rule "SlowOperation"" if it has a name, else its place.
std::string RulePath(const Node& node) {
  const Node* alert = node.Find("alert");
  if (alert == nullptr || alert->kind != Node::Kind::kScalar || alert->text.empty()) return "rule";
  return "rule " + Quote(alert->text);
}

}  // namespace

void RuleFields::ReadAll(const Thresholds& defaults) {
  const Node* alert = reader.Find("alert");
  if (alert == nullptr) reader.Add(node.at, "", "alert is missing; give the rule a name");
  reader.String("alert", &rule.alert);
  if (rule.alert.size() > kMaxNameBytes) reader.Add(alert->at, "alert", "longer than 128 bytes");
  if (!rule.alert.empty() && rule.alert.find_first_not_of(" \t\n") == std::string::npos) {
    reader.Add(alert->at, "alert", "is blank; give the rule a name");
  }
  HintAtForeignKeys();
  const bool measure_known = ReadMeasure();
  if (measure_known) {
    ReadMatch();
    ReadBy();
    ReadTimes();
    ReadThresholds(defaults);
  } else {  // what these may say hangs on the measure: one mistake, one message
    for (const char* key : {"match", "by", "for", "keep_firing_for", "window", "windows", "objective", "slower_than",
                            "min_count", "direction", "thresholds"}) {
      reader.Find(key);
    }
  }
  ReadPairs("labels", &rule.labels);
  CheckLabels();
  ReadPairs("annotations", &rule.annotations);
  if (measure_known) CheckAnnotations();
}

// What a user of other programs would write.
void RuleFields::HintAtForeignKeys() {
  reader.Hint("expr", "PromQL is not used here; name a measure, as in measure: span.duration");
  if (node.Find("alert") == nullptr) reader.Hint("name", "in a rule it is alert, as in alert: SlowModel");
  reader.Hint("severity", "severity comes from the threshold that is crossed; write thresholds: {critical: ...}");
  reader.Hint("group_by", "in a rule it is by, as in by: [service]; group_by is of route in the configuration");
}

bool RuleFields::ReadMeasure() {
  const Node* value = reader.Find("measure");
  if (value == nullptr) {
    if (node.Find("expr") != nullptr) return false;
    reader.Add(node.at, "", "measure is missing; allowed: " + Join(MeasureNames()));
    return false;
  }
  const std::string* text = ScalarText(*value, path + ".measure", "the name of a measure", problems);
  if (text == nullptr) return false;
  Parsed<config::MeasureText> parsed = ParseMeasure(*text);
  if (!parsed) {
    reader.Add(value->at, "measure", parsed.error());
    return false;
  }
  rule.measure = parsed->measure;
  rule.tag = std::move(parsed->tag);
  return true;
}

void RuleFields::ReadTimes() {
  rule.keep_firing_for_ns = core::IsWindow(rule.measure) ? 0 : 5 * kMinuteNs;
  reader.Duration("keep_firing_for", &rule.keep_firing_for_ns, 0, 30 * kDayNs);
  if (rule.measure == Measure::kSloBurnRate) {
    ReadObjective();
    ReadBurnWindows();
  } else {
    for (const char* key : {"objective", "slower_than"})
      reader.Hint(key, "of slo.burn_rate alone; remove it, or write measure: slo.burn_rate");
  }
  if (core::IsWindow(rule.measure)) {
    reader.Duration("for", &rule.for_ns, 0, kDayNs);
    ReadWindow();
    return;
  }
  for (const char* key : {"for", "window", "windows", "min_count"}) {
    reader.Hint(key, MeasureText() + " is judged for each span or trace by itself and fires at once; remove it, or " +
                         "take a measure with a window such as error_rate or duration.avg");
  }
}

void RuleFields::ReadWindow() {
  if (rule.measure == Measure::kSloBurnRate) {
    reader.Hint("window", "slo.burn_rate looks at a long and a short window; write windows: [1h, 5m]");
    reader.Whole("min_count", &rule.min_count, 0, 1'000'000'000);
    return;
  }
  if (!HasWindow(rule.measure)) {
    rule.window_ns = IsTimeless(rule.measure) ? 0 : 5 * kMinuteNs;
    for (const char* key : {"window", "windows", "min_count"})
      reader.Hint(key, MeasureText() + " is read as it stands; remove it");
    return;
  }
  rule.window_ns = 5 * kMinuteNs;
  reader.Hint("windows", "two windows are of slo.burn_rate alone; write window: 5m");
  reader.Duration("window", &rule.window_ns, kSecondNs, LongestWindow(rule.measure));
  if (rule.measure == Measure::kSpansLost) {
    reader.Hint("min_count", "spans_lost counts what did not arrive; remove it");
  } else {
    reader.Whole("min_count", &rule.min_count, 0, 1'000'000'000);
  }
}

void RuleFields::ReadObjective() {
  reader.Duration("slower_than", &rule.slower_than_ns, 1'000'000, kDayNs);
  const Node* value = reader.Find("objective");
  if (value == nullptr) {
    reader.Add(node.at, "", "objective is missing; say what share of the spans is to be good, as in objective: 99.9%");
    return;
  }
  const std::string* text = ScalarText(*value, path + ".objective", "a percentage such as 99.9%", problems);
  if (text == nullptr) return;
  const Parsed<double> share = ParsePercent(*text);
  if (!share) {
    reader.Add(value->at, "objective", share.error());
  } else if (*share < kMinObjective || *share > kMaxObjective) {
    reader.Add(value->at, "objective",
               Quote(*text) + " is out of range; allowed: 50% to 99.9999%, the share of spans that is to be good");
  } else {
    rule.objective = *share;
  }
}

void RuleFields::ReadBurnWindows() {
  rule.window_ns = 60 * kMinuteNs;
  rule.short_window_ns = 5 * kMinuteNs;
  const Node* value = reader.Find("windows");
  if (value == nullptr) return;
  std::vector<std::int64_t> lengths;
  const std::vector<TextItem> items = TextList(*value, path + ".windows", problems, "a duration such as 1h");
  for (const TextItem& item : items) {
    const Parsed<std::int64_t> length = ParseDuration(item.text);
    if (!length) {
      reader.Add(item.at, "windows", length.error());
    } else if (*length < kSecondNs || *length > LongestWindow(rule.measure)) {
      reader.Add(item.at, "windows", Quote(item.text) + " is out of range; allowed: 1s to 31d");
    } else {
      lengths.push_back(*length);
    }
  }
  if (lengths.size() != items.size()) return;
  if (lengths.size() != 2) {
    reader.Add(value->at, "windows", "expected two durations, the long and the short one, as in windows: [1h, 5m]");
  } else if (lengths[0] <= lengths[1]) {
    reader.Add(value->at, "windows", "the long window comes first and the short one is shorter, as in [1h, 5m]");
  } else if (lengths[0] > kMaxBurnRatio * lengths[1]) {
    reader.Add(value->at, "windows", "the long window is more than 720 times the short one; allowed: up to that");
  } else {
    rule.window_ns = lengths[0];
    rule.short_window_ns = lengths[1];
  }
}

void RuleFields::ReadPairs(const char* key, std::vector<core::NameValue>* out) {
  const Node* value = reader.Find(key);
  if (value == nullptr || value->kind == Node::Kind::kNull) return;
  const std::string map_path = path + "." + key;
  if (value->kind != Node::Kind::kMap) {
    problems->Add(value->at, map_path + ": expected a map of names to texts, found " + KindName(value->kind));
    return;
  }
  if (value->fields.size() > kMaxPairs) {
    problems->Add(value->at, map_path + ": more than " + std::to_string(kMaxPairs) + " entries");
  }
  for (const Field& field : value->fields) {
    if (!IsLabelName(field.key)) {
      problems->Add(field.at, map_path + ": " + Quote(field.key) +
                                  " is not a name; allowed: letters, digits and _, not starting with a digit");
    }
    const std::string* text = ScalarText(field.value, map_path + "." + field.key, "a text", problems);
    if (text == nullptr) continue;
    if (text->size() > kMaxTextBytes) {
      problems->Add(field.value.at, map_path + "." + field.key + ": longer than 1024 bytes");
    }
    out->push_back({field.key, *text});
  }
}

void RuleFields::CheckAnnotations() {
  const Node* annotations = reader.Find("annotations");
  if (annotations == nullptr) return;
  for (const Field& field : annotations->fields) {
    if (field.value.kind != Node::Kind::kScalar) continue;
    for (const std::string& mistake : CheckTemplate(field.value.text, rule)) {
      problems->Add(field.value.at, path + ".annotations." + field.key + ": " + mistake);
    }
  }
}

std::optional<core::Rule> ReadRule(const Node& node, const std::string& group, const Thresholds& thresholds,
                                   Problems* problems) {
  if (node.kind != Node::Kind::kMap) {
    problems->Add(node.at, std::string("rules: expected a rule (a map of keys), found ") + KindName(node.kind));
    return std::nullopt;
  }
  if (const Node* record = node.Find("record")) {
    problems->Add(record->at, "rule.record: recording rules are not supported; write alert rules only");
    return std::nullopt;
  }
  Problems found;
  core::Rule rule;
  {
    RuleFields fields(node, RulePath(node), &found);
    fields.rule.group = group;
    fields.ReadAll(thresholds);
    rule = std::move(fields.rule);
  }
  if (found.empty()) {
    rule.text = CanonicalText(rule);
    return rule;
  }
  problems->Append(found.Take());
  return std::nullopt;
}

}  // namespace spanwatch::config
