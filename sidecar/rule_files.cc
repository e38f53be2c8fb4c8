#include "sidecar/rule_files.h"

#include "sidecar/config/rules.h"

namespace spanwatch::app {

tl::expected<core::RuleSet, std::vector<config::Problem>> LoadRuleFiles(const std::vector<std::string>& patterns,
                                                                        const config::Thresholds& thresholds) {
  config::Problems problems;
  config::RuleReader reader(thresholds, &problems);
  for (const std::string& pattern : patterns) {
    std::vector<std::string> paths = config::ExpandPattern(pattern);
    if (paths.empty()) paths.push_back(pattern);  // its absence is told as any other file's
    for (const std::string& path : paths) {
      const std::optional<config::Node> root = config::ParseYamlFile(path, {}, &problems);
      if (root) reader.ReadFile(*root);
    }
  }
  core::RuleSet rules = reader.Take();
  if (!problems.empty()) return tl::make_unexpected(problems.Take());
  return rules;
}

}  // namespace spanwatch::app
