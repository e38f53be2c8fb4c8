// "route" and "inhibit_rules": who is told of which alert.
#include <algorithm>

#include "sidecar/config/matcher_text.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {
namespace {

constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDayNs = 86'400 * kSecondNs;
constexpr int kMaxDepth = 8;
constexpr const char* kMatchersAdvice = "write matchers: ['severity=\"critical\"', 'service=~\"bot|api\"']";

// A list of texts, each one matcher or several.
void ReadMatchers(MapReader* reader, std::string_view key, const std::string& path, Problems* problems,
                  std::vector<core::Matcher>* out) {
  const Node* node = reader->Find(key);
  if (node == nullptr) return;
  const std::string full = path + "." + std::string(key);
  for (const TextItem& item : TextList(*node, full, problems, "a list of matchers, as in ['severity=\"critical\"']")) {
    auto matchers = ParseMatchers(item.text);
    if (!matchers) {
      problems->Add(item.at, full + ": " + matchers.error());
      continue;
    }
    out->insert(out->end(), matchers->begin(), matchers->end());
  }
  if (out->size() > core::kMaxMatchers) {
    problems->Add(node->at, full + ": more than " + std::to_string(core::kMaxMatchers));
    out->resize(core::kMaxMatchers);
  }
}

std::vector<std::string> ReadNames(MapReader* reader, std::string_view key, const std::string& path,
                                   Problems* problems) {
  std::vector<std::string> names;
  const Node* node = reader->Find(key);
  if (node == nullptr || (node->kind == Node::Kind::kList && node->items.empty())) return names;
  const std::string full = path + "." + std::string(key);
  for (const TextItem& item : TextList(*node, full, problems, "a list of labels, as in [alertname, service]")) {
    if (std::find(names.begin(), names.end(), item.text) != names.end()) {
      problems->Add(item.at, full + ": " + Quote(item.text) + " stands there twice");
    } else if (item.text.size() > 128) {
      problems->Add(item.at, full + ": not the name of a label");
    } else {
      names.push_back(item.text);
    }
  }
  if (names.size() > core::kMaxMatchers) {
    problems->Add(node->at, full + ": more than " + std::to_string(core::kMaxMatchers));
  }
  return names;
}

// {messages: 10, per: 10s} or off.
void ReadStorm(MapReader* route, Problems* problems, core::Receiver* out) {
  const Node* node = route->Find("storm");
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kScalar && node->text == "off") {
    out->storm_messages = 0;
    return;
  }
  if (node->kind == Node::Kind::kScalar) {
    route->Add(node->at, "storm",
               Quote(node->text) + " is neither a limit nor off; allowed: {messages: 10, per: 10s}, off");
    return;
  }
  MapReader storm(*node, "route.storm", problems);
  storm.Whole("messages", &out->storm_messages, 1, 1000);
  storm.Duration("per", &out->storm_per_ns, kSecondNs, 3600 * kSecondNs);
}

class RouteReader {
 public:
  RouteReader(Config* config, Problems* problems) : config_(config), problems_(problems) {
    for (const core::Receiver& known : config->routing.receivers) {
      const bool is_new = std::find(names_.begin(), names_.end(), known.name) == names_.end();
      if (is_new && !known.name.empty()) names_.push_back(known.name);
    }
  }

  // `route` holds what it inherits.
  void Read(const Node& node, const std::string& path, int depth, core::Route* route) {
    MapReader reader(node, path, problems_);
    for (const char* key : {"match", "match_re"}) reader.Hint(key, kMatchersAdvice);
    for (const char* key : {"mute_time_intervals", "active_time_intervals"}) {
      reader.NotSupported(key, "a silence (POST /api/v1/silences) mutes for a time");
    }
    if (depth == 0) {
      ReadRoot(&reader);
    } else {
      for (const char* key : {"storm", "growth_interval"})
        reader.Hint(key, "stands under route itself, for all receivers");
      ReadMatchers(&reader, "matchers", path, problems_, &route->matchers);
      reader.Bool("continue", &route->go_on);
    }
    ReadReceiver(&reader, route);
    if (reader.Find("group_by") != nullptr) ReadGroupBy(&reader, path, route);
    reader.Duration("group_wait", &route->group_wait_ns, 0, kDayNs);
    reader.Duration("group_interval", &route->group_interval_ns, 100 * kMillisecondNs, kDayNs);
    reader.Duration("repeat_interval", &route->repeat_interval_ns, kSecondNs, 30 * kDayNs);
    if (const Node* routes = reader.Find("routes")) ReadRoutes(*routes, path + ".routes", depth, route);
  }

 private:
  void ReadRoot(MapReader* reader) {
    reader->Hint("matchers", "the root takes every alert; put matchers into an entry of routes");
    reader->Hint("continue", "the root takes what no entry of routes took; there is nothing after it");
    reader->Hint("inhibit_rules", "stands at the top of the file, beside route");
    core::Receiver common;  // what every receiver takes from here
    reader->Duration("growth_interval", &common.growth_interval_ns, 100 * kMillisecondNs, 3600 * kSecondNs);
    ReadStorm(reader, problems_, &common);
    for (core::Receiver& receiver : config_->routing.receivers) {
      receiver.growth_interval_ns = common.growth_interval_ns;
      receiver.storm_messages = common.storm_messages;
      receiver.storm_per_ns = common.storm_per_ns;
    }
  }

  void ReadReceiver(MapReader* reader, core::Route* route) {
    const Node* receiver = reader->Find("receiver");
    if (receiver == nullptr) return;
    std::string name;
    reader->String("receiver", &name);
    if (!name.empty() && std::find(names_.begin(), names_.end(), name) == names_.end()) {
      reader->Add(receiver->at, "receiver",
                  "unknown receiver " + Quote(name) + DidYouMean(name, names_) +
                      (names_.empty() ? "; there are none under receivers" : "; allowed: " + Join(names_)));
    }
    route->receiver = name;
  }

  void ReadGroupBy(MapReader* reader, const std::string& path, core::Route* route) {
    route->group_by = ReadNames(reader, "group_by", path, problems_);
    const bool all = std::find(route->group_by.begin(), route->group_by.end(), "...") != route->group_by.end();
    if (all && route->group_by.size() > 1) {
      reader->Add(reader->Find("group_by")->at, "group_by", "\"...\" stands for all labels; it must stand alone");
    }
  }

  void ReadRoutes(const Node& list, const std::string& path, int depth, core::Route* route) {
    if (list.kind == Node::Kind::kNull) return;
    if (list.kind != Node::Kind::kList) {
      problems_->Add(list.at, path + ": expected a list of routes, found " + KindName(list.kind));
      return;
    }
    if (depth + 1 >= kMaxDepth && !list.items.empty()) {
      problems_->Add(list.at, path + ": more than " + std::to_string(kMaxDepth) + " levels");
      return;
    }
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (++count_ > core::kMaxRoutes) {
        if (count_ == core::kMaxRoutes + 1) {
          problems_->Add(list.items[i].at, path + ": more than " + std::to_string(core::kMaxRoutes) + " routes in all");
        }
        return;
      }
      core::Route child = *route;
      child.matchers.clear();
      child.routes.clear();
      child.go_on = false;
      Read(list.items[i], path + "[" + std::to_string(i) + "]", depth + 1, &child);
      route->routes.push_back(std::move(child));
    }
  }

  Config* const config_;
  Problems* const problems_;
  std::vector<std::string> names_;
  std::size_t count_ = 0;
};

void ReadInhibitRule(const Node& node, const std::string& path, Problems* problems, core::InhibitRule* rule) {
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap) return;
  for (const char* key : {"source_match", "source_match_re"}) {
    reader.Hint(key, "write source_matchers: ['alertname=\"CriticalServiceHealth\"']");
  }
  for (const char* key : {"target_match", "target_match_re"}) {
    reader.Hint(key, "write target_matchers: ['alertname=\"HighErrorRate\"']");
  }
  reader.String("name", &rule->name);
  if (rule->name.size() > 128) reader.Add(node.at, "name", "longer than 128 bytes");
  ReadMatchers(&reader, "source_matchers", path, problems, &rule->source);
  ReadMatchers(&reader, "target_matchers", path, problems, &rule->target);
  rule->equal = ReadNames(&reader, "equal", path, problems);
  const auto lacks = [&](const std::string& side) {
    return reader.Find(side + "_matchers") == nullptr && node.Find(side + "_match") == nullptr &&
           node.Find(side + "_match_re") == nullptr;
  };
  if (lacks("source")) {
    reader.Add(node.at, "", "no source_matchers; give those of the alert that mutes others while it fires");
  }
  if (lacks("target")) {
    reader.Add(node.at, "", "no target_matchers; give those of the alerts that are muted");
  }
}

core::Matcher AlertNamed(const char* name) { return {"alertname", core::MatchOp::kEqual, name, nullptr}; }

// A service that is critical because of its errors is told once: its health names the errors.
core::InhibitRule DefaultInhibitRule() {
  core::InhibitRule rule;
  rule.name = "a critical service's errors are in its health";
  rule.source = {AlertNamed("CriticalServiceHealth")};
  rule.target = {AlertNamed("HighErrorRate")};
  rule.equal = {"service"};
  return rule;
}

void ReadInhibitRules(const Node* list, Config* config, Problems* problems) {
  std::vector<core::InhibitRule>* rules = &config->routing.inhibit_rules;
  if (list == nullptr) {
    rules->push_back(DefaultInhibitRule());
    return;
  }
  if (list->kind == Node::Kind::kNull) return;
  if (list->kind != Node::Kind::kList) {
    problems->Add(list->at, std::string("inhibit_rules: expected a list of rules, found ") + KindName(list->kind));
    return;
  }
  if (list->items.size() > core::kMaxInhibitRules) {
    problems->Add(list->at, "inhibit_rules: more than " + std::to_string(core::kMaxInhibitRules));
    return;
  }
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    ReadInhibitRule(list->items[i], "inhibit_rules[" + std::to_string(i) + "]", problems, &rules->emplace_back());
  }
}

}  // namespace

void ReadRouting(MapReader* top, Config* config, Problems* problems) {
  static const Node kAbsent;
  const Node* node = top->Find("route");
  core::Route* root = &config->routing.route;
  if (!config->routing.receivers.empty()) root->receiver = config->routing.receivers.front().name;
  RouteReader(config, problems).Read(node == nullptr ? kAbsent : *node, "route", 0, root);
  ReadInhibitRules(top->Find("inhibit_rules"), config, problems);
}

}  // namespace spanwatch::config
