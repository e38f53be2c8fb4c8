// Options and environment, checked, as one set of settings.
#ifndef SPANWATCH_SDK_CPP_SRC_CONFIG_H_
#define SPANWATCH_SDK_CPP_SRC_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sdk/cpp/redact/siphash.h"
#include "spanwatch/options.h"

namespace spanwatch::internal {

struct Config {
  bool enabled = true;
  std::string endpoint;  // empty: search
  double sample_rate = 1;
  LogLevel log_level = LogLevel::kDebug;
  std::uint64_t slow_threshold_ns = 1000000000;
  Redaction redaction;                                        // its mode is decided
  std::optional<redact::HashKey> hash_key;                    // none: a random one
  std::vector<std::pair<std::string, std::string>> resource;  // unique keys; without service.instance.id
  std::string problems;                                       // one line each
};

// Reads the environment through `get` (std::getenv). May throw std::bad_alloc.
Config MakeConfig(const Options& options, char* (*get)(const char*));

// `ipc:///path` (at most 107 bytes of path) or `tcp://host:port`.
bool IsEndpoint(const std::string& text);

// The first default path where a socket exists, as an endpoint; empty if there is none.
std::string FindEndpoint();

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_CONFIG_H_
