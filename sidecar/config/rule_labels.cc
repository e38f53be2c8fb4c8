// What a rule matches and groups by, and the labels it adds.
#include <algorithm>

#include "sidecar/config/matcher.h"
#include "sidecar/config/measures.h"
#include "sidecar/config/rule_fields.h"

namespace spanwatch::config {
namespace {

using core::LabelSource;
using core::Measure;
using core::RuleLabel;

// Names that incidents' labels have from Spanwatch itself.
bool IsOwnLabel(const std::string& name) {
  return name == "alertname" || name == "severity" || name == "service" || name == "operation" || name == "kind" ||
         name == "status";
}

std::vector<std::string> LabelNamesOf(Measure measure) {
  return LabelsOf(measure) == LabelSet::kAll ? LabelNames() : std::vector<std::string>{"service"};
}

std::string NoLabels(Measure measure, const char* key) {
  return std::string(core::ToString(measure)) + " has no labels; remove " + key;
}

std::string OnlyService(Measure measure) {
  return std::string(core::ToString(measure)) + " is of whole services; allowed: service";
}

// "gen_ai.system" can only be meant as a tag.
std::string TagHint(const std::string& name) {
  return name.find('.') == std::string::npos || name.starts_with("tag.")
             ? ""
             : "; a tag has tag. before its name: tag." + name.substr(0, 60);
}

}  // namespace

void RuleFields::ReadMatch() {
  const Node* value = reader.Find("match");
  if (value == nullptr) return;
  if (LabelsOf(rule.measure) == LabelSet::kNone) {
    reader.Add(value->at, "match", NoLabels(rule.measure, "match"));
    return;
  }
  MapReader labels(*value, path + ".match", problems);
  for (const std::string& name : LabelNamesOf(rule.measure)) labels.Find(name);
  if (value->fields.size() > kMaxRuleMatch)
    labels.Add(value->at, "", "more than " + std::to_string(kMaxRuleMatch) + " patterns");
  for (const Field& field : value->fields) ReadMatcher(&labels, field);
  // The order of the text means nothing: the same patterns are the same rule.
  const auto number = [](const RuleLabel& label) { return std::pair(label.source, std::string_view(label.tag)); };
  std::sort(rule.match.begin(), rule.match.end(),
            [&](const auto& a, const auto& b) { return number(a.label) < number(b.label); });
}

void RuleFields::ReadMatcher(MapReader* labels, const Field& field) {
  const std::optional<RuleLabel> label = FindLabel(field.key);
  if (!label) {
    if (field.key.starts_with("tag.")) {
      labels->Hint(field.key, "no name of a tag; allowed: tag.NAME, at most 128 bytes without spaces or brackets");
    } else if (const std::string hint = TagHint(field.key); !hint.empty()) {
      labels->Hint(field.key, "unknown label" + hint);
    }
    return;  // the reader reports other unknown keys
  }
  labels->Find(field.key);
  if (LabelsOf(rule.measure) == LabelSet::kService && label->source != LabelSource::kService) {
    labels->Add(field.value.at, field.key, OnlyService(rule.measure));
    return;
  }
  const std::string* text = ScalarText(field.value, path + ".match." + field.key, "a pattern", problems);
  if (text == nullptr) return;
  if (text->empty() && label->source != LabelSource::kTag) {
    labels->Add(field.value.at, field.key, "must not be empty");
    return;
  }
  const auto matcher = MakeMatcher(*text);
  if (!matcher) {
    labels->Add(field.value.at, field.key, matcher.error());
    return;
  }
  const std::vector<std::string> values = ValuesOf(label->source);
  const auto matches = [&](const std::string& each) { return (*matcher)->Matches(each); };
  if (!values.empty() && std::none_of(values.begin(), values.end(), matches)) {
    labels->Add(
        field.value.at, field.key,
        Quote(*text) + " matches no " + label->Text() + DidYouMean(*text, values) + "; allowed: " + Join(values));
    return;
  }
  rule.match.push_back({*label, *matcher});
}

void RuleFields::ReadBy() {
  if (LabelsOf(rule.measure) != LabelSet::kNone) {
    rule.by = {LabelSource::kService};
    if (!core::IsWindow(rule.measure)) rule.by.push_back(LabelSource::kOperation);
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
  TakeBy(*value);
  CheckByNames(*value);
}

void RuleFields::TakeBy(const Node& value) {
  for (const TextItem& item : TextList(value, path + ".by", problems)) {
    const std::optional<RuleLabel> label = FindLabel(item.text);
    if (LabelsOf(rule.measure) == LabelSet::kNone) {
      reader.Add(item.at, "by", NoLabels(rule.measure, "by"));
    } else if (!label) {
      const std::vector<std::string> names = LabelNamesOf(rule.measure);
      reader.Add(item.at, "by",
                 "unknown label " + Quote(item.text) + DidYouMean(item.text, names) + "; allowed: " + Join(names) +
                     TagHint(item.text));
    } else if (LabelsOf(rule.measure) == LabelSet::kService && label->source != LabelSource::kService) {
      reader.Add(item.at, "by", Quote(item.text) + ": " + OnlyService(rule.measure));
    } else if (std::find(rule.by.begin(), rule.by.end(), *label) != rule.by.end()) {
      reader.Add(item.at, "by", Quote(item.text) + " is given twice");
    } else {
      rule.by.push_back(*label);
    }
  }
  if (rule.by.size() > kMaxRuleBy) reader.Add(value.at, "by", "more than " + std::to_string(kMaxRuleBy) + " labels");
}

// Incidents carry tags under names of labels, which must stay apart.
void RuleFields::CheckByNames(const Node& value) {
  for (std::size_t i = 0; i < rule.by.size(); ++i) {
    const std::string name = rule.by[i].Name();
    if (rule.by[i].source == LabelSource::kTag && IsOwnLabel(name)) {
      reader.Add(value.at, "by",
                 Quote(rule.by[i].Text()) + " would be the label \"" + name + "\", which Spanwatch sets itself");
      continue;
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (rule.by[j].Name() != name || rule.by[i].source != LabelSource::kTag) continue;
      reader.Add(value.at, "by",
                 Quote(rule.by[j].Text()) + " and " + Quote(rule.by[i].Text()) + " would both be the label \"" + name +
                     "\"; keep one of them");
    }
  }
}

void RuleFields::CheckLabels() {
  const Node* labels = reader.Find("labels");
  if (labels == nullptr) return;
  for (const Field& field : labels->fields) {
    const auto same = std::find_if(rule.by.begin(), rule.by.end(), [&](const RuleLabel& label) {
      return label.source == LabelSource::kTag && label.Name() == field.key;
    });
    if (IsOwnLabel(field.key)) {
      problems->Add(field.at, path + ".labels: " + Quote(field.key) +
                                  " is set by Spanwatch itself (severity by the thresholds); choose another name");
    } else if (same != rule.by.end()) {
      problems->Add(field.at, path + ".labels: " + Quote(field.key) + " is the label of " + Quote(same->Text()) +
                                  " in by; choose another name");
    }
    if (field.value.kind == Node::Kind::kScalar && field.value.text.find("{{") != std::string::npos) {
      problems->Add(field.value.at, path + ".labels." + field.key +
                                        ": labels are fixed texts, an incident is found by them; put {{ }} into "
                                        "annotations, or a tag into by, as in by: [service, tag.NAME]");
    }
  }
}

}  // namespace spanwatch::config
