// What a rule applies to, and what its groups are called.
#include <algorithm>

#include "sidecar/core/alerts.h"

namespace spanwatch::core {

std::string_view Alerts::LabelText(const RuleLabel& label, const Subject& subject) const {
  if (subject.operation == kNone) return "";
  const Operation& operation = catalog_->operation(subject.operation);
  switch (label.source) {
    case LabelSource::kService:
      return catalog_->service_name(operation.service);
    case LabelSource::kOperation:
      return operation.name;
    case LabelSource::kKind:
      return ToString(subject.kind);
    case LabelSource::kStatus:
      return ToString(subject.status);
    case LabelSource::kTag:
      break;
  }
  return "";
}

bool Alerts::Applies(const Rule& rule, const Subject& subject) const {
  return std::all_of(rule.match.begin(), rule.match.end(), [&](const LabelMatcher& matcher) {
    return matcher.label.source == LabelSource::kTag || matcher.pattern->Matches(LabelText(matcher.label, subject));
  });
}

bool Alerts::TagsApply(const Rule& rule, const TagSource& tags) {
  return std::all_of(rule.match.begin(), rule.match.end(), [&](const LabelMatcher& matcher) {
    return matcher.label.source != LabelSource::kTag || matcher.pattern->Matches(tags.Text(matcher.label.tag));
  });
}

bool Alerts::ServiceApplies(const Rule& rule, std::string_view service) const {
  return std::all_of(rule.match.begin(), rule.match.end(), [&](const LabelMatcher& matcher) {
    return matcher.pattern->Matches(matcher.label.source == LabelSource::kService ? service : std::string_view());
  });
}

std::string Alerts::TextsOf(std::uint32_t index, const Subject& subject, const TagSource& tags) const {
  std::string texts;
  if (!infos_[index].keeps_texts) return texts;
  CodecWriter out(&texts);
  for (const RuleLabel& label : rule(index).by) {
    if (label.source == LabelSource::kTag) {
      out.Text(tags.Text(label.tag));
    } else {
      out.Text(LabelText(label, subject));
    }
  }
  return texts;
}

std::string Alerts::ServiceTexts(std::uint32_t index, std::string_view service) const {
  std::string texts;
  CodecWriter out(&texts);
  for (const RuleLabel& label : rule(index).by)
    out.Text(label.source == LabelSource::kService ? service : std::string_view());
  return texts;
}

std::uint64_t Alerts::KeyOf(std::uint32_t index, const Subject& subject, std::string_view texts) const {
  std::uint64_t key = TableSeed() + index;
  if (infos_[index].keeps_texts) {
    key = XXH3_64bits_withSeed(texts.data(), texts.size(), key);
  } else {
    for (const RuleLabel& label : rule(index).by) {
      const std::string_view text = LabelText(label, subject);
      key = XXH3_64bits_withSeed(text.data(), text.size(), key);
    }
  }
  return XXH3_64bits_withSeed(&key, sizeof key, index);
}

std::vector<NameValue> Alerts::LabelsOf(std::uint32_t index, const Subject& subject, std::string_view texts) const {
  std::vector<NameValue> labels;
  CodecReader in(texts);
  for (const RuleLabel& label : rule(index).by) {
    const std::string_view text = infos_[index].keeps_texts ? in.Text() : LabelText(label, subject);
    labels.push_back({label.Name(), std::string(text)});
  }
  return labels;
}

}  // namespace spanwatch::core
