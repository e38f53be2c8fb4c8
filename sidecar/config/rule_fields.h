// One rule while it is read: its place in the file, its reader, and where mistakes go. Internal to the rule_*.cc files,
// which each read a part of it. Lives on one thread's stack.
#ifndef SPANWATCH_SIDECAR_CONFIG_RULE_FIELDS_H_
#define SPANWATCH_SIDECAR_CONFIG_RULE_FIELDS_H_

#include <string>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/config/reader.h"
#include "sidecar/core/rule.h"

namespace spanwatch::config {

inline constexpr std::size_t kMaxRuleMatch = 16;
inline constexpr std::size_t kMaxRuleBy = 8;

struct RuleFields {
  // REQUIRES: node and sink outlive this.
  RuleFields(const Node& rule_node, std::string rule_path, Problems* sink)
      : node(rule_node), path(std::move(rule_path)), reader(rule_node, path, sink), problems(sink) {}

  void ReadAll(const Thresholds& defaults);

  // rule_fields.cc
  bool ReadMeasure();
  void HintAtForeignKeys();
  void ReadTimes();
  void ReadWindow();
  void ReadObjective();
  void ReadBurnWindows();
  void ReadPairs(const char* key, std::vector<core::NameValue>* out);
  void CheckAnnotations();

  // rule_labels.cc
  void ReadMatch();
  void ReadMatcher(MapReader* labels, const Field& field);
  void ReadBy();
  void TakeBy(const Node& value);
  void CheckByNames(const Node& value);
  void CheckLabels();

  // rule_thresholds.cc
  void ReadThresholds(const Thresholds& defaults);
  void TakeThresholds(const Node& map);
  void TakeNamedThresholds(const Node& name, const Thresholds& defaults);
  std::string WhyNeverCrossed(double threshold) const;

  std::string MeasureText() const { return core::ToString(rule.measure); }

  const Node& node;
  const std::string path;  // of messages: rule "SlowOperation"
  MapReader reader;
  Problems* const problems;
  core::Rule rule;
};

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_RULE_FIELDS_H_
