// The text of rules/default.yaml, put into the binary by the build.
#ifndef SPANWATCH_SIDECAR_CONFIG_DEFAULT_RULES_H_
#define SPANWATCH_SIDECAR_CONFIG_DEFAULT_RULES_H_

#include <string_view>

namespace spanwatch::config {

extern const std::string_view kDefaultRules;

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_DEFAULT_RULES_H_
