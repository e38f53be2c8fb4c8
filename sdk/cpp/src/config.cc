#include "sdk/cpp/src/config.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/user_hash.h"

namespace spanwatch::internal {
namespace {

constexpr std::size_t kMaxProblems = 4096;
constexpr std::size_t kMaxAttributes = 128;
constexpr std::size_t kMaxAttributeBytes = 4096;

void Report(Config* config, const std::string& problem) {
  if (config->problems.size() + problem.size() < kMaxProblems) config->problems += problem + "\n";
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Values are not repeated in full: they may hold what should not be shown.
std::string Shown(const std::string& value) { return "\"" + value.substr(0, 64) + "\""; }

bool ParseBool(const std::string& text, bool* out) {
  const std::string lower = Lower(text);
  if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") return *out = true;
  if (lower != "false" && lower != "0" && lower != "no" && lower != "off") return false;
  *out = false;
  return true;
}

// 0..1 or 0%..100%, with a point in whatever language the program speaks (setlocale).
bool ParseRate(const std::string& text, double* out) {
  double value = 0;
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, value);
  if (error != std::errc()) return false;
  const std::string_view unit(end, static_cast<std::size_t>(text_end - end));
  if (unit == "%") value /= 100;
  if (!(unit.empty() || unit == "%") || !(value >= 0 && value <= 1)) return false;
  *out = value;
  return true;
}

bool ParseMode(const std::string& text, RedactionMode* out) {
  const std::string lower = Lower(text);
  if (lower == "default" || lower == "on")
    *out = RedactionMode::kDefault;
  else if (lower == "strict")
    *out = RedactionMode::kStrict;
  else if (lower == "off")
    *out = RedactionMode::kOff;
  else
    return false;
  return true;
}

bool ParseLevel(const std::string& text, LogLevel* out) {
  const std::string lower = Lower(text);
  if (lower == "debug" || lower == "trace")
    *out = LogLevel::kDebug;
  else if (lower == "info")
    *out = LogLevel::kInfo;
  else if (lower == "warn" || lower == "warning")
    *out = LogLevel::kWarn;
  else if (lower == "error")
    *out = LogLevel::kError;
  else
    return false;
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Adds or replaces.
void SetAttribute(Config* config, const std::string& key, const std::string& value) {
  if (key.empty() || key.size() > 256 || value.size() > kMaxAttributeBytes) {
    return Report(config, "resource attribute " + Shown(key) + ": empty or too long");
  }
  for (auto& attribute : config->resource) {
    if (attribute.first == key) {
      attribute.second = value;
      return;
    }
  }
  if (config->resource.size() == kMaxAttributes) return Report(config, "more than 128 resource attributes");
  config->resource.emplace_back(key, value);
}

// key=value,key=value. One bad member makes all of it bad, as OpenTelemetry asks.
void ReadResourceAttributes(Config* config, const std::string& text) {
  std::vector<std::pair<std::string, std::string>> read;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view member = Trimmed(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return Report(config,
                    "OTEL_RESOURCE_ATTRIBUTES: " + Shown(std::string(member)) + " is not key=value; all are ignored");
    }
    read.emplace_back(Trimmed(member.substr(0, equals)), PercentDecoded(Trimmed(member.substr(equals + 1))));
  }
  for (const auto& [key, value] : read) SetAttribute(config, key, value);
}

std::string Executable() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  if (size <= 0) return {};
  const std::string text(path, static_cast<std::size_t>(size));
  return text.substr(text.rfind('/') + 1);
}

void MakeResource(Config* config, const Options& options, const std::string& environment_name,
                  const std::string& attributes) {
  const std::string executable = Executable();
  utsname host;
  SetAttribute(config, "service.name", executable.empty() ? "unknown_service" : "unknown_service:" + executable);
  SetAttribute(config, "telemetry.sdk.language", "cpp");
  SetAttribute(config, "telemetry.sdk.name", "spanwatch");
  SetAttribute(config, "telemetry.sdk.version", SPANWATCH_SDK_VERSION);
  SetAttribute(config, "process.pid", std::to_string(getpid()));
  if (!executable.empty()) SetAttribute(config, "process.executable.name", executable);
  if (uname(&host) == 0) SetAttribute(config, "host.name", host.nodename);
  ReadResourceAttributes(config, attributes);
  if (!environment_name.empty()) SetAttribute(config, "service.name", environment_name);
  for (const auto& [key, value] : options.resource_attributes) SetAttribute(config, key, value);
  if (!options.service_version.empty()) SetAttribute(config, "service.version", options.service_version);
  if (!options.service_name.empty()) SetAttribute(config, "service.name", options.service_name);
}

// The key is shown nowhere, not even a bad one.
void ReadPrivacy(Config* config, const Options& options, const std::string& mode, const std::string& hash_key) {
  config->redaction = options.redaction;
  RedactionMode environment = RedactionMode::kDefault;
  if (!mode.empty() && !ParseMode(mode, &environment))
    Report(config, "TRACING_REDACTION=" + Shown(mode) + " is not default, strict or off; the default is used");
  if (config->redaction.mode == RedactionMode::kFromEnvironment) config->redaction.mode = environment;
  if (config->redaction.mode == RedactionMode::kOff)
    Report(config, "redaction is off: spans leave this process as they are, with whatever is in them");
  for (const auto& [name, text] : {std::pair<const char*, const std::string&>("Options::hash_key", options.hash_key),
                                   std::pair<const char*, const std::string&>("TRACING_HASH_KEY", hash_key)}) {
    if (text.empty() || config->hash_key.has_value()) continue;
    config->hash_key = ParseHashKey(text);
    if (!config->hash_key.has_value())
      Report(config, std::string(name) + " is shorter than 16 bytes; not used (32 hex digits are best)");
  }
}

bool IsSocket(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

bool IsEndpoint(const std::string& text) {
  constexpr std::size_t kMaxPath = 107;
  if (text.rfind("ipc://", 0) == 0) return text.size() > 6 && text.size() - 6 <= kMaxPath;
  if (text.rfind("tcp://", 0) != 0) return false;
  const std::size_t colon = text.rfind(':');
  if (colon <= 6 || colon + 1 >= text.size() || text.size() > 512) return false;
  for (std::size_t i = colon + 1; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
  }
  const long port = std::strtol(text.c_str() + colon + 1, nullptr, 10);
  return port >= 1 && port <= 65535;
}

std::string FindEndpoint() {
  const char* const runtime_dir = std::getenv("XDG_RUNTIME_DIR");
  const std::string candidates[] = {
      runtime_dir != nullptr && *runtime_dir != '\0' ? std::string(runtime_dir) + "/spanwatch/spanwatch.sock"
                                                     : std::string(),
      "/run/spanwatch/spanwatch.sock", "/tmp/spanwatch-" + std::to_string(getuid()) + "/spanwatch.sock"};
  for (const std::string& path : candidates) {
    if (!path.empty() && IsEndpoint("ipc://" + path) && IsSocket(path)) return "ipc://" + path;
  }
  return {};
}

Config MakeConfig(const Options& options, char* (*get)(const char*)) {
  Config config;
  const auto variable = [&](const char* name) {
    const char* const value = get(name);
    return std::string(value == nullptr ? "" : value);
  };
  const auto bad = [&](const char* name, const std::string& value, const char* allowed) {
    Report(&config, std::string(name) + "=" + Shown(value) + " is not " + allowed + "; the default is used");
  };
  config.enabled = options.enabled != Options::Enabled::kNo;
  if (const std::string text = variable("TRACING_ENABLED"); !text.empty()) {
    bool on = true;
    if (!ParseBool(text, &on)) bad("TRACING_ENABLED", text, "true or false");
    if (!on) config.enabled = false;
  }
  if (const std::string text = variable("TRACING_SAMPLE_RATE");
      !text.empty() && !ParseRate(text, &config.sample_rate)) {
    bad("TRACING_SAMPLE_RATE", text, "0..1 or 0%..100%");
  }
  if (options.sample_rate >= 0 && options.sample_rate <= 1) {
    config.sample_rate = options.sample_rate;
  } else if (!(options.sample_rate < 0)) {
    Report(&config, "Options::sample_rate is not 0..1; not used");
  }
  if (const std::string text = variable("TRACING_LOG_LEVEL"); !text.empty() && !ParseLevel(text, &config.log_level)) {
    bad("TRACING_LOG_LEVEL", text, "debug, info, warn or error");
  }
  if (options.log_level != LogLevel::kDebug) config.log_level = options.log_level;
  if (const std::string text = variable("TRACING_ENDPOINT"); !text.empty()) {
    if (IsEndpoint(text))
      config.endpoint = text;
    else
      bad("TRACING_ENDPOINT", text, "ipc:///path (at most 107 bytes) or tcp://host:port");
  }
  if (!options.endpoint.empty()) {
    if (IsEndpoint(options.endpoint))
      config.endpoint = options.endpoint;
    else
      Report(&config,
             "Options::endpoint " + Shown(options.endpoint) + " is not ipc:///path or tcp://host:port; not used");
  }
  if (const std::string text = variable("TRACING_CLOCK"); !text.empty() && text != "auto" && text != kMonotonicClock)
    bad("TRACING_CLOCK", text, "auto or monotonic");
  config.slow_threshold_ns = std::uint64_t{options.slow_threshold_ms} * 1000000;
  ReadPrivacy(&config, options, variable("TRACING_REDACTION"), variable("TRACING_HASH_KEY"));
  MakeResource(&config, options, variable("OTEL_SERVICE_NAME"), variable("OTEL_RESOURCE_ATTRIBUTES"));
  return config;
}

}  // namespace spanwatch::internal
