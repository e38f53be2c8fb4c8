#include "sidecar/config/rules.h"

#include <set>

#include "sidecar/config/reader.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxNameBytes = 128;

std::string LineText(const Position& at) {
  if (at.source == nullptr) return "";
  return at.source->name + " line " + std::to_string(at.line);
}

}  // namespace

void RuleReader::ReadFile(const Node& root) {
  MapReader file(root, "", problems_);
  const Node* groups = file.Find("groups");
  if (groups == nullptr || groups->kind == Node::Kind::kNull) {
    problems_->Add(groups == nullptr ? root.at : groups->at, "no rule groups; a rule file starts with \"groups:\"");
    return;
  }
  if (groups->kind != Node::Kind::kList) {
    problems_->Add(groups->at, std::string("groups: expected a list of groups, found ") + KindName(groups->kind));
    return;
  }
  for (std::size_t i = 0; i < groups->items.size(); ++i) ReadGroup(groups->items[i], i);
}

void RuleReader::ReadGroup(const Node& node, std::size_t number) {
  const std::string path = "groups[" + std::to_string(number) + "]";
  MapReader reader(node, path, problems_);
  if (node.kind != Node::Kind::kMap) return;
  for (const char* key : {"interval", "limit", "query_offset"}) {
    reader.Hint(key, "not a setting here; rules are judged as spans arrive, windows every 100ms");
  }
  std::string name;
  if (reader.Find("name") == nullptr) reader.Add(node.at, "", "name is missing; give the group a name");
  reader.String("name", &name);
  if (name.size() > kMaxNameBytes) reader.Add(reader.Find("name")->at, "name", "longer than 128 bytes");
  if (!name.empty()) {
    const auto [first, is_new] = groups_.emplace(name, node.at);
    if (!is_new) {
      reader.Add(reader.Find("name")->at, "name",
                 "group " + Quote(name) + " exists already (" + LineText(first->second) + "); names are unique");
    }
  }
  const Node* rules = reader.Find("rules");
  if (rules == nullptr || rules->kind != Node::Kind::kList) {
    reader.Add(rules == nullptr ? node.at : rules->at, "rules", "expected a list of rules");
    return;
  }
  std::set<std::string> alerts;
  for (const Node& item : rules->items) {
    last_rule_ = item.at;
    std::optional<core::Rule> rule = ReadRule(item, name, thresholds_, problems_);
    const Node* alert = item.Find("alert");
    if (alert != nullptr && alert->kind == Node::Kind::kScalar && !alerts.insert(alert->text).second) {
      problems_->Add(alert->at, "rule " + Quote(alert->text) + ": the group has a rule of this name; names are unique");
    }
    if (rule) rules_.push_back(std::move(*rule));
  }
}

core::RuleSet RuleReader::Take() {
  if (rules_.size() > core::kMaxRules) {
    problems_->Add(last_rule_,
                   std::to_string(rules_.size()) + " rules; allowed: at most " + std::to_string(core::kMaxRules));
  }
  return {std::move(rules_)};
}

tl::expected<core::RuleSet, std::vector<Problem>> ParseRules(const std::string& name, const std::string& text,
                                                             const Thresholds& thresholds) {
  Problems problems;
  auto source = std::make_shared<Source>();
  source->name = name;
  RuleReader reader(thresholds, &problems);
  const std::optional<Node> root = ParseYaml(text, source, &problems);
  if (root) reader.ReadFile(*root);
  core::RuleSet rules = reader.Take();
  if (!problems.empty()) return tl::make_unexpected(problems.Take());
  return rules;
}

}  // namespace spanwatch::config
