// How rules are doing.
#include <algorithm>
#include <numeric>

#include "sidecar/core/alerts.h"
#include "sidecar/core/prices.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::core {
namespace {

std::string ExplainUnpriced(const RuleState& state, const std::string& count) {
  const std::string model =
      state.unpriced_model.empty() ? "a span that names none" : "\"" + state.unpriced_model + "\"";
  return "a span told tokens and no price of its model is known, " + count + " times (the latest: " + model +
         "); they are not in the sum. Add the price to the file that the configuration names under prices";
}

std::string Explain(const RuleState& state) {
  const std::uint64_t times = state.failures[static_cast<std::size_t>(state.failure)];
  const std::string count = std::to_string(times);
  switch (state.failure) {
    case RuleFailure::kGroups:
      return "too many groups: there was no room for another one, " + count +
             " times; what belongs to it is not judged. Group by fewer labels, or by ones with fewer values";
    case RuleFailure::kIncidents:
      return "too many incidents: there was no room for another one, " + count +
             " times. Group by fewer labels, or raise max_incidents";
    case RuleFailure::kNotFinite:
      return "a value was not a finite number, " + count + " times; it was not judged";
    case RuleFailure::kUnpriced:
      return ExplainUnpriced(state, count);
    case RuleFailure::kSketch:
      break;
  }
  return "no room for the durations of a part of the window, " + count + " times: the percentile is of the rest";
}

}  // namespace

void Alerts::Fail(std::int64_t now_ns, std::uint32_t index, RuleFailure failure) {
  RuleState& state = states_[index];
  ++state.failures[static_cast<std::size_t>(failure)];
  state.failure = failure;
  state.failed_ns = now_ns;
}

void Alerts::FailUnpriced(std::int64_t now_ns, std::uint32_t index, std::string_view model) {
  Fail(now_ns, index, RuleFailure::kUnpriced);
  if (states_[index].unpriced_model != model) states_[index].unpriced_model = CutUtf8(model, kMaxModelBytes);
}

std::vector<RuleStatus> Alerts::ShowRules(std::int64_t now_ns) const {
  std::vector<RuleStatus> shown;
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const RuleState& state = states_[i];
    const auto times = [&](RuleFailure failure) { return state.failures[static_cast<std::size_t>(failure)]; };
    RuleStatus status;
    status.group = rule(i).group;
    status.alert = rule(i).alert;
    status.ok = state.failed_ns == 0 || now_ns - state.failed_ns >= kRuleFailureShownNs;
    if (!status.ok) status.last_error = Explain(state);
    status.evaluations = state.evaluations;
    status.last_evaluation_ns = state.evaluated_ns;
    status.failures = std::accumulate(state.failures.begin(), state.failures.end(), std::uint64_t{0});
    status.groups = state.groups;
    status.dropped_groups = times(RuleFailure::kGroups);
    status.dropped_incidents = times(RuleFailure::kIncidents);
    status.unpriced_spans = times(RuleFailure::kUnpriced);
    shown.push_back(std::move(status));
  }
  return shown;
}

}  // namespace spanwatch::core
