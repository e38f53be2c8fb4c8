// The layers of a configuration, from the weakest: file, profile, environment, flags. Each is a tree that keeps its own
// positions, so that a mistake is reported where it was made.
#ifndef SPANWATCH_SIDECAR_CONFIG_LAYERS_H_
#define SPANWATCH_SIDECAR_CONFIG_LAYERS_H_

#include <string>
#include <vector>

#include "sidecar/config/yaml.h"

namespace spanwatch::config {

// TRACING_MAX_TRACES, TRACING_TRACE_TTL, TRACING_SLOW_THRESHOLD, TRACING_MEMORY_LIMIT, LOG_LEVEL, TRACING_LOG_LEVEL.
// Plain numbers have the units that these variables always had: ms and bytes.
void ApplyEnvironment(Node* root);

// --set key.path=yaml, in order.
void ApplySets(const std::vector<std::string>& sets, Node* root, Problems* problems);

// profiles/NAME.yaml beside `config_path`.
void ApplyProfile(const std::string& name, const std::string& config_path, Node* root, Problems* problems);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_LAYERS_H_
