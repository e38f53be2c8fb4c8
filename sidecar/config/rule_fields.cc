#include <algorithm>
#include <array>

#include "sidecar/config/canonical.h"
#include "sidecar/config/matcher.h"
#include "sidecar/config/measures.h"
#include "sidecar/config/reader.h"
#include "sidecar/config/rules.h"

namespace spanwatch::config {
namespace {

using core::Measure;
using core::RuleLabel;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMinuteNs = 60 * kSecondNs;
constexpr std::int64_t kDayNs = 24 * 60 * kMinuteNs;
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::size_t kMaxPairs = 16;

bool IsLabelName(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (text.empty() || text.size() > 64 || !letter(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// One rule under construction: its place, its reader, and the sink.
struct RuleFields {
  RuleFields(const Node& rule_node, std::string rule_path, Problems* sink)
      : node(rule_node), path(std::move(rule_path)), reader(rule_node, path, sink), problems(sink) {}

  const Node& node;
  const std::string path;
  MapReader reader;
  Problems* const problems;
  core::Rule rule;

  void ReadAll(const Thresholds& defaults);
  bool ReadMeasure();
  void ReadMatch();
  void ReadBy();
  void ReadTimes();
  void ReadThresholds(const Thresholds& defaults);
  void TakeThresholds(const Node& map);
  void TakeNamedThresholds(const Node& name, const Thresholds& defaults);
  void ReadPairs(const char* key, std::vector<core::NameValue>* out);
  void CheckLabels();
  void CheckAnnotations();
};

void RuleFields::ReadAll(const Thresholds& defaults) {
  const Node* alert = reader.Find("alert");
  if (alert == nullptr) reader.Add(node.at, "", "alert is missing; give the rule a name");
  reader.String("alert", &rule.alert);
  if (rule.alert.size() > kMaxNameBytes) reader.Add(alert->at, "alert", "longer than 128 bytes");
  const bool measure_known = ReadMeasure();
  ReadMatch();
  if (measure_known) {
    ReadBy();
    ReadTimes();
    ReadThresholds(defaults);
  } else {  // what these may say hangs on the measure: one mistake, one message
    for (const char* key : {"by", "for", "keep_firing_for", "window", "min_count", "direction", "thresholds"}) {
      reader.Find(key);
    }
  }
  ReadPairs("labels", &rule.labels);
  CheckLabels();
  ReadPairs("annotations", &rule.annotations);
  if (measure_known) CheckAnnotations();
}

bool RuleFields::ReadMeasure() {
  const Node* value = reader.Find("measure");
  reader.Hint("expr", "PromQL is not used here; name a measure, as in measure: span.duration");
  if (value == nullptr) {
    if (node.Find("expr") != nullptr) return false;
    reader.Add(node.at, "", "measure is missing; allowed: " + Join(MeasureNames()));
    return false;
  }
  const std::string* text = ScalarText(*value, path + ".measure", "the name of a measure", problems);
  if (text == nullptr) return false;
  const std::optional<Measure> measure = FindMeasure(*text);
  if (measure) {
    rule.measure = *measure;
    return true;
  }
  reader.Add(
      value->at, "measure",
      "unknown measure " + Quote(*text) + DidYouMean(*text, MeasureNames()) + "; allowed: " + Join(MeasureNames()));
  return false;
}

void RuleFields::ReadMatch() {
  const Node* value = reader.Find("match");
  if (value == nullptr) return;
  if (!HasLabels(rule.measure)) {
    reader.Add(value->at, "match", std::string(core::ToString(rule.measure)) + " has no labels; remove match");
    return;
  }
  MapReader labels(*value, path + ".match", problems);
  for (const std::string& name : LabelNames()) {
    const Node* pattern = labels.Find(name);
    if (pattern == nullptr) continue;
    std::string text;
    labels.String(name, &text);
    if (text.empty()) continue;
    if (rule.measure == Measure::kServiceHealth && name != "service") {
      labels.Add(pattern->at, name, "service.health is of whole services; allowed: service");
      continue;
    }
    const auto matcher = MakeMatcher(text);
    if (!matcher) {
      labels.Add(pattern->at, name, matcher.error());
    } else {
      rule.match.push_back({*FindLabel(name), *matcher});
    }
  }
}

void RuleFields::ReadBy() {
  if (HasLabels(rule.measure)) {
    rule.by = {core::LabelSource::kService};
    if (!core::IsWindow(rule.measure)) rule.by.push_back(core::LabelSource::kOperation);
  }
  const Node* value = reader.Find("by");
  if (value == nullptr) return;
  if (rule.measure == Measure::kServiceHealth) {
    const std::vector<TextItem> items = TextList(*value, path + ".by", problems);
    if (items.size() != 1 || items[0].text != "service")
      reader.Add(value->at, "by", "service.health makes one incident a service; allowed: [service]");
    return;
  }
  rule.by.clear();
  for (const TextItem& item : TextList(*value, path + ".by", problems)) {
    const std::optional<RuleLabel> label = FindLabel(item.text);
    if (!label) {
      reader.Add(item.at, "by",
                 "unknown label " + Quote(item.text) + DidYouMean(item.text, LabelNames()) +
                     "; allowed: " + Join(LabelNames()));
    } else if (!HasLabels(rule.measure)) {
      reader.Add(item.at, "by", std::string(core::ToString(rule.measure)) + " has no labels; remove by");
    } else if (std::find(rule.by.begin(), rule.by.end(), *label) != rule.by.end()) {
      reader.Add(item.at, "by", Quote(item.text) + " is given twice");
    } else {
      rule.by.push_back(*label);
    }
  }
}

void RuleFields::ReadTimes() {
  rule.keep_firing_for_ns = core::IsWindow(rule.measure) ? 0 : 5 * kMinuteNs;
  reader.Duration("keep_firing_for", &rule.keep_firing_for_ns, 0, 30 * kDayNs);
  if (!core::IsWindow(rule.measure)) {
    const std::string name = core::ToString(rule.measure);
    const std::array<const char*, 3> keys = {"for", "window", "min_count"};
    for (const char* key : keys) {
      reader.Hint(key, name + " is judged for each span or trace by itself and fires at once; remove it, or take a " +
                           "measure with a window such as error_rate or duration.avg");
    }
    return;
  }
  reader.Duration("for", &rule.for_ns, 0, kDayNs);
  rule.window_ns = 5 * kMinuteNs;
  if (rule.measure == Measure::kStoreFill || rule.measure == Measure::kServiceHealth) {
    const std::string name = core::ToString(rule.measure);
    for (const char* key : {"window", "min_count"}) reader.Hint(key, name + " is read as it stands; remove it");
    return;
  }
  reader.Duration("window", &rule.window_ns, kSecondNs, kDayNs);
  reader.Whole("min_count", &rule.min_count, 0, 1'000'000'000);
}

void RuleFields::TakeNamedThresholds(const Node& name, const Thresholds& defaults) {
  struct Named {
    const char* name;
    const std::vector<double>& values;
    bool fits;
  };
  const core::Unit unit = core::UnitOf(rule.measure);
  const std::array<Named, 4> all = {{{"$slow", defaults.slow_ns, unit == core::Unit::kNanoseconds},
                                     {"$depth", defaults.depth, rule.measure == Measure::kTraceDepth},
                                     {"$error_rate", defaults.error_rate, unit == core::Unit::kRatio},
                                     {"$memory", defaults.memory_bytes, unit == core::Unit::kBytes}}};
  std::vector<std::string> fitting;
  for (const Named& named : all) {
    if (!named.fits) continue;
    fitting.emplace_back(named.name);
    if (name.text != named.name) continue;
    rule.warning = named.values.at(0);
    rule.critical = named.values.at(1);
    return;
  }
  fitting.emplace_back("a map as in {warning: ..., critical: ...}");
  reader.Add(name.at, "thresholds",
             Quote(name.text) + " does not fit " + core::ToString(rule.measure) + "; allowed: " + Join(fitting));
}

void RuleFields::TakeThresholds(const Node& map) {
  MapReader levels(map, path + ".thresholds", problems);
  bool parsed_all = true;
  const auto take = [&](const char* key, std::optional<double>* out) {
    const Node* value = levels.Find(key);
    if (value == nullptr) return;
    const std::string* text = ScalarText(*value, path + ".thresholds." + key, "a single value", problems);
    const Parsed<double> number =
        text != nullptr ? ParseThreshold(rule.measure, *text) : tl::make_unexpected(std::string());
    if (number) {
      *out = *number;
      return;
    }
    parsed_all = false;
    if (text != nullptr) levels.Add(value->at, key, number.error());
  };
  take("warning", &rule.warning);
  take("critical", &rule.critical);
  if (!parsed_all) return;
  if (!rule.warning && !rule.critical) {
    levels.Add(map.at, "", "no level; give warning, critical, or both");
  } else if (rule.warning && rule.critical) {
    const bool above = rule.direction == core::Direction::kAbove;
    const bool beyond = above ? *rule.critical > *rule.warning : *rule.critical < *rule.warning;
    if (!beyond) {
      levels.Add(levels.Find("critical")->at, "critical",
                 std::string("must be ") + (above ? "larger" : "smaller") +
                     " than warning (direction: " + (above ? "above" : "below") + ")");
    }
  }
}

void RuleFields::ReadThresholds(const Thresholds& defaults) {
  std::size_t direction = 0;
  if (rule.measure == Measure::kServiceHealth) {
    reader.Hint("direction", "service.health fires at its threshold and at what is worse; remove it");
  } else {
    reader.Choice("direction", {"above", "below"}, &direction);
  }
  rule.direction = direction == 0 ? core::Direction::kAbove : core::Direction::kBelow;
  const Node* value = reader.Find("thresholds");
  if (value == nullptr || value->kind == Node::Kind::kNull) {
    reader.Add(value == nullptr ? node.at : value->at, "",
               "thresholds are missing; give for example thresholds: {warning: ..., critical: ...}");
  } else if (value->kind == Node::Kind::kScalar) {
    TakeNamedThresholds(*value, defaults);
  } else {
    TakeThresholds(*value);
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

void RuleFields::CheckLabels() {
  const Node* labels = reader.Find("labels");
  if (labels == nullptr) return;
  for (const Field& field : labels->fields) {
    const bool taken = field.key == "alertname" || field.key == "severity" || FindLabel(field.key);
    if (!taken) continue;
    problems->Add(field.at, path + ".labels: " + Quote(field.key) +
                                " is set by Spanwatch itself (severity by the thresholds); choose another name");
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

std::string Trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// "rule "SlowOperation"" if it has a name, else its place.
std::string RulePath(const Node& node) {
  const Node* alert = node.Find("alert");
  if (alert == nullptr || alert->kind != Node::Kind::kScalar || alert->text.empty()) return "rule";
  return "rule " + Quote(alert->text);
}

}  // namespace

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

std::vector<std::string> CheckTemplate(const std::string& text, const core::Rule& rule) {
  std::vector<std::string> names = {"service", "operation", "value", "threshold", "severity", "count"};
  if (rule.measure == Measure::kServiceHealth) names.emplace_back("issues");
  std::vector<std::string> mistakes;
  std::size_t at = 0;
  while ((at = text.find("{{", at)) != std::string::npos) {
    const std::size_t end = text.find("}}", at);
    if (end == std::string::npos) {
      mistakes.emplace_back("{{ without }}");
      break;
    }
    const std::string name = Trimmed(text.substr(at + 2, end - at - 2));
    at = end + 2;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::size_t dot = name.rfind('.');  // $labels.service, .Value, $value: other programs' spellings
      std::string wanted = dot == std::string::npos ? name : name.substr(dot + 1);
      if (wanted.starts_with("$")) wanted.erase(0, 1);
      mistakes.push_back("unknown name " + Quote(name) + " in {{ }}" + DidYouMean(wanted, names) +
                         "; allowed: " + Join(names));
      continue;
    }
    const std::optional<RuleLabel> label = FindLabel(name);
    if (label && std::find(rule.by.begin(), rule.by.end(), *label) == rule.by.end()) {
      mistakes.push_back("{{ " + name + " }} has no value, because the rule does not group by " + name +
                         "; add it to by, or remove it here");
    }
  }
  return mistakes;
}

}  // namespace spanwatch::config
