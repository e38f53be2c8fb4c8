// Thresholds and direction of a rule.
#include <array>

#include "sidecar/config/measures.h"
#include "sidecar/config/rule_fields.h"

namespace spanwatch::config {

using core::Measure;

void RuleFields::TakeNamedThresholds(const Node& name, const Thresholds& defaults) {
  struct Named {
    const char* name;
    const std::vector<double>& values;
    bool fits;
  };
  const core::Unit unit = core::UnitOf(rule.measure);
  const bool is_silence = rule.measure == Measure::kAbsent || rule.measure == Measure::kProcessSilentFor;
  const bool is_growth = unit == core::Unit::kBytes && rule.measure != Measure::kProcessMemory;
  const std::array<Named, 4> all = {{{"$slow", defaults.slow_ns, unit == core::Unit::kNanoseconds && !is_silence},
                                     {"$depth", defaults.depth, rule.measure == Measure::kTraceDepth},
                                     {"$error_rate", defaults.error_rate, rule.measure == Measure::kErrorRate},
                                     {"$memory", defaults.memory_bytes, is_growth}}};
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
             Quote(name.text) + " does not fit " + MeasureText() + DidYouMean(name.text, fitting) +
                 "; allowed: " + Join(fitting));
}

// Both directions are strict, so some thresholds are beyond what a measure can reach. "": not this one.
std::string RuleFields::WhyNeverCrossed(double threshold) const {
  if (rule.direction == core::Direction::kBelow) {
    const bool may_be_negative = rule.measure == Measure::kSpanMemoryDelta ||
                                 rule.measure == Measure::kTraceMemoryDelta || rule.measure == Measure::kSpanTag;
    return threshold > 0 || may_be_negative ? "" : "never fires: " + MeasureText() + " is never below 0; take more";
  }
  if (rule.measure == Measure::kErrorRate && threshold >= 1)
    return "never fires: it would need more than 100 %; take less, as in 99%";
  if (rule.measure == Measure::kSloBurnRate && rule.objective > 0) {
    const double most = 1 / (1 - rule.objective);  // when every span is bad
    if (threshold >= most * (1 - 1e-9)) {
      return "never fires: when all spans are bad, the burn rate of this objective is " +
             core::FormatValue(most, core::Unit::kCount) + "; take less";
    }
  }
  return "";
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
    if (!number) {
      parsed_all = false;
      if (text != nullptr) levels.Add(value->at, key, number.error());
      return;
    }
    *out = *number;
    const std::string why = WhyNeverCrossed(*number);
    if (!why.empty()) levels.Add(value->at, key, Quote(*text) + " " + why);
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
  } else if (IsOnlyAbove(rule.measure)) {
    reader.Hint("direction", MeasureText() + " fires above its thresholds alone; remove it");
  } else {
    reader.Choice("direction", {"above", "below"}, &direction);
  }
  rule.direction = direction == 0 ? core::Direction::kAbove : core::Direction::kBelow;
  const Node* value = reader.Find("thresholds");
  if (value == nullptr || value->kind == Node::Kind::kNull) {
    if (value == nullptr && node.Find("threshold") != nullptr) return;  // "unknown key, did you mean" says it
    reader.Add(value == nullptr ? node.at : value->at, "",
               "thresholds are missing; give for example thresholds: {warning: ..., critical: ...}");
  } else if (value->kind == Node::Kind::kScalar) {
    TakeNamedThresholds(*value, defaults);
  } else {
    TakeThresholds(*value);
  }
}

}  // namespace spanwatch::config
