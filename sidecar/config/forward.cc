// "forward". No message here quotes the value of a header.
#include <algorithm>
#include <set>

#include "sidecar/config/address.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxHeaders = 16;
constexpr std::size_t kMaxValueBytes = 4096;
constexpr const char* kValueForms = "allowed: { env: NAME }, { file: PATH }";

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool IsWord(const std::string& text, std::string_view others) {
  const auto usable = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), usable);
}

// A name by which credentials go.
bool IsSecretName(const std::string& lower) {
  const auto has = [&](const char* part) { return lower.find(part) != std::string::npos; };
  return has("auth") || has("token") || has("key") || has("secret") || has("cookie") || has("pass") ||
         has("credential");
}

bool IsOurs(const std::string& lower) {
  static const std::set<std::string> kOurs = {
      "host",   "content-type", "content-length", "content-encoding", "connection", "transfer-encoding",
      "accept", "user-agent",   "expect",         "upgrade",          "te",         "trailer"};
  return kOurs.contains(lower);
}

std::string Trimmed(const std::string& text) {
  const char* const kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

class HeaderReader {
 public:
  HeaderReader(const SettingsOptions& options, Problems* problems) : options_(options), problems_(problems) {}

  void Read(const Field& field, std::vector<ForwardHeader>* out) {
    const std::string lower = Lower(field.key);
    path_ = "forward.headers." + field.key.substr(0, 64);
    if (!IsWord(field.key, "!#$%&'*+-.^_`|~")) {
      return problems_->Add(field.at, "forward.headers: " + Quote(field.key) +
                                          " is not a header's name; allowed: letters, digits, \"-\", \"_\"");
    }
    if (IsOurs(lower)) return problems_->Add(field.at, path_ + ": this header is set by the sidecar itself; remove it");
    if (!names_.insert(lower).second) return problems_->Add(field.at, path_ + ": given twice; keep one of them");
    ForwardHeader header{field.key, {}};
    const bool secret = IsSecretName(lower);
    if (field.value.kind == Node::Kind::kMap) {
      FromElsewhere(field.value, &header);
    } else if (const std::string* text = ScalarText(field.value, path_, "a text or { env: NAME }", problems_)) {
      if (secret) {
        return problems_->Add(field.value.at, path_ + ": a secret does not belong into this file; " + kValueForms);
      }
      Take(*text, field.value.at, "", &header);
    }
    out->push_back(std::move(header));
  }

 private:
  void FromElsewhere(const Node& node, ForwardHeader* header) {
    MapReader reader(node, path_, problems_);
    const Node* variable = reader.Find("env");
    const Node* file = reader.Find("file");
    if ((variable != nullptr) == (file != nullptr)) {
      return reader.Add(node.at, "", std::string("give exactly one of env and file; ") + kValueForms);
    }
    variable != nullptr ? FromEnvironment(*variable, header) : FromFile(*file, header);
  }

  void FromEnvironment(const Node& node, ForwardHeader* header) {
    const std::string* name = ScalarText(node, path_ + ".env", "the name of an environment variable", problems_);
    if (name == nullptr) return;
    if (!IsWord(*name, "_") || (name->front() >= '0' && name->front() <= '9')) {
      return problems_->Add(node.at, path_ +
                                         ".env: not the name of an environment variable (value not shown); put the "
                                         "value into a variable and give its name, as in TEMPO_AUTH");
    }
    if (!options_.use_environment) return;
    const std::optional<std::string> value = Environment(*name);
    Take(value ? Trimmed(*value) : "", node.at, ".env: environment variable " + *name, header);
  }

  void FromFile(const Node& node, ForwardHeader* header) {
    const std::string* path = ScalarText(node, path_ + ".file", "a path", problems_);
    if (path == nullptr) return;
    const std::string resolved = ResolvePath(*path, node.at);
    if (!options_.read_secrets) return;
    std::string error;
    const std::optional<std::string> content = ReadFile(resolved, kMaxValueBytes + 2, &error);
    if (!content) {
      return problems_->Add(node.at, path_ + ".file: file \"" + resolved + "\" cannot be read: " + error);
    }
    Take(Trimmed(*content), node.at, ".file: file \"" + resolved + "\"", header);
  }

  void Take(const std::string& value, const Position& at, const std::string& source, ForwardHeader* header) {
    const bool clean = std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    if (value.empty()) {
      problems_->Add(at, path_ + source + (source.empty() ? ": no value" : " is empty or not set"));
    } else if (!clean || value.size() > kMaxValueBytes) {
      problems_->Add(
          at, path_ + source + ": not a header's value (not shown); allowed: printable ASCII, at most 4096 characters");
    } else {
      header->value = Secret(value);
    }
  }

  const SettingsOptions& options_;
  Problems* const problems_;
  std::string path_;
  std::set<std::string> names_;
};

void ReadHeaders(MapReader* forward, const SettingsOptions& options, Config* config, Problems* problems) {
  const Node* node = forward->Find("headers");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  if (node->kind != Node::Kind::kMap) {
    return forward->Add(node->at, "headers",
                        std::string("expected a map of header names, found ") + KindName(node->kind));
  }
  HeaderReader reader(options, problems);
  for (const Field& field : node->fields) reader.Read(field, &config->forward.headers);
  if (node->fields.size() > kMaxHeaders) forward->Add(node->at, "headers", "more than 16");
}

// False: nothing was said.
bool ReadTraces(MapReader* forward, core::ForwardChoice* choice, Problems* problems) {
  const Node* node = forward->Find("traces");
  if (node == nullptr) return false;
  static const std::vector<std::string> kWords = {"all", "slow", "failed", "alerted"};
  for (const TextItem& item : TextList(*node, "forward.traces", problems, "all, or a list as in [slow, failed]")) {
    bool* const flags[] = {&choice->all, &choice->slow, &choice->failed, &choice->alerted};
    const auto at = std::find(kWords.begin(), kWords.end(), item.text);
    if (at == kWords.end()) {
      forward->Add(
          item.at, "traces",
          Quote(item.text) + " is not a kind of trace" + DidYouMean(item.text, kWords) + "; allowed: " + Join(kWords));
    } else {
      *flags[at - kWords.begin()] = true;
    }
  }
  return true;
}

void ReadRatio(MapReader* forward, double* out, Problems* problems) {
  const Node* node = forward->Find("sample_ratio");
  if (node == nullptr) return;
  const std::string* text = ScalarText(*node, "forward.sample_ratio", "a share as in 0.05 or 5%", problems);
  if (text == nullptr) return;
  if (const Parsed<double> ratio = ParseShare(*text)) {
    *out = *ratio;
  } else {
    forward->Add(node->at, "sample_ratio", ratio.error());
  }
}

bool SameListener(const OtlpTarget& target, const ListenAddress& own) {
  if (target.port != own.port) return false;
  const bool any = own.host == "0.0.0.0" || own.host == "::";
  return target.host == own.host || (IsLoopback(target.host) && (any || IsLoopback(own.host)));
}

void ReadEndpoint(MapReader* forward, Config* config, Problems* problems) {
  const Node* node = forward->Find("endpoint");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  const std::string* text = ScalarText(*node, "forward.endpoint", "a URL", problems);
  if (text == nullptr || text->empty()) return;
  const Parsed<OtlpTarget> target = CheckForwardEndpoint(*text);
  if (!target) {
    forward->Add(node->at, "endpoint", target.error());
  } else if (config->otlp_enabled && SameListener(*target, config->otlp)) {
    forward->Add(node->at, "endpoint",
                 "this is the sidecar's own otlp.listen, so that every trace would come back; give another backend's "
                 "address");
  } else {
    config->forward.endpoint = target->url;
  }
}

}  // namespace

void ReadForward(const Node& node, const SettingsOptions& options, Config* config, Problems* problems) {
  MapReader forward(node, "forward", problems);
  if (node.kind != Node::Kind::kMap) return;
  ReadEndpoint(&forward, config, problems);
  core::ForwardChoice choice;
  const bool told = ReadTraces(&forward, &choice, problems);
  ReadRatio(&forward, &choice.sample_ratio, problems);
  if (!told && choice.sample_ratio == 0) choice.all = true;
  ReadHeaders(&forward, options, config, problems);
  forward.Bool("gzip", &config->forward.gzip);
  if (config->forward.endpoint.empty()) return;
  if (!choice.Any()) {
    forward.Add(node.at, "", "nothing would be forwarded; set traces: all, or a list of them, or a sample_ratio");
  }
  config->limits.forward = choice;
}

}  // namespace spanwatch::config
