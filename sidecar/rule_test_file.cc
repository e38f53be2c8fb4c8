#include "sidecar/rule_test_file.h"

#include <algorithm>
#include <set>

#include "sidecar/config/reader.h"
#include "sidecar/config/rules.h"
#include "sidecar/config/settings.h"
#include "sidecar/rule_files.h"

namespace spanwatch::app {
namespace {

using config::Field;
using config::MapReader;
using config::Node;
using config::Position;
using config::Problems;

constexpr std::int64_t kMinute = 60'000'000'000;

Node MakeNode(Node::Kind kind, const Position& at) {
  Node node;
  node.kind = kind;
  node.at = at;
  return node;
}

// `rules:` of the test file as a rule file with one group.
Node AsRuleFile(const Node& rules) {
  Node name = MakeNode(Node::Kind::kScalar, rules.at);
  name.text = "test";
  Node group = MakeNode(Node::Kind::kMap, rules.at);
  group.fields.push_back({"name", rules.at, std::move(name)});
  group.fields.push_back({"rules", rules.at, rules});
  Node groups = MakeNode(Node::Kind::kList, rules.at);
  groups.items.push_back(std::move(group));
  Node root = MakeNode(Node::Kind::kMap, rules.at);
  root.fields.push_back({"groups", rules.at, std::move(groups)});
  return root;
}

// The sections that mean what they mean in a configuration.
config::Config ReadSections(MapReader* file, Problems* problems) {
  Node root = MakeNode(Node::Kind::kMap, file->node().at);
  for (const char* key : {"thresholds", "store", "prices"}) {
    if (const Node* node = file->Find(key)) root.fields.push_back({key, node->at, *node});
  }
  return config::ReadSettings(root, {false, false}, problems).config;
}

core::RuleSet ReadRules(MapReader* file, const config::Thresholds& thresholds, Problems* problems) {
  config::RuleReader reader(thresholds, problems);
  const Node* files = file->Find("rule_files");
  const Node* rules = file->Find("rules");
  if (files == nullptr && rules == nullptr) {
    problems->Add(file->node().at, "no rules; name them by rule_files: [...], or write them under rules:");
  }
  if (files != nullptr) {
    for (const config::TextItem& item : config::TextList(*files, "rule_files", problems)) {
      const std::string pattern = config::ResolvePath(item.text, item.at);
      const std::vector<std::string> paths = config::ExpandPattern(pattern);
      if (paths.empty()) problems->Add(item.at, "rule_files: no file matches " + config::Quote(pattern));
      for (const std::string& path : paths) {
        const auto root = config::ParseYamlFile(path, item.at, problems);
        if (root) reader.ReadFile(*root);
      }
    }
  }
  if (rules != nullptr) reader.ReadFile(AsRuleFile(*rules));
  return reader.Take();
}

std::vector<std::string> AlertNames(const core::RuleSet& rules) {
  std::set<std::string> names;
  for (const core::Rule& rule : rules.rules) names.insert(rule.alert);
  return {names.begin(), names.end()};
}

// The rules that `only` names, or all.
std::shared_ptr<const core::RuleSet> Choose(const Node* only, const std::string& path,
                                            const std::shared_ptr<const core::RuleSet>& all, Problems* problems) {
  if (only == nullptr) return all;
  auto chosen = std::make_shared<core::RuleSet>();
  const std::vector<std::string> names = AlertNames(*all);
  for (const config::TextItem& item : config::TextList(*only, path + ".only", problems)) {
    if (std::find(names.begin(), names.end(), item.text) == names.end()) {
      problems->Add(item.at, path + ".only: no rule has the name " + config::Quote(item.text) +
                                 config::DidYouMean(item.text, names) + "; there are: " + config::Join(names));
    }
    for (const core::Rule& rule : all->rules) {
      if (rule.alert == item.text) chosen->rules.push_back(rule);
    }
  }
  return chosen;
}

// Up to its `until`; without, a minute after the last time that it names.
void FindEnd(MapReader* reader, RuleTest* test) {
  std::int64_t last = 0;
  for (const SpanEntry& span : test->spans) last = std::max(last, LastArrival(span));
  for (const ProcessEntry& process : test->processes) last = std::max({last, process.at_ns, process.until_ns});
  for (const LossEntry& loss : test->losses) last = std::max(last, loss.at_ns);
  std::int64_t named = last;
  for (const StateExpectation& state : test->expect) named = std::max(named, state.at_ns);
  if (test->transitions) {
    for (const auto& transition : *test->transitions) named = std::max(named, transition.at_ns.value_or(0));
  }
  if (test->messages) {
    for (const auto& message : *test->messages) named = std::max(named, message.at_ns.value_or(0));
  }
  test->end_ns = std::min(named + kMinute, kMaxTestNs);
  reader->Duration("until", &test->end_ns, 1, kMaxTestNs);
  if (const Node* until = reader->Find("until"); until != nullptr && test->end_ns < named) {
    reader->Add(until->at, "until", "the test names a later time, " + config::DurationText(named));
    test->end_ns = named;
  }
}

RuleTest ReadTest(const Node& node, const std::string& path, const std::shared_ptr<const core::RuleSet>& rules,
                  Problems* problems) {
  RuleTest test;
  test.position = node.at;
  test.rules = rules;
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap) return test;
  for (const char* key : {"input_series", "promql_expr_test"}) {
    reader.Hint(key, "promtool's; here a test has `spans:`, see docs/rule-tests.md");
  }
  reader.Hint("alert_rule_test", "promtool's; here it is `expect: [{at: 5m, alerts: [...]}]`");
  reader.Hint("interval", "not needed: every span has a time of its own");
  if (reader.Find("name") == nullptr) reader.Add(node.at, "", "name is missing; say what the test shows");
  reader.String("name", &test.name);
  test.rules = Choose(reader.Find("only"), path, rules, problems);
  const RuleTestReading reading{*test.rules, problems};
  if (const Node* spans = reader.Find("spans")) ReadSpans(*spans, path + ".spans", reading, &test);
  if (const Node* list = reader.Find("processes")) ReadProcesses(*list, path + ".processes", reading, &test);
  if (const Node* lost = reader.Find("lost")) ReadLosses(*lost, path + ".lost", reading, &test);
  const Node* expect = reader.Find("expect");
  const Node* transitions = reader.Find("transitions");
  const Node* messages = reader.Find("messages");
  if (expect == nullptr && transitions == nullptr && messages == nullptr) {
    reader.Add(node.at, "", "nothing is expected; add expect, transitions or messages");
  }
  if (expect != nullptr) ReadExpectations(*expect, path + ".expect", reading, &test);
  if (transitions != nullptr) ReadTransitions(*transitions, path + ".transitions", reading, &test);
  if (messages != nullptr) ReadMessages(*messages, path + ".messages", reading, &test);
  FindEnd(&reader, &test);
  return test;
}

}  // namespace

const std::vector<Node>& ListOf(const Node& node, const std::string& path, const char* what, Problems* problems) {
  if (node.kind != Node::Kind::kList && node.kind != Node::Kind::kNull) {
    problems->Add(node.at, path + ": expected " + what + ", found " + config::KindName(node.kind));
  }
  return node.items;
}

std::vector<core::NameValue> TextMap(const Node& node, const std::string& path, Problems* problems) {
  std::vector<core::NameValue> pairs;
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull) {
    problems->Add(node.at, path + ": expected a map of texts, found " + config::KindName(node.kind));
  }
  for (const Field& field : node.fields) {
    const std::string* text = config::ScalarText(field.value, path + "." + field.key, "a text", problems);
    if (text != nullptr) pairs.push_back({field.key, *text});
  }
  return pairs;
}

tl::expected<RuleTestFile, std::vector<config::Problem>> ReadRuleTests(const std::string& path) {
  Problems problems;
  RuleTestFile result;
  const auto root = config::ParseYamlFile(path, {}, &problems);
  if (root) {
    MapReader file(*root, "", &problems);
    file.Hint("groups",
              "this is a rule file; name it under rule_files of a test file, or write the rules under rules:");
    file.Hint("evaluation_interval", "not needed: rules are judged as spans arrive, windows every 100ms");
    file.Hint("group_eval_order", "not needed: rules do not see each other's results");
    const config::Config config = ReadSections(&file, &problems);
    result.limits = config.limits;
    const auto rules = std::make_shared<const core::RuleSet>(ReadRules(&file, config.thresholds, &problems));
    const Node* tests = file.Find("tests");
    if (root->kind == Node::Kind::kMap && (tests == nullptr || tests->items.empty())) {
      problems.Add(tests == nullptr ? root->at : tests->at, "tests: expected a list of tests");
    } else if (tests != nullptr) {
      for (std::size_t i = 0; i < tests->items.size(); ++i) {
        const std::string where = "tests[" + std::to_string(i) + "]";
        result.tests.push_back(ReadTest(tests->items[i], where, rules, &problems));
      }
    }
  }
  if (!problems.empty()) return tl::make_unexpected(problems.Take());
  return result;
}

}  // namespace spanwatch::app
