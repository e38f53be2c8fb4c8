// What a rule test expects: `expect`, `transitions`, `messages`.
#include <algorithm>

#include "sidecar/config/measures.h"
#include "sidecar/config/reader.h"
#include "sidecar/rule_test_file.h"

namespace spanwatch::app {
namespace {

using config::MapReader;
using config::Node;

const std::vector<std::string> kSeverities = {"none", "warning", "critical"};
const std::vector<std::string> kActiveStates = {"pending", "firing"};
const std::vector<std::string> kTransitions = {"firing", "escalated", "deescalated", "updated", "resolved"};

const core::Rule* FindRule(const core::RuleSet& rules, const std::string& alert) {
  for (const core::Rule& rule : rules.rules) {
    if (rule.alert == alert) return &rule;
  }
  return nullptr;
}

const core::Rule* ReadAlertName(MapReader* reader, const char* key, const core::RuleSet& rules, std::string* out) {
  reader->String(key, out);
  if (out->empty()) return nullptr;
  const core::Rule* rule = FindRule(rules, *out);
  if (rule != nullptr) return rule;
  std::vector<std::string> names;
  for (const core::Rule& each : rules.rules) {
    if (std::find(names.begin(), names.end(), each.alert) == names.end()) names.push_back(each.alert);
  }
  reader->Add(reader->Find(key)->at, key,
              "no rule has the name " + config::Quote(*out) + config::DidYouMean(*out, names) +
                  "; there are: " + config::Join(names));
  return nullptr;
}

void ReadChoice(MapReader* reader, const char* key, const std::vector<std::string>& allowed,
                std::optional<std::string>* out) {
  if (reader->Find(key) == nullptr) return;
  std::size_t index = 0;
  reader->Choice(key, allowed, &index);
  *out = allowed[index];
}

// Takes a threshold as rules write it ("1.5s", "25%") or the text that people read ("1.5 s", "25 %"); gives the latter.
void ReadValue(MapReader* reader, const core::Rule* rule, std::optional<std::string>* out) {
  const Node* node = reader->Find("value");
  if (node == nullptr) return;
  std::string text;
  reader->String("value", &text);
  *out = text;
  if (rule == nullptr || text.empty()) return;
  const auto value = config::ParseThreshold(rule->measure, text);
  if (value) {
    *out = core::FormatValue(*value, core::UnitOf(rule->measure));
  } else if (text.find(' ') == std::string::npos) {
    reader->Add(node->at, "value", value.error());
  }
}

AlertExpectation ReadAlert(MapReader* reader, const std::string& path, const RuleTestReading& reading) {
  AlertExpectation alert;
  alert.position = reader->node().at;
  if (reader->Find("alert") == nullptr) reader->Add(alert.position, "", "alert is missing: the rule's name");
  const core::Rule* rule = ReadAlertName(reader, "alert", reading.rules, &alert.alert);
  reader->Hint("exp_labels", "promtool's; here it is `labels`");
  reader->Hint("exp_annotations", "promtool's; here it is `annotations`");
  if (const Node* labels = reader->Find("labels")) alert.labels = TextMap(*labels, path + ".labels", reading.problems);
  if (const Node* node = reader->Find("annotations")) {
    alert.annotations = TextMap(*node, path + ".annotations", reading.problems);
  }
  ReadChoice(reader, "severity", kSeverities, &alert.severity);
  ReadValue(reader, rule, &alert.value);
  if (reader->Find("count") != nullptr) {
    std::uint64_t count = 0;
    reader->Whole("count", &count, 0, UINT64_MAX);
    alert.count = count;
  }
  return alert;
}

std::optional<std::int64_t> ReadOptionalTime(MapReader* reader) {
  if (reader->Find("at") == nullptr) return std::nullopt;
  std::int64_t at_ns = 0;
  reader->Duration("at", &at_ns, 0, kMaxTestNs);
  return at_ns;
}

TextExpectation ReadText(MapReader* reader, const std::string& path, const RuleTestReading& reading) {
  TextExpectation text;
  if (reader->Find("title") != nullptr) {
    std::string title;
    reader->String("title", &title);
    text.title = title;
  }
  if (const Node* contains = reader->Find("contains")) {
    for (auto& item : config::TextList(*contains, path + ".contains", reading.problems)) {
      text.contains.push_back(std::move(item.text));
    }
  }
  if (const Node* fields = reader->Find("fields")) text.fields = TextMap(*fields, path + ".fields", reading.problems);
  return text;
}

}  // namespace

void ReadExpectations(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  const auto& items = ListOf(node, path, "a list of {at, alerts}", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    StateExpectation state;
    state.position = items[i].at;
    if (reader.Find("at") == nullptr) reader.Add(items[i].at, "", "at is missing: the time to look, such as 5m");
    reader.Hint("eval_time", "promtool's; here it is `at`");
    reader.Hint("exp_alerts", "promtool's; here it is `alerts`");
    reader.Hint("alertname", "promtool's; here it is `alert`");
    reader.Duration("at", &state.at_ns, 0, kMaxTestNs);
    ReadAlertName(&reader, "alert", reading.rules, &state.alert);
    const Node* alerts = reader.Find("alerts");
    if (alerts == nullptr) {
      reader.Add(items[i].at, "", "alerts is missing; alerts: [] expects none");
      continue;
    }
    const auto& list = ListOf(*alerts, where + ".alerts", "a list of alerts", reading.problems);
    for (std::size_t j = 0; j < list.size(); ++j) {
      const std::string at = where + ".alerts[" + std::to_string(j) + "]";
      MapReader alert(list[j], at, reading.problems);
      if (list[j].kind != Node::Kind::kMap) continue;
      AlertExpectation expected = ReadAlert(&alert, at, reading);
      ReadChoice(&alert, "state", kActiveStates, &expected.state);
      state.alerts.push_back(std::move(expected));
    }
    test->expect.push_back(std::move(state));
  }
  std::stable_sort(test->expect.begin(), test->expect.end(),
                   [](const StateExpectation& a, const StateExpectation& b) { return a.at_ns < b.at_ns; });
}

void ReadTransitions(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  test->transitions.emplace();
  test->transitions_at = node.at;
  const auto& items = ListOf(node, path, "a list of transitions", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    TransitionExpectation transition;
    transition.at_ns = ReadOptionalTime(&reader);
    std::size_t kind = 0;
    if (reader.Find("transition") == nullptr) {
      reader.Add(items[i].at, "", "transition is missing; one of: " + config::Join(kTransitions));
    }
    reader.Choice("transition", kTransitions, &kind);
    transition.transition = kTransitions[kind];
    transition.alert = ReadAlert(&reader, where, reading);
    test->transitions->push_back(std::move(transition));
  }
}

void ReadMessages(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  test->messages.emplace();
  test->messages_at = node.at;
  const auto& items = ListOf(node, path, "a list of messages", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    MessageExpectation message;
    message.position = items[i].at;
    message.at_ns = ReadOptionalTime(&reader);
    message.posted = ReadText(&reader, where, reading);
    if (const Node* last = reader.Find("last")) {
      MapReader end(*last, where + ".last", reading.problems);
      message.last = ReadText(&end, where + ".last", reading);
    }
    test->messages->push_back(std::move(message));
  }
}

}  // namespace spanwatch::app
