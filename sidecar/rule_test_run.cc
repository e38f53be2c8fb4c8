#include "sidecar/rule_test_run.h"

#include <algorithm>

#include "sidecar/config/units.h"
#include "sidecar/rule_test_traffic.h"

namespace spanwatch::app {
namespace {

constexpr std::int64_t kStepNs = 1'000'000'000;
constexpr std::size_t kMaxMessages = 10'000;
constexpr const char* kExternalUrl = "http://localhost:9464";

class Runner {
 public:
  Runner(const RuleTest& test, const core::Limits& limits)
      : test_(test),
        engine_(limits, test.rules),
        traffic_(test, kTestStartNs),
        preview_(kExternalUrl, &engine_, kMaxMessages) {}

  TestOutcome Run() {
    const std::int64_t end_ns = kTestStartNs + test_.end_ns;
    std::int64_t now_ns = kTestStartNs;
    PassTime(now_ns);
    std::size_t next_check = 0;
    while (true) {
      if (traffic_.NextNs() <= now_ns) {
        traffic_.ApplyNext(&engine_);
        Collect(now_ns);
        continue;
      }
      while (next_check < test_.expect.size() && kTestStartNs + test_.expect[next_check].at_ns <= now_ns) {
        CompareStates(test_.expect[next_check++], engine_.Incidents(), &outcome_);
      }
      if (now_ns >= end_ns) break;
      std::int64_t next_ns = std::min({end_ns, now_ns + kStepNs, traffic_.NextNs()});
      if (next_check < test_.expect.size()) {
        next_ns = std::min(next_ns, kTestStartNs + test_.expect[next_check].at_ns);
      }
      now_ns = next_ns;
      PassTime(now_ns);
    }
    outcome_.messages = preview_.messages();
    CompareTransitions(test_, &outcome_);
    CompareMessages(test_, &outcome_);
    if (!traffic_.problem().empty()) outcome_.failures.push_back({test_.position, traffic_.problem(), {}});
    return std::move(outcome_);
  }

 private:
  void PassTime(std::int64_t now_ns) {
    engine_.Apply({0, now_ns, core::RecordKind::kTime, 0}, {});
    Collect(now_ns);
  }

  void Collect(std::int64_t now_ns) {
    engine_.TakeCompleted();
    for (core::Transition& transition : engine_.TakeTransitions()) {
      preview_.Add(transition);
      outcome_.transitions.push_back(std::move(transition));
    }
    preview_.RunUntil(now_ns);
  }

  const RuleTest& test_;
  core::Engine engine_;
  TestTraffic traffic_;
  DiscordPreview preview_;
  TestOutcome outcome_;
};

}  // namespace

std::string TestTime(std::int64_t engine_ns) {
  const std::int64_t ms = (engine_ns - kTestStartNs) / 1'000'000;
  return ms == 0 ? "0s" : config::DurationText(ms * 1'000'000);
}

std::string IncidentText(const core::Incident& incident) {
  std::string text = incident.alertname + "{";
  for (const core::NameValue& label : incident.labels) {
    text += (text.back() == '{' ? "" : ", ") + label.name + "=\"" + label.value + "\"";
  }
  return text + "} " + core::ToString(incident.severity) + " " + core::ToString(incident.state) + " " +
         core::FormatValue(incident.value, incident.unit);
}

TestOutcome RunRuleTest(const RuleTest& test, const core::Limits& limits) { return Runner(test, limits).Run(); }

}  // namespace spanwatch::app
