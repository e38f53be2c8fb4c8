#include <glob.h>

#include <set>
#include <system_error>

#include "sidecar/config/default_rules.h"
#include "sidecar/config/layers.h"
#include "sidecar/config/prices.h"
#include "sidecar/config/rules.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxRuleFiles = 100;

std::string FindConfigFile() {
  std::error_code error;
  for (const char* path : {"config/spanwatch.yaml", "/etc/spanwatch/spanwatch.yaml"}) {
    if (std::filesystem::exists(path, error)) return path;
  }
  return "";
}

std::shared_ptr<const core::RuleSet> ReadRuleFiles(const Settings& settings, Problems* problems) {
  RuleReader reader(settings.config.thresholds, problems);
  if (!settings.has_rules) {
    auto source = std::make_shared<Source>();
    source->name = "built-in rules";
    const std::optional<Node> root = ParseYaml(kDefaultRules, source, problems);
    if (root) reader.ReadFile(*root);
    return std::make_shared<core::RuleSet>(reader.Take());
  }
  std::set<std::string> seen;
  for (const TextItem& glob : settings.rule_globs) {
    const std::string pattern = ResolvePath(glob.text, glob.at);
    const std::vector<std::string> paths = ExpandPattern(pattern);
    if (paths.empty()) {
      problems->Add(glob.at,
                    "rules: no file matches \"" + pattern + "\"; correct the pattern, or write rules: [] for none");
    }
    for (const std::string& path : paths) {
      if (!seen.insert(path).second) continue;
      if (seen.size() > kMaxRuleFiles) {
        problems->Add(glob.at, "rules: more than 100 files");
        break;
      }
      const std::optional<Node> root = ParseYamlFile(path, glob.at, problems);
      if (root) reader.ReadFile(*root);
    }
  }
  return std::make_shared<core::RuleSet>(reader.Take());
}

Config ReadConfig(const Node& root, const SettingsOptions& options, Problems* problems) {
  Settings settings = ReadSettings(root, options, problems);
  settings.config.rules = ReadRuleFiles(settings, problems);
  return std::move(settings.config);
}

}  // namespace

std::vector<std::string> ExpandPattern(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  return paths;
}

tl::expected<Config, std::vector<Problem>> Load(const Sources& sources) {
  Problems problems;
  const std::string path = sources.path.empty() ? FindConfigFile() : sources.path;
  Node root;
  if (!path.empty()) {
    auto command_line = std::make_shared<Source>();
    command_line->name = "--config";
    command_line->has_lines = false;
    std::optional<Node> file = ParseYamlFile(path, {command_line, 0, 0}, &problems);
    if (!file) return tl::make_unexpected(problems.Take());
    root = std::move(*file);
  }
  if (!sources.profile.empty()) ApplyProfile(sources.profile, path, &root, &problems);
  if (sources.use_environment) ApplyEnvironment(&root);
  ApplySets(sources.sets, &root, &problems);
  Config config = ReadConfig(root, {sources.use_environment, true}, &problems);
  config.source_path = path;
  if (!problems.empty()) return tl::make_unexpected(problems.Take());
  return config;
}

std::vector<Problem> CheckFiles(const std::vector<std::string>& paths) {
  Problems problems;
  for (const std::string& path : paths) {
    const std::optional<Node> root = ParseYamlFile(path, {}, &problems);
    if (!root) continue;
    if (root->Find("groups") != nullptr) {
      const Thresholds thresholds;
      RuleReader reader(thresholds, &problems);
      reader.ReadFile(*root);
      reader.Take();
    } else if (root->Find("models") != nullptr) {
      ReadPriceFile(*root, &problems);
    } else {
      ReadConfig(*root, {false, false}, &problems);
    }
  }
  return problems.Take();
}

}  // namespace spanwatch::config
