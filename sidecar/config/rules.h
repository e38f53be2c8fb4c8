// Rule files: YAML -> checked core::Rule. Every mistake of a file is reported at once.
#ifndef SPANWATCH_SIDECAR_CONFIG_RULES_H_
#define SPANWATCH_SIDECAR_CONFIG_RULES_H_

#include <map>
#include <string>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/config/yaml.h"
#include "sidecar/core/rule.h"

namespace spanwatch::config {

// The files that a pattern names, sorted by name.
std::vector<std::string> ExpandPattern(const std::string& pattern);

// Reads rule files that are in force together: group names are unique over all of them.
class RuleReader {
 public:
  // REQUIRES: both outlive the reader.
  RuleReader(const Thresholds& thresholds, Problems* problems) : thresholds_(thresholds), problems_(problems) {}

  // Adds the file's rules. `root` is its whole tree.
  void ReadFile(const Node& root);
  // All rules so far. Call once, at the end: it also checks their number.
  core::RuleSet Take();

 private:
  void ReadGroup(const Node& node, std::size_t number);

  const Thresholds& thresholds_;
  Problems* const problems_;
  std::map<std::string, Position> groups_;
  std::vector<core::Rule> rules_;
  Position last_rule_;
};

// One entry of groups[].rules. Nothing is returned if it has mistakes; problems has them.
std::optional<core::Rule> ReadRule(const Node& node, const std::string& group, const Thresholds& thresholds,
                                   Problems* problems);

// Mistakes of a template of `rule`: what is not one of the names in {{ }} that it has values for.
std::vector<std::string> CheckTemplate(const std::string& text, const core::Rule& rule);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_RULES_H_
