// One checked configuration: YAML, profile, environment and flags folded into a plain struct. Immutable after loading.
#ifndef SPANWATCH_SIDECAR_CONFIG_CONFIG_H_
#define SPANWATCH_SIDECAR_CONFIG_CONFIG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/core/routing.h"
#include "sidecar/core/rule.h"
#include "sidecar/core/secret.h"

namespace spanwatch::config {

using core::Secret;

struct ListenAddress {
  std::string host;  // numeric or "localhost"
  int port = 0;      // 0: any free one (tests)
};

// Traces to another OTLP backend; which of them: core::Limits::forward.
struct ForwardHeader {
  std::string name;
  Secret value;
};
struct Forward {
  std::string endpoint;  // where to post to, path included; empty: off
  std::vector<ForwardHeader> headers;
  bool gzip = true;
};

// [warning, critical] of each: what rules ($slow, ...), metrics and the analysis of traces go by.
struct Thresholds {
  std::vector<double> slow_ns = {1e9, 5e9};
  std::vector<double> depth = {15, 25};
  std::vector<double> error_rate = {0.10, 0.20};
  std::vector<double> memory_bytes = {100.0 * (1 << 20), 500.0 * (1 << 20)};
};

// An outside watchdog that is told "still here" in every interval, and tells somebody when that stops.
struct Watchdog {
  Secret url;              // empty: off
  std::string url_source;  // "environment variable HEALTHCHECKS_URL" or "file /etc/..."; empty: not configured
  std::int64_t interval_ns = 60'000'000'000;
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct Config {
  ListenAddress http{"127.0.0.1", 9464};
  bool http_insecure_listen = false;
  std::vector<std::string> http_allowed_hosts;
  ListenAddress otlp{"127.0.0.1", 4318};
  bool otlp_enabled = true;
  std::vector<std::string> ingest_endpoints;  // empty: the default socket, see DESIGN "Wire protocol"
  std::string state_dir;                      // empty: memory only
  bool state_dir_is_default = true;           // not named by the user: then it is no error if it cannot be used
  std::uint64_t journal_max_bytes = 256u << 20;
  std::int64_t journal_max_age_ns = 172'800'000'000'000;
  std::string external_url = "http://localhost:9464";
  bool external_url_is_default = true;  // made from http.listen: follows the port that is really bound
  core::Limits limits;
  Thresholds thresholds;
  std::shared_ptr<const core::RuleSet> rules;
  bool duration_in_milliseconds = false;  // metrics.unit: ms
  core::Routing routing;
  Forward forward;
  Watchdog watchdog;
  LogLevel log_level = LogLevel::kInfo;
  std::string source_path;  // file it came from; empty: built-in defaults
};

// One mistake: where, what, and what is allowed. Prints as "file:line:col: message".
struct Problem {
  std::string file;
  int line = 0;  // from 1; 0: the file as a whole, or not from a file
  int column = 0;
  std::string message;
  std::string ToString() const;
};

struct Sources {
  std::string path = {};     // --config; empty: search ./config/spanwatch.yaml, /etc/spanwatch/spanwatch.yaml, built-in
  std::string profile = {};  // --profile: a name in profiles/ beside the configuration file
  std::vector<std::string> sets = {};  // --set key.path=yaml
  bool use_environment = true;         // TRACING_*, LOG_LEVEL, DISCORD_WEBHOOK_URL, ...
};

// Order: flag, environment, profile, file, default. All problems at once. Reads files and the environment; no other
// effect.
tl::expected<Config, std::vector<Problem>> Load(const Sources& sources);

// Checks files of any kind, told apart by their top-level keys: a configuration, a rule file ("groups") or one of
// prices ("models").
std::vector<Problem> CheckFiles(const std::vector<std::string>& paths);

// Rules from text, as `check` and tests need them. `name` stands in problems. `limits` resolves $slow, $depth, ...
tl::expected<core::RuleSet, std::vector<Problem>> ParseRules(const std::string& name, const std::string& text,
                                                             const Thresholds& thresholds);

// What a kReload record carries: limits and rules as text, and back. ParseReload(MakeReload(c)) gives equal limits and
// rules.
std::string MakeReload(const Config& config);
struct Reload {
  std::shared_ptr<const core::RuleSet> rules;
  std::shared_ptr<const core::Limits> limits;
};
tl::expected<Reload, std::string> ParseReload(std::string_view bytes);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_CONFIG_H_
