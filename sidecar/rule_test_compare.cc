// What a rule test expected against what it got.
#include <algorithm>
#include <cstdlib>
#include <functional>

#include "sidecar/rule_test_run.h"

namespace spanwatch::app {
namespace {

const std::string* Find(const std::vector<core::NameValue>& pairs, const std::string& name) {
  for (const core::NameValue& pair : pairs) {
    if (pair.name == name) return &pair.value;
  }
  return nullptr;
}

bool HasAll(const std::vector<core::NameValue>& expected, const std::vector<core::NameValue>& got) {
  return std::all_of(expected.begin(), expected.end(), [&](const core::NameValue& pair) {
    const std::string* value = Find(got, pair.name);
    return value == nullptr ? pair.value.empty() : *value == pair.value;
  });
}

bool Fits(const AlertExpectation& expected, const core::Incident& got) {
  return expected.alert == got.alertname && HasAll(expected.labels, got.labels) &&
         HasAll(expected.annotations, got.annotations) &&
         (!expected.severity || *expected.severity == core::ToString(got.severity)) &&
         (!expected.state || *expected.state == core::ToString(got.state)) &&
         (!expected.value || *expected.value == core::FormatValue(got.value, got.unit)) &&
         (!expected.count || *expected.count == got.count);
}

std::string Text(const AlertExpectation& expected) {
  std::string text = expected.alert + "{";
  for (const core::NameValue& label : expected.labels) {
    text += (text.back() == '{' ? "" : ", ") + label.name + "=\"" + label.value + "\"";
  }
  text += "}";
  for (const auto& part : {expected.severity, expected.state, expected.value}) {
    if (part) text += " " + *part;
  }
  if (expected.count) text += " (count " + std::to_string(*expected.count) + ")";
  for (const core::NameValue& pair : expected.annotations) text += "\n    " + pair.name + ": " + pair.value;
  return text;
}

// What was got, with those details that the expectations of its alert name too.
std::string Text(const core::Incident& got, const std::vector<const AlertExpectation*>& expected) {
  std::string text = IncidentText(got);
  bool count = false, annotations = false;
  for (const AlertExpectation* each : expected) {
    if (each->alert != got.alertname) continue;
    count = count || each->count.has_value();
    annotations = annotations || !each->annotations.empty();
  }
  if (count) text += " (count " + std::to_string(got.count) + ")";
  if (annotations) {
    for (const core::NameValue& pair : got.annotations) text += "\n    " + pair.name + ": " + pair.value;
  }
  return text;
}

// Pairs as many of `expected` with `got` as possible; the partner of each, or -1.
std::vector<int> Match(std::size_t expected, std::size_t got,
                       const std::function<bool(std::size_t, std::size_t)>& fits) {
  std::vector<int> owner(got, -1);
  std::vector<bool> seen;
  const std::function<bool(std::size_t)> take = [&](std::size_t e) {
    for (std::size_t g = 0; g < got; ++g) {
      if (seen[g] || !fits(e, g)) continue;
      seen[g] = true;
      if (owner[g] < 0 || take(static_cast<std::size_t>(owner[g]))) {
        owner[g] = static_cast<int>(e);
        return true;
      }
    }
    return false;
  };
  std::vector<int> partner(expected, -1);
  for (std::size_t e = 0; e < expected; ++e) {
    seen.assign(got, false);
    take(e);
  }
  for (std::size_t g = 0; g < got; ++g) {
    if (owner[g] >= 0) partner[static_cast<std::size_t>(owner[g])] = static_cast<int>(g);
  }
  return partner;
}

bool IsOne(const std::optional<std::int64_t>& at_ns, std::int64_t got_ns) {
  return !at_ns || std::abs(kTestStartNs + *at_ns - got_ns) < core::kTickNs;
}

std::string TransitionText(const core::Transition& got) {
  return TestTime(got.at_ns) + " " + core::ToString(got.kind) + " " + IncidentText(got.incident);
}

std::string TransitionText(const TransitionExpectation& expected) {
  const std::string at = expected.at_ns ? TestTime(kTestStartNs + *expected.at_ns) + " " : "";
  return at + expected.transition + " " + Text(expected.alert);
}

// What `expected` misses in `got`, as lines.
void CompareText(const TextExpectation& expected, const ShownMessage& got, const std::string& when,
                 std::vector<TestFailure::Line>* lines) {
  if (expected.title && *expected.title != got.title) {
    lines->push_back({'-', when + "title: " + *expected.title});
    lines->push_back({'+', when + "title: " + got.title});
  }
  for (const core::NameValue& field : expected.fields) {
    const auto found =
        std::find_if(got.fields.begin(), got.fields.end(), [&](const auto& each) { return each.first == field.name; });
    if (found != got.fields.end() && found->second == field.value) continue;
    lines->push_back({'-', when + field.name + ": " + field.value});
    if (found != got.fields.end()) lines->push_back({'+', when + field.name + ": " + found->second});
  }
  const std::string whole = MessageText(got, "", false);
  for (const std::string& part : expected.contains) {
    if (whole.find(part) == std::string::npos) lines->push_back({'-', when + "contains: " + part});
  }
}

void AddMessage(const PreviewMessage& message, char sign, std::vector<TestFailure::Line>* lines) {
  lines->push_back({sign, MessageText(message.posted, "posted at " + TestTime(message.posted.at_ns), false)});
}

}  // namespace

void CompareStates(const StateExpectation& expected, const std::vector<core::Incident>& incidents,
                   TestOutcome* outcome) {
  std::vector<const core::Incident*> got;
  for (const core::Incident& incident : incidents) {
    const bool active = incident.state == core::AlertState::kPending || incident.state == core::AlertState::kFiring;
    if (active && (expected.alert.empty() || expected.alert == incident.alertname)) got.push_back(&incident);
  }
  const std::vector<int> partner = Match(expected.alerts.size(), got.size(), [&](std::size_t e, std::size_t g) {
    return Fits(expected.alerts[e], *got[g]);
  });
  std::vector<bool> matched(got.size(), false);
  for (const int g : partner) {
    if (g >= 0) matched[static_cast<std::size_t>(g)] = true;
  }
  const bool all = std::find(partner.begin(), partner.end(), -1) == partner.end();
  if (all && std::find(matched.begin(), matched.end(), false) == matched.end()) return;
  TestFailure failure;
  failure.position = expected.position;
  failure.what = "at " + TestTime(kTestStartNs + expected.at_ns) + " other alerts are active than expected";
  std::vector<const AlertExpectation*> expectations;
  for (std::size_t e = 0; e < partner.size(); ++e) {
    expectations.push_back(&expected.alerts[e]);
    failure.lines.push_back({partner[e] < 0 ? '-' : ' ', Text(expected.alerts[e])});
  }
  for (std::size_t g = 0; g < got.size(); ++g) {
    if (!matched[g]) failure.lines.push_back({'+', Text(*got[g], expectations)});
  }
  outcome->failures.push_back(std::move(failure));
}

void CompareTransitions(const RuleTest& test, TestOutcome* outcome) {
  if (!test.transitions) return;
  const auto& expected = *test.transitions;
  const bool with_updates = std::any_of(expected.begin(), expected.end(),
                                        [](const TransitionExpectation& e) { return e.transition == "updated"; });
  std::vector<const core::Transition*> got;
  for (const core::Transition& transition : outcome->transitions) {
    if (with_updates || transition.kind != core::TransitionKind::kUpdated) got.push_back(&transition);
  }
  const auto fits = [&](std::size_t e, std::size_t g) {
    return expected[e].transition == core::ToString(got[g]->kind) && IsOne(expected[e].at_ns, got[g]->at_ns) &&
           Fits(expected[e].alert, got[g]->incident);
  };
  // In order: at each place the expected one, or a difference.
  TestFailure failure{test.transitions_at, "other transitions than expected", {}};
  bool differ = false;
  std::size_t g = 0;
  for (std::size_t e = 0; e < expected.size(); ++e) {
    std::size_t at = g;
    while (at < got.size() && !fits(e, at)) ++at;
    if (at == got.size()) {
      failure.lines.push_back({'-', TransitionText(expected[e])});
      differ = true;
      continue;
    }
    for (; g < at; ++g) {
      failure.lines.push_back({'+', TransitionText(*got[g])});
      differ = true;
    }
    failure.lines.push_back({' ', TransitionText(*got[g++])});
  }
  for (; g < got.size(); ++g) {
    failure.lines.push_back({'+', TransitionText(*got[g])});
    differ = true;
  }
  if (differ) outcome->failures.push_back(std::move(failure));
}

void CompareMessages(const RuleTest& test, TestOutcome* outcome) {
  if (!test.messages) return;
  const auto& expected = *test.messages;
  const auto& got = outcome->messages;
  for (std::size_t i = 0; i < std::min(expected.size(), got.size()); ++i) {
    TestFailure failure{expected[i].position, "message " + std::to_string(i + 1) + " is another than expected", {}};
    if (!IsOne(expected[i].at_ns, got[i].posted.at_ns)) {
      failure.lines.push_back({'-', "posted at " + TestTime(kTestStartNs + *expected[i].at_ns)});
      failure.lines.push_back({'+', "posted at " + TestTime(got[i].posted.at_ns)});
    }
    CompareText(expected[i].posted, got[i].posted, "", &failure.lines);
    const std::size_t before = failure.lines.size();
    if (expected[i].last) CompareText(*expected[i].last, got[i].last, "at last, ", &failure.lines);
    if (failure.lines.empty()) continue;
    if (before > 0) AddMessage(got[i], ' ', &failure.lines);
    if (before < failure.lines.size() && expected[i].last) {
      const ShownMessage& last = got[i].last;
      failure.lines.push_back({' ', MessageText(last, "as it stood from " + TestTime(last.at_ns) + " on", false)});
    }
    outcome->failures.push_back(std::move(failure));
  }
  if (expected.size() == got.size()) return;
  TestFailure failure{test.messages_at, "", {}};
  failure.what = std::to_string(expected.size()) + " messages expected, " + std::to_string(got.size()) + " posted";
  for (std::size_t i = got.size(); i < expected.size(); ++i) {
    failure.lines.push_back({'-', expected[i].posted.title.value_or("message " + std::to_string(i + 1))});
  }
  for (std::size_t i = expected.size(); i < got.size() && i < expected.size() + 10; ++i) {
    AddMessage(got[i], '+', &failure.lines);
  }
  outcome->failures.push_back(std::move(failure));
}

}  // namespace spanwatch::app
