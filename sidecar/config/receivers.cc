// "receivers" and "route". No message here quotes a value that could be a webhook's URL.
#include <algorithm>
#include <set>

#include "sidecar/config/address.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {
namespace {

constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDayNs = 86'400 * kSecondNs;
constexpr std::size_t kMaxReceivers = 16;
constexpr std::size_t kMaxSecretBytes = 4096;
constexpr const char* kOneSource =
    "give exactly one of webhook_url_env (the name of an environment variable) and "
    "webhook_url_file (a path)";

bool IsVariableName(const std::string& text) {
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && text.size() <= 128 && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), usable);
}

bool IsReceiverName(const std::string& text) {
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), usable);
}

std::string Trimmed(const std::string& text) {
  const char* const kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

class ReceiverReader {
 public:
  ReceiverReader(const SettingsOptions& options, Problems* problems) : options_(options), problems_(problems) {}

  void Read(const Node& node, const std::string& path);
  std::vector<core::Receiver> receivers;

 private:
  void ReadDiscord(const Node& node, const std::string& path, core::Receiver* receiver);
  void TakeFromEnvironment(const Node& name, const std::string& path, core::Receiver* receiver);
  void TakeFromFile(const Node& file, const std::string& path, core::Receiver* receiver);
  void TakeUrl(const std::string& text, const Position& at, const std::string& path, core::Receiver* receiver);

  const SettingsOptions& options_;
  Problems* const problems_;
  std::set<std::string> names_;
};

void ReceiverReader::Read(const Node& node, const std::string& path) {
  MapReader reader(node, path, problems_);
  if (node.kind != Node::Kind::kMap) return;
  core::Receiver receiver;
  const Node* name = reader.Find("name");
  if (name == nullptr) reader.Add(node.at, "", "name is missing; give the receiver a name");
  reader.String("name", &receiver.name);
  if (name != nullptr && !receiver.name.empty()) {
    if (!IsReceiverName(receiver.name)) {
      reader.Add(name->at, "name",
                 Quote(receiver.name) + " is not a name; allowed: letters, digits, \"_\", \"-\", \".\"");
    } else if (!names_.insert(receiver.name).second) {
      reader.Add(name->at, "name", "a receiver " + Quote(receiver.name) + " exists already; names are unique");
    }
  }
  for (const char* kind : {"webhook", "alertmanager"}) reader.NotSupported(kind, "the kind discord is");
  const Node* discord = reader.Find("discord");
  if (discord != nullptr) {
    ReadDiscord(*discord, path + ".discord", &receiver);
  } else if (node.Find("webhook") == nullptr && node.Find("alertmanager") == nullptr) {
    reader.Add(node.at, "", "no kind; give discord: {webhook_url_env: NAME} or discord: {webhook_url_file: PATH}");
  }
  receivers.push_back(std::move(receiver));
}

void ReceiverReader::ReadDiscord(const Node& node, const std::string& path, core::Receiver* receiver) {
  MapReader reader(node, path, problems_);
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull) return;
  for (const char* key : {"webhook_url", "url"}) {
    reader.Hint(key, std::string("a secret does not belong into this file; ") + kOneSource);
  }
  const Node* variable = reader.Find("webhook_url_env");
  const Node* file = reader.Find("webhook_url_file");
  if (variable != nullptr && file != nullptr) {
    reader.Add(file->at, "", std::string("both webhook_url_env and webhook_url_file; ") + kOneSource);
  } else if (variable != nullptr) {
    TakeFromEnvironment(*variable, path + ".webhook_url_env", receiver);
  } else if (file != nullptr) {
    TakeFromFile(*file, path + ".webhook_url_file", receiver);
  } else if (node.Find("webhook_url") == nullptr && node.Find("url") == nullptr) {
    reader.Add(node.at, "", std::string("no webhook; ") + kOneSource);
  }
}

void ReceiverReader::TakeFromEnvironment(const Node& name, const std::string& path, core::Receiver* receiver) {
  const std::string* text = ScalarText(name, path, "the name of an environment variable", problems_);
  if (text == nullptr) return;
  if (!IsVariableName(*text)) {
    problems_->Add(name.at, path +
                                ": not the name of an environment variable (value not shown); put the URL into a "
                                "variable and give its name, as in DISCORD_WEBHOOK_URL");
    return;
  }
  receiver->url_source = "environment variable " + *text;
  if (!options_.use_environment) return;
  if (const std::optional<std::string> value = Environment(*text)) TakeUrl(*value, name.at, path, receiver);
}

void ReceiverReader::TakeFromFile(const Node& file, const std::string& path, core::Receiver* receiver) {
  const std::string* text = ScalarText(file, path, "a path", problems_);
  if (text == nullptr) return;
  if (text->empty() || text->find("://") != std::string::npos) {
    problems_->Add(file.at, path + ": not a path (value not shown); put the URL into a file and give its path");
    return;
  }
  const std::string resolved = ResolvePath(*text, file.at);
  receiver->url_source = "file " + resolved;
  if (!options_.read_secrets) return;
  std::string error;
  const std::optional<std::string> content = ReadFile(resolved, kMaxSecretBytes, &error);
  if (!content) {
    problems_->Add(file.at, path + ": file \"" + resolved + "\" cannot be read: " + error);
  } else if (!Trimmed(*content).empty()) {
    TakeUrl(*content, file.at, path, receiver);
  }
}

void ReceiverReader::TakeUrl(const std::string& text, const Position& at, const std::string& path,
                             core::Receiver* receiver) {
  const Parsed<std::string> url = CheckWebhookUrl(Trimmed(text));
  if (url) {
    receiver->url = Secret(*url);
  } else {
    problems_->Add(at, path + ": " + receiver->url_source + " " + url.error());
  }
}

void ReadGroupBy(MapReader* route, Problems* problems, std::vector<std::string>* out) {
  const Node* node = route->Find("group_by");
  if (node == nullptr) return;
  std::vector<std::string> names;
  for (const TextItem& item : TextList(*node, "route.group_by", problems)) names.push_back(item.text);
  std::sort(names.begin(), names.end());
  if (names == *out) return;
  route->Add(node->at, "group_by", "not supported by this version with other labels; allowed: [alertname, service]");
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

void ReadRoute(const Node& node, Config* config, Problems* problems) {
  MapReader reader(node, "route", problems);
  core::Route* route = &config->routing.route;
  if (!config->routing.receivers.empty()) route->receiver = config->routing.receivers.front().name;
  if (const Node* receiver = reader.Find("receiver")) {
    std::vector<std::string> names;
    for (const core::Receiver& known : config->routing.receivers) names.push_back(known.name);
    std::string name;
    reader.String("receiver", &name);
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      reader.Add(receiver->at, "receiver",
                 "unknown receiver " + Quote(name) + DidYouMean(name, names) +
                     (names.empty() ? "; there are none under receivers" : "; allowed: " + Join(names)));
    }
    route->receiver = name;
  }
  ReadGroupBy(&reader, problems, &route->group_by);
  reader.Duration("group_wait", &route->group_wait_ns, 0, kDayNs);
  if (route->group_wait_ns != 0) {
    reader.Add(reader.Find("group_wait")->at, "group_wait",
               "not supported by this version; alerts are posted at once, allowed: 0s");
  }
  reader.Duration("group_interval", &route->group_interval_ns, 100 * kMillisecondNs, kDayNs);
  reader.Duration("repeat_interval", &route->repeat_interval_ns, kSecondNs, 30 * kDayNs);
  core::Receiver common;  // what every receiver takes from the route
  reader.Duration("growth_interval", &common.growth_interval_ns, 100 * kMillisecondNs, 3600 * kSecondNs);
  ReadStorm(&reader, problems, &common);
  for (core::Receiver& receiver : config->routing.receivers) {
    receiver.growth_interval_ns = common.growth_interval_ns;
    receiver.storm_messages = common.storm_messages;
    receiver.storm_per_ns = common.storm_per_ns;
  }
  for (const char* key : {"routes", "inhibit_rules"}) reader.NotSupported(key, "remove it");
}

}  // namespace

void ReadReceivers(MapReader* top, const SettingsOptions& options, Config* config, Problems* problems) {
  const Node* list = top->Find("receivers");
  ReceiverReader reader(options, problems);
  if (list == nullptr) {  // the default: Discord, if the variable is set
    core::Receiver receiver;
    receiver.name = "discord";
    receiver.url_source = "environment variable DISCORD_WEBHOOK_URL";
    static const char* const kVariable = "DISCORD_WEBHOOK_URL";
    const std::optional<std::string> value = options.use_environment ? Environment(kVariable) : std::nullopt;
    if (value) {
      const Parsed<std::string> url = CheckWebhookUrl(Trimmed(*value));
      if (url) {
        receiver.url = Secret(*url);
      } else {
        problems->Add({}, receiver.url_source + " " + url.error());
      }
    }
    reader.receivers.push_back(std::move(receiver));
  } else if (list->kind == Node::Kind::kList) {
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      reader.Read(list->items[i], "receivers[" + std::to_string(i) + "]");
    }
    if (list->items.size() > kMaxReceivers) problems->Add(list->at, "receivers: more than 16");
  } else if (list->kind != Node::Kind::kNull) {
    problems->Add(list->at, std::string("receivers: expected a list of receivers, found ") + KindName(list->kind));
  }
  config->routing.receivers = std::move(reader.receivers);
  static const Node kAbsent;
  const Node* route = top->Find("route");
  ReadRoute(route == nullptr ? kAbsent : *route, config, problems);
}

}  // namespace spanwatch::config
