// Rule files that a command names itself, instead of those of the configuration. Any thread.
#ifndef SPANWATCH_SIDECAR_RULE_FILES_H_
#define SPANWATCH_SIDECAR_RULE_FILES_H_

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/config/yaml.h"

namespace spanwatch::app {

// All rules of these files (patterns), in force together. `thresholds` resolves $slow, ...
tl::expected<core::RuleSet, std::vector<config::Problem>> LoadRuleFiles(const std::vector<std::string>& patterns,
                                                                        const config::Thresholds& thresholds);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_RULE_FILES_H_
