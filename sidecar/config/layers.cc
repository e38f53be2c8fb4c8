#include "sidecar/config/layers.h"

#include <algorithm>
#include <system_error>

#include "sidecar/config/settings.h"
#include "sidecar/config/units.h"

namespace spanwatch::config {
namespace {

Position PositionIn(const std::string& name) {
  auto source = std::make_shared<Source>();
  source->name = name;
  source->has_lines = false;
  return {std::move(source), 0, 0};
}

Node Wrap(const std::string& key, Node value, const Position& at) {
  Node map;
  map.kind = Node::Kind::kMap;
  map.at = at;
  map.fields.push_back({key, at, std::move(value)});
  return map;
}

Node Scalar(const std::string& text, const Position& at) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.at = at;
  node.text = text;
  return node;
}

// An empty file is a map without keys; what is neither stays, and the reader complains about it.
void LayOver(Node* root, Node overlay) {
  if (root->kind == Node::Kind::kNull) {
    root->kind = Node::Kind::kMap;
  }
  Merge(root, std::move(overlay));
}

// "7200000" -> "7200000ms"; what is not a plain number stays as it is.
std::string WithUnit(const std::string& text, const char* unit) { return ParseNumber(text) ? text + unit : text; }

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

// thresholds.slow[0], with the critical level as the file has it or the default.
void ApplySlowThreshold(const std::string& text, Node* root) {
  const Position at = PositionIn("environment variable TRACING_SLOW_THRESHOLD");
  const Node* thresholds = root->Find("thresholds");
  const Node* former = thresholds == nullptr ? nullptr : thresholds->Find("slow");
  Node list;
  list.kind = Node::Kind::kList;
  list.at = at;
  list.items.push_back(Scalar(text, at));
  if (former != nullptr && former->kind == Node::Kind::kList && former->items.size() == 2) {
    list.items.push_back(former->items[1]);
  } else {
    list.items.push_back(Scalar("5s", at));
  }
  LayOver(root, Wrap("thresholds", Wrap("slow", std::move(list), at), at));
}

}  // namespace

void ApplyEnvironment(Node* root) {
  const auto apply = [&](const char* variable, const char* section, const char* key, const auto& convert) {
    const std::optional<std::string> value = Environment(variable);
    if (!value) return;
    const Position at = PositionIn(std::string("environment variable ") + variable);
    LayOver(root, Wrap(section, Wrap(key, Scalar(convert(*value), at), at), at));
  };
  const auto as_is = [](const std::string& text) { return text; };
  const auto milliseconds = [](const std::string& text) { return WithUnit(text, "ms"); };
  const auto bytes = [](const std::string& text) { return WithUnit(text, "B"); };
  apply("TRACING_MAX_TRACES", "store", "max_traces", as_is);
  apply("TRACING_TRACE_TTL", "store", "ttl", milliseconds);
  apply("TRACING_MEMORY_LIMIT", "store", "memory_limit", bytes);
  apply("LOG_LEVEL", "log", "level", Lower);
  apply("TRACING_LOG_LEVEL", "log", "level", Lower);
  if (const auto slow = Environment("TRACING_SLOW_THRESHOLD")) ApplySlowThreshold(milliseconds(*slow), root);
}

void ApplySets(const std::vector<std::string>& sets, Node* root, Problems* problems) {
  for (const std::string& set : sets) {
    const std::size_t equals = set.find('=');
    const std::string key = set.substr(0, equals);
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (std::size_t dot = 0; dot != std::string::npos; from = dot + 1) {
      dot = key.find('.', from);
      parts.push_back(key.substr(from, dot == std::string::npos ? dot : dot - from));
    }
    const bool has_empty = std::find(parts.begin(), parts.end(), "") != parts.end();
    if (equals == std::string::npos || has_empty) {
      problems->Add(PositionIn("--set"), Quote(key) + " is not KEY=VALUE; write for example --set store.ttl=1h");
      continue;
    }
    const Position at = PositionIn("--set " + (key.size() > 64 ? key.substr(0, 64) : key));
    std::optional<Node> value = ParseYaml(set.substr(equals + 1), at.source, problems);
    if (!value) continue;
    value->at = at;
    for (std::size_t i = parts.size(); i > 0; --i) value = Wrap(parts[i - 1], std::move(*value), at);
    LayOver(root, std::move(*value));
  }
}

void ApplyProfile(const std::string& name, const std::string& config_path, Node* root, Problems* problems) {
  const Position at = PositionIn("--profile " + name.substr(0, 64));
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), usable)) {
    problems->Add(PositionIn("--profile"), Quote(name) + " is not a name; allowed: letters, digits, \"_\", \"-\"");
    return;
  }
  if (config_path.empty()) {
    problems->Add(
        at, "profiles stand in profiles/ beside the configuration file, and there is no such file; give --config");
    return;
  }
  const std::filesystem::path folder = std::filesystem::path(config_path).parent_path() / "profiles";
  const std::string path = (folder / (name + ".yaml")).string();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    problems->Add(at, "there is no file \"" + path + "\"" + DidYouMean(name, names) +
                          (names.empty() ? "" : "; profiles there: " + Join(names)));
    return;
  }
  std::optional<Node> profile = ParseYamlFile(path, at, problems);
  if (profile && profile->kind != Node::Kind::kNull) LayOver(root, std::move(*profile));
}

}  // namespace spanwatch::config
