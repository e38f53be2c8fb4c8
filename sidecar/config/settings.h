// The sections of a configuration file: a merged tree -> Config, without its rules.
#ifndef SPANWATCH_SIDECAR_CONFIG_SETTINGS_H_
#define SPANWATCH_SIDECAR_CONFIG_SETTINGS_H_

#include <optional>
#include <string>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/config/reader.h"
#include "sidecar/config/yaml.h"

namespace spanwatch::config {

struct Settings {
  Config config;           // all but rules
  bool has_rules = false;  // the key is there; else the built-in rules hold
  std::vector<TextItem> rule_globs;
};

struct SettingsOptions {
  bool use_environment = true;  // look up the variables of receivers and the state directory
  bool read_secrets = true;     // read the files of receivers
};

Settings ReadSettings(const Node& root, const SettingsOptions& options, Problems* problems);

// receivers.cc: "receivers".
void ReadReceivers(MapReader* top, const SettingsOptions& options, Config* config, Problems* problems);

// route.cc: "route" and "inhibit_rules". REQUIRES: config->routing.receivers are read already.
void ReadRouting(MapReader* top, Config* config, Problems* problems);

// forward.cc: "forward". REQUIRES: config->otlp is read already.
void ReadForward(const Node& node, const SettingsOptions& options, Config* config, Problems* problems);

// receivers_url.cc: "watchdog".
void ReadWatchdog(const Node& node, const SettingsOptions& options, Config* config, Problems* problems);

// A variable that is set and not empty.
std::optional<std::string> Environment(const std::string& name);

// `path` from the directory of the file that it stands in.
std::string ResolvePath(const std::string& path, const Position& at);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_SETTINGS_H_
