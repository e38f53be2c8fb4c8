// What stands in {{ }} of a rule's annotations.
#include <algorithm>

#include "sidecar/config/measures.h"
#include "sidecar/config/rules.h"
#include "sidecar/core/template.h"

namespace spanwatch::config {
namespace {

using core::TemplateFormat;
using core::TemplateFormatName;
using core::Unit;

std::optional<Unit> NumberOf(std::string_view name, const core::Rule& rule) {
  if (name == "value" || name == "worst" || name == "threshold") return core::UnitOf(rule.measure);
  if (name == "count") return Unit::kCount;
  if (name == "window") return Unit::kNanoseconds;
  if (name == "objective") return Unit::kRatio;
  return std::nullopt;
}

bool Fits(TemplateFormat format, Unit unit, bool is_tag) {
  switch (format) {
    case TemplateFormat::kDuration:
    case TemplateFormat::kSeconds:
    case TemplateFormat::kMilliseconds:
      return unit == Unit::kNanoseconds;
    case TemplateFormat::kBytes:
      return unit == Unit::kBytes || is_tag;
    case TemplateFormat::kPercent:
      return unit == Unit::kRatio || is_tag;
    case TemplateFormat::kDollars:
      return unit == Unit::kDollars || is_tag;
    case TemplateFormat::kNumber:
      return unit != Unit::kNanoseconds && unit != Unit::kHealth;
    case TemplateFormat::kHumanize:
      return unit == Unit::kCount || unit == Unit::kPerSecond || unit == Unit::kFactor || unit == Unit::kDollars;
    default:
      return true;
  }
}

// The formats that `name` can have in `rule`, and all their spellings.
struct Formats {
  std::vector<std::string> names, spellings;
};
Formats FormatsOf(std::string_view name, const core::Rule& rule) {
  const std::optional<Unit> unit = NumberOf(name, rule);
  const bool is_tag = rule.measure == core::Measure::kSpanTag && name != "count" && name != "window";
  Formats formats;
  for (const TemplateFormatName& each : core::TemplateFormatNames()) {
    if (!core::IsOfText(each.format) && (!unit || !Fits(each.format, *unit, is_tag))) continue;
    formats.spellings.emplace_back(each.name);
    if (!each.is_synonym) formats.names.emplace_back(each.name);
  }
  return formats;
}

std::vector<std::string> NamesOf(const core::Rule& rule) {
  std::vector<std::string> names;
  for (const core::RuleLabel& label : rule.by) names.push_back(label.Name());
  for (const core::NameValue& label : rule.labels) names.push_back(label.name);
  for (const char* name : {"value", "worst", "threshold", "count", "severity", "alertname", "error", "trace"})
    names.emplace_back(name);
  if (HasWindow(rule.measure)) names.emplace_back("window");
  if (rule.measure == core::Measure::kSloBurnRate) names.emplace_back("objective");
  if (rule.measure == core::Measure::kServiceHealth) names.emplace_back("issues");
  std::vector<std::string> distinct;
  for (std::string& name : names) {
    if (std::find(distinct.begin(), distinct.end(), name) == distinct.end()) distinct.push_back(std::move(name));
  }
  return distinct;
}

bool Has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Other programs' spellings: $labels.service, $value, .Value, .Labels.service, labels.service.
std::string Plain(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  std::string plain(dot == std::string_view::npos ? name : name.substr(dot + 1));
  if (plain.starts_with("$")) plain.erase(0, 1);
  if (plain == "Value") plain = "value";
  return plain;
}

std::string UnknownName(std::string_view name, const core::Rule& rule) {
  const std::vector<std::string> names = NamesOf(rule);
  std::optional<core::RuleLabel> label = FindLabel(name);  // "tag.gen_ai.system" is {{ gen_ai_system }}
  if (!label) label = FindLabel(Plain(name));
  if (label && LabelsOf(rule.measure) == LabelSet::kAll && !Has(names, label->Name())) {
    return "{{ " + label->Name() + " }} has no value, because the rule does not group by " + label->Text() +
           "; add it to by, or remove it here";
  }
  if (label && Has(names, label->Name())) {
    return "unknown name " + Quote(name) + " in {{ }}; write {{ " + label->Name() + " }}";
  }
  const std::size_t space = name.find(' ');
  std::string advice = DidYouMean(Plain(name), names);
  if (space != std::string_view::npos) {
    const std::string_view function = name.substr(0, space);
    const std::string argument = Plain(name.substr(name.rfind(' ') + 1));
    advice = core::FindTemplateFormat(function) && Has(names, argument)
                 ? " (write {{ " + argument + " | " + std::string(function) + " }})"
                 : " (a name, or name | format; there are no functions and no conditions)";
  }
  return "unknown name " + Quote(name) + " in {{ }}" + advice + "; allowed: " + Join(names);
}

std::string WrongFormat(const core::TemplatePiece& piece, const core::Rule& rule) {
  const Formats formats = FormatsOf(piece.name, rule);
  const std::string where(piece.text);
  const std::string allowed = "; allowed: " + Join(formats.names);
  if (piece.format.empty()) return where + ": a format is missing after |" + allowed;
  if (piece.format.find('|') != std::string_view::npos) return where + ": one format at most" + allowed;
  if (core::FindTemplateFormat(piece.format)) {
    return where + ": format " + Quote(piece.format) + " does not fit " + std::string(piece.name) + allowed;
  }
  return where + ": unknown format " + Quote(piece.format) + DidYouMean(std::string(piece.format), formats.spellings) +
         allowed;
}

}  // namespace

std::vector<std::string> CheckTemplate(const std::string& text, const core::Rule& rule) {
  const std::vector<std::string> names = NamesOf(rule);
  std::vector<std::string> mistakes;
  std::string_view rest = text;
  while (!rest.empty()) {
    const core::TemplatePiece piece = core::TakeTemplatePiece(&rest);
    if (!piece.is_value) {
      if (piece.text.find("{{") != std::string_view::npos)
        mistakes.emplace_back("a {{ that no }} ends; allowed: {{ name }}, {{ name | format }}");
    } else if (!Has(names, piece.name)) {
      mistakes.push_back(UnknownName(piece.name, rule));
    } else if (piece.text.find('|') != std::string_view::npos &&
               !Has(FormatsOf(piece.name, rule).spellings, piece.format)) {
      mistakes.push_back(WrongFormat(piece, rule));
    }
  }
  return mistakes;
}

}  // namespace spanwatch::config
