// "receivers". No message here quotes a value that could be a webhook's URL.
#include "sidecar/config/receivers.h"

#include <algorithm>
#include <array>
#include <set>

#include "sidecar/config/address.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxReceivers = 16;
constexpr std::size_t kMaxSecretBytes = 4096;
constexpr SecretKey kWebhookUrl = {"webhook_url", "the URL", "DISCORD_WEBHOOK_URL"};
constexpr std::size_t kMaxIdDigits = 20;

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

void TakeFromEnvironment(const Node& name, const SecretKey& key, const SettingsOptions& options, Problems* problems,
                         FoundSecret* found) {
  const std::string* text = ScalarText(name, found->path, "the name of an environment variable", problems);
  if (text == nullptr) return;
  if (!IsVariableName(*text)) {
    problems->Add(name.at, found->path + ": not the name of an environment variable (value not shown); put " +
                               key.what + " into a variable and give its name, as in " + key.example);
    return;
  }
  found->source = "environment variable " + *text;
  if (options.use_environment) found->text = Trimmed(Environment(*text).value_or(""));
}

void TakeFromFile(const Node& file, const SecretKey& key, const SettingsOptions& options, Problems* problems,
                  FoundSecret* found) {
  const std::string* text = ScalarText(file, found->path, "a path", problems);
  if (text == nullptr) return;
  if (text->empty() || text->find("://") != std::string::npos) {
    problems->Add(file.at,
                  found->path + ": not a path (value not shown); put " + key.what + " into a file and give its path");
    return;
  }
  const std::string resolved = ResolvePath(*text, file.at);
  found->source = "file " + resolved;
  if (!options.read_secrets) return;
  std::string error;
  const std::optional<std::string> content = ReadFile(resolved, kMaxSecretBytes, &error);
  if (!content) problems->Add(file.at, found->path + ": file \"" + resolved + "\" cannot be read: " + error);
  found->text = Trimmed(content.value_or(""));
}

// An id of Discord's: of a thread or a role. Not quoted, lest a mistake shows a token.
void ReadId(MapReader* reader, std::string_view key, const std::string& path, std::string* out, Problems* problems) {
  const Node* node = reader->Find(key);
  if (node == nullptr) return;
  const std::string* text = ScalarText(*node, path + "." + std::string(key), "an id", problems);
  if (text == nullptr) return;
  if (text->empty() || text->size() > kMaxIdDigits || text->find_first_not_of("0123456789") != std::string::npos) {
    reader->Add(node->at, key, "not an id (value not shown); allowed: its digits, as Discord's \"Copy ID\" gives them");
    return;
  }
  *out = *text;
}

struct Kind {
  const char* key;
  core::ReceiverKind kind;
  ReadKind read;
};
constexpr std::array<Kind, 3> kKinds = {{{"discord", core::ReceiverKind::kDiscord, ReadDiscord},
                                         {"webhook", core::ReceiverKind::kWebhook, ReadWebhook},
                                         {"alertmanager", core::ReceiverKind::kAlertmanager, ReadAlertmanager}}};

class ReceiverReader {
 public:
  ReceiverReader(const SettingsOptions& options, Problems* problems) : options_(options), problems_(problems) {}

  void Read(const Node& node, const std::string& path);
  std::vector<core::Receiver> receivers;

 private:
  void ReadName(MapReader* reader, core::Receiver* receiver);

  const SettingsOptions& options_;
  Problems* const problems_;
  std::set<std::string> names_;
};

void ReceiverReader::ReadName(MapReader* reader, core::Receiver* receiver) {
  const Node* name = reader->Find("name");
  if (name == nullptr) reader->Add(reader->node().at, "", "name is missing; give the receiver a name");
  reader->String("name", &receiver->name);
  if (name == nullptr || receiver->name.empty()) return;
  if (!IsReceiverName(receiver->name)) {
    reader->Add(name->at, "name",
                Quote(receiver->name) + " is not a name; allowed: letters, digits, \"_\", \"-\", \".\"");
  } else if (!names_.insert(receiver->name).second) {
    reader->Add(name->at, "name", "a receiver " + Quote(receiver->name) + " exists already; names are unique");
  }
}

void ReceiverReader::Read(const Node& node, const std::string& path) {
  MapReader reader(node, path, problems_);
  if (node.kind != Node::Kind::kMap) return;
  core::Receiver receiver;
  ReadName(&reader, &receiver);
  const char* found = nullptr;
  for (const Kind& kind : kKinds) {
    const Node* map = reader.Find(kind.key);
    if (map == nullptr) continue;
    if (found != nullptr) {
      reader.Add(map->at, kind.key, std::string("the receiver has the kind ") + found + " already; give one kind each");
      continue;
    }
    found = kind.key;
    receiver.kind = kind.kind;
    kind.read(*map, path + "." + kind.key, options_, &receiver, problems_);
  }
  if (found == nullptr) {
    reader.Add(node.at, "",
               "no kind; give one of discord: {webhook_url_env: NAME}, webhook: {url: URL}, alertmanager: {url: URL}");
  }
  receivers.push_back(std::move(receiver));
}

}  // namespace

std::string OneSource(const SecretKey& key) {
  return std::string("give exactly one of ") + key.key + "_env (the name of an environment variable) and " + key.key +
         "_file (a path)";
}

FoundSecret FindSecret(MapReader* reader, const std::string& path, const SecretKey& key, const SettingsOptions& options,
                       Problems* problems) {
  FoundSecret found;
  const Node* variable = reader->Find(std::string(key.key) + "_env");
  const Node* file = reader->Find(std::string(key.key) + "_file");
  const Node* node = variable != nullptr ? variable : file;
  if (node == nullptr) return found;
  found.named = true;
  found.at = node->at;
  if (variable != nullptr && file != nullptr) {
    reader->Add(file->at, "", std::string("both ") + key.key + "_env and " + key.key + "_file; " + OneSource(key));
    return found;
  }
  found.path = path + "." + key.key + (node == variable ? "_env" : "_file");
  if (node == variable) {
    TakeFromEnvironment(*node, key, options, problems, &found);
  } else {
    TakeFromFile(*node, key, options, problems, &found);
  }
  return found;
}

void ReadDiscord(const Node& node, const std::string& path, const SettingsOptions& options, core::Receiver* receiver,
                 Problems* problems) {
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull) return;
  for (const char* key : {"webhook_url", "url"}) {
    reader.Hint(key, "a secret does not belong into this file; " + OneSource(kWebhookUrl));
  }
  reader.Hint("role_id", "unknown key; give the role's id as mention_role");
  const FoundSecret url = FindSecret(&reader, path, kWebhookUrl, options, problems);
  receiver->url_source = url.source;
  if (!url.named && node.Find("webhook_url") == nullptr && node.Find("url") == nullptr) {
    reader.Add(node.at, "", "no webhook; " + OneSource(kWebhookUrl));
  }
  if (!url.text.empty()) {
    const Parsed<std::string> checked = CheckWebhookUrl(url.text);
    if (checked) {
      receiver->url = Secret(*checked);
    } else {
      problems->Add(url.at, url.path + ": " + url.source + " " + checked.error());
    }
  }
  ReadId(&reader, "thread_id", path, &receiver->discord.thread_id, problems);
  ReadId(&reader, "mention_role", path, &receiver->discord.role_id, problems);
  std::size_t from = 1;
  reader.Choice("mention_from", {"warning", "critical"}, &from);
  receiver->discord.mention_from = from == 0 ? core::Severity::kWarning : core::Severity::kCritical;
  if (const Node* mention_from = reader.Find("mention_from");
      mention_from != nullptr && node.Find("mention_role") == nullptr) {
    reader.Add(mention_from->at, "mention_from", "there is nobody to mention; give the id of a role as mention_role");
  }
  reader.Bool("send_resolved", &receiver->send_resolved);
}

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
}

}  // namespace spanwatch::config
