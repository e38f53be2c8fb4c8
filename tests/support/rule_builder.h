// Rules, matchers and spans as tests of rules write them.
#ifndef SPANWATCH_TESTS_SUPPORT_RULE_BUILDER_H_
#define SPANWATCH_TESTS_SUPPORT_RULE_BUILDER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/core/rule_status.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {

class Exactly : public StringMatcher {
 public:
  explicit Exactly(std::string text) : text_(std::move(text)) {}
  bool Matches(std::string_view text) const override { return text == text_; }
  std::optional<std::string_view> Literal() const override { return text_; }

 private:
  std::string text_;
};

class BeginsWith : public StringMatcher {
 public:
  explicit BeginsWith(std::string text) : text_(std::move(text)) {}
  bool Matches(std::string_view text) const override { return text.starts_with(text_); }

 private:
  std::string text_;
};

inline LabelMatcher Is(RuleLabel label, std::string text) {
  return {std::move(label), std::make_shared<Exactly>(std::move(text))};
}
inline LabelMatcher Begins(RuleLabel label, std::string text) {
  return {std::move(label), std::make_shared<BeginsWith>(std::move(text))};
}

inline Rule EventRule(Measure measure, double warning, double critical) {
  Rule rule;
  rule.group = "g";
  rule.alert = "Alert";
  rule.measure = measure;
  rule.by = {LabelSource::kService, LabelSource::kOperation};
  rule.warning = warning;
  rule.critical = critical;
  rule.keep_firing_for_ns = 5 * kMinute;
  rule.annotations = {{"summary", "{{ operation }} took {{ value }}, {{count}} times, {{ nonsense }}"}};
  return rule;
}

// By service, over five minutes, at once.
inline Rule WindowRule(Measure measure, double warning, double critical) {
  Rule rule = EventRule(measure, warning, critical);
  rule.by = {LabelSource::kService};
  rule.window_ns = 5 * kMinute;
  rule.keep_firing_for_ns = 0;
  return rule;
}

inline std::shared_ptr<const RuleSet> Set(std::vector<Rule> rules) {
  auto set = std::make_shared<RuleSet>();
  set->rules = std::move(rules);
  return set;
}

// The value of an incident's label; "-" if it has none of that name.
inline std::string LabelOf(const Incident& incident, std::string_view name) {
  for (const NameValue& label : incident.labels) {
    if (label.name == name) return label.value;
  }
  return "-";
}

}  // namespace spanwatch::core

#endif  // SPANWATCH_TESTS_SUPPORT_RULE_BUILDER_H_
