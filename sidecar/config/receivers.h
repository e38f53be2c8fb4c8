// One receiver of the configuration: the kinds, and what they share. Every mistake goes to Problems, and none quotes a
// value that could be a secret.
#ifndef SPANWATCH_SIDECAR_CONFIG_RECEIVERS_H_
#define SPANWATCH_SIDECAR_CONFIG_RECEIVERS_H_

#include <string>

#include "sidecar/config/reader.h"
#include "sidecar/config/settings.h"

namespace spanwatch::config {

// A secret under two keys, of which one may be there: KEY_env, the name of an environment variable, or KEY_file, a
// path.
struct SecretKey {
  const char* key;      // "webhook_url"
  const char* what;     // "the URL", as messages call it
  const char* example;  // "DISCORD_WEBHOOK_URL"
};
struct FoundSecret {
  bool named = false;  // one of the keys is there, right or wrong
  std::string source;  // "environment variable NAME" or "file PATH": what to tell the user; empty: not named rightly
  std::string text;    // without spaces around it; empty: not set, or not to be looked up
  std::string path;    // of the key, and where its value stands, for what is wrong with the text
  Position at;
};
FoundSecret FindSecret(MapReader* reader, const std::string& path, const SecretKey& key, const SettingsOptions& options,
                       Problems* problems);
// "give exactly one of webhook_url_env (the name of an environment variable) and webhook_url_file (a path)"
std::string OneSource(const SecretKey& key);

// The kinds: the map under `discord`, `webhook` or `alertmanager`, `path` being its own. The receiver has its name.
using ReadKind = void (*)(const Node& node, const std::string& path, const SettingsOptions& options,
                          core::Receiver* receiver, Problems* problems);
void ReadDiscord(const Node& node, const std::string& path, const SettingsOptions& options, core::Receiver* receiver,
                 Problems* problems);
// receivers_url.cc
void ReadWebhook(const Node& node, const std::string& path, const SettingsOptions& options, core::Receiver* receiver,
                 Problems* problems);
void ReadAlertmanager(const Node& node, const std::string& path, const SettingsOptions& options,
                      core::Receiver* receiver, Problems* problems);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_RECEIVERS_H_
