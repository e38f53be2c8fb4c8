#include "sidecar/config/settings.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sidecar/config/address.h"
#include "sidecar/config/prices.h"
#include "sidecar/core/span_names.h"

namespace spanwatch::config {
namespace {

constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kDayNs = 86'400 * kSecondNs;
constexpr std::size_t kMaxEndpoints = 8;
constexpr std::size_t kMaxAllowedHosts = 64;

bool IsEmptyText(const Node& node) {
  return node.kind == Node::Kind::kNull || (node.kind == Node::Kind::kScalar && node.text.empty());
}

// `insecure` is that section's insecure_listen.
void ReadListen(MapReader* section, const std::string& path, bool insecure, ListenAddress* out, Problems* problems) {
  const Node* node = section->Find("listen");
  if (node == nullptr) return;
  const std::string* text =
      ScalarText(*node, path + ".listen", "an address with a port, as in \"127.0.0.1:9464\"", problems);
  if (text == nullptr) return;
  const Parsed<ListenAddress> address = ParseListen(*text);
  if (!address) {
    section->Add(node->at, "listen", address.error());
  } else if (!IsLoopback(address->host) && !insecure) {
    section->Add(node->at, "listen",
                 Quote(*text) + " is not on loopback, where anybody who reaches it could read traces; set " + path +
                     ".insecure_listen: true if the network is trusted, or listen on 127.0.0.1 behind a proxy");
  } else {
    *out = *address;
  }
}

void ReadHttp(const Node& node, Config* config, Problems* problems) {
  MapReader http(node, "http", problems);
  http.Bool("insecure_listen", &config->http_insecure_listen);
  ReadListen(&http, "http", config->http_insecure_listen, &config->http, problems);
  http.NotSupported("tls", "listen on 127.0.0.1 and let a proxy in front do TLS");
  http.NotSupported("auth", "listen on 127.0.0.1 and let a proxy in front authenticate");
  const Node* hosts = http.Find("allowed_hosts");
  if (hosts == nullptr) return;
  for (const TextItem& item : TextList(*hosts, "http.allowed_hosts", problems)) {
    if (item.text.find_first_of("/ @?#") != std::string::npos) {
      http.Add(item.at, "allowed_hosts",
               Quote(item.text) + " is not a host name; allowed: names as in traces.example.org");
    }
    config->http_allowed_hosts.push_back(item.text);
  }
  if (config->http_allowed_hosts.size() > kMaxAllowedHosts) http.Add(hosts->at, "allowed_hosts", "more than 64 names");
}

void ReadOtlp(const Node& node, Config* config, Problems* problems) {
  MapReader otlp(node, "otlp", problems);
  bool insecure = false;
  otlp.Bool("insecure_listen", &insecure);
  otlp.NotSupported("tls", "listen on 127.0.0.1 and let a proxy in front do TLS");
  otlp.NotSupported("auth", "listen on 127.0.0.1 and let a proxy in front authenticate");
  const Node* listen = otlp.Find("listen");
  if (listen != nullptr && IsEmptyText(*listen)) {
    config->otlp_enabled = false;
  } else {
    ReadListen(&otlp, "otlp", insecure, &config->otlp, problems);
  }
}

void ReadSampleRate(MapReader* ingest, double* out, Problems* problems) {
  const Node* node = ingest->Find("sample_rate");
  if (node == nullptr || IsEmptyText(*node)) return;
  const std::string* text = ScalarText(*node, "ingest.sample_rate", "a share as in 0.1 or 10%", problems);
  if (text == nullptr) return;
  if (const Parsed<double> rate = ParseShare(*text)) {
    *out = *rate;
  } else {
    ingest->Add(node->at, "sample_rate", rate.error());
  }
}

void ReadIngest(const Node& node, Config* config, Problems* problems) {
  MapReader ingest(node, "ingest", problems);
  ingest.NotSupported("curve", "use an ipc:// endpoint, or tcp:// on loopback");
  ReadSampleRate(&ingest, &config->limits.sample_rate, problems);
  const Node* endpoints = ingest.Find("endpoints");
  if (endpoints == nullptr) return;
  for (const TextItem& item : TextList(*endpoints, "ingest.endpoints", problems)) {
    const Parsed<std::string> endpoint = CheckEndpoint(item.text);
    if (!endpoint) {
      ingest.Add(item.at, "endpoints", endpoint.error());
      continue;
    }
    for (const std::string& other : config->ingest_endpoints) {
      if (other == *endpoint) ingest.Add(item.at, "endpoints", Quote(*endpoint) + " is given twice; keep one of them");
    }
    config->ingest_endpoints.push_back(*endpoint);
  }
  if (config->ingest_endpoints.size() > kMaxEndpoints) ingest.Add(endpoints->at, "endpoints", "more than 8 endpoints");
}

void ReadStore(const Node& node, core::Limits* limits, Problems* problems) {
  MapReader store(node, "store", problems);
  store.Whole("max_traces", &limits->max_traces, 1, 10'000'000);
  store.Duration("ttl", &limits->ttl_ns, kSecondNs, 30 * kDayNs);
  store.Size("memory_limit", &limits->memory_limit_bytes, 1u << 20, std::uint64_t{64} << 30);
  store.Whole("max_spans_per_trace", &limits->max_spans_per_trace, 1, 10'000'000);
}

// A list of two values, the second larger than the first and the first above zero.
template <typename Parse>
void ReadLevels(MapReader* section, const char* key, const char* example, Parse parse, std::vector<double>* out) {
  const Node* node = section->Find(key);
  if (node == nullptr) return;
  const std::string help = std::string("expected [warning, critical], as in ") + example;
  if (node->kind != Node::Kind::kList || node->items.size() != 2) {
    section->Add(
        node->at, key,
        help + ", found " +
            (node->kind == Node::Kind::kList ? std::to_string(node->items.size()) + " values" : KindName(node->kind)));
    return;
  }
  std::vector<double> levels;
  for (const Node& item : node->items) {
    const Parsed<double> value =
        item.kind == Node::Kind::kScalar ? parse(item.text) : tl::make_unexpected(std::string(help));
    if (value && *value > 0) {
      levels.push_back(*value);
    } else {
      section->Add(item.at, key, value ? "must be above zero" : value.error());
    }
  }
  if (levels.size() != 2) return;
  if (levels[1] > levels[0]) {
    *out = levels;
  } else {
    section->Add(
        node->items[1].at, key,
        "critical " + Quote(node->items[1].text) + " must be larger than warning " + Quote(node->items[0].text));
  }
}

void ReadThresholds(const Node& node, Settings* settings, Problems* problems) {
  MapReader section(node, "thresholds", problems);
  const auto duration = [](const std::string& text) {
    return ParseDuration(text).map([](std::int64_t ns) { return static_cast<double>(ns); });
  };
  const auto size = [](const std::string& text) {
    return ParseSize(text).map([](std::uint64_t bytes) { return static_cast<double>(bytes); });
  };
  const auto whole = [](const std::string& text) {
    return ParseWhole(text).map([](std::uint64_t count) { return static_cast<double>(count); });
  };
  Thresholds* out = &settings->config.thresholds;
  ReadLevels(&section, "slow", "[1s, 5s]", duration, &out->slow_ns);
  ReadLevels(&section, "depth", "[15, 25]", whole, &out->depth);
  ReadLevels(&section, "error_rate", "[10%, 20%]", ParsePercent, &out->error_rate);
  ReadLevels(&section, "memory", "[100MB, 500MB]", size, &out->memory_bytes);
  core::Limits* limits = &settings->config.limits;
  limits->slow_warning_ns = std::llround(out->slow_ns[0]);
  limits->slow_critical_ns = std::llround(out->slow_ns[1]);
  limits->error_rate_warning = out->error_rate[0];
  limits->error_rate_critical = out->error_rate[1];
  limits->memory_warning_bytes = std::llround(out->memory_bytes[0]);
  limits->memory_critical_bytes = std::llround(out->memory_bytes[1]);
}

void ReadSpanNames(const Node& node, core::Limits* limits, Problems* problems) {
  for (const TextItem& item :
       TextList(node, "metrics.span_names", problems, "a list of names, as in [\"/users/{id}\"]")) {
    const std::string problem = core::SpanNames::Problem(item.text);
    if (!problem.empty()) {
      problems->Add(item.at, "metrics.span_names: " + Quote(item.text) + " " + problem);
    } else if (std::find(limits->span_names.begin(), limits->span_names.end(), item.text) != limits->span_names.end()) {
      problems->Add(item.at, "metrics.span_names: " + Quote(item.text) + " is given twice; keep one of them");
    } else if (limits->span_names.size() == core::kMaxSpanNames) {
      problems->Add(item.at, "metrics.span_names: more than 64 names");
      return;
    } else {
      limits->span_names.push_back(item.text);
    }
  }
}

void ReadMetrics(const Node& node, Config* config, Problems* problems) {
  MapReader metrics(node, "metrics", problems);
  std::size_t unit = 0;
  metrics.Choice("unit", {"s", "ms"}, &unit);
  config->duration_in_milliseconds = unit == 1;
  metrics.Whole("max_series", &config->limits.max_series, 1, 100'000);
  metrics.Whole("max_series_per_service", &config->limits.max_series_per_service, 1, 100'000);
  const Node* idle = metrics.Find("series_idle");
  if (idle != nullptr && idle->kind == Node::Kind::kScalar && idle->text == "off") {
    config->limits.series_idle_ns = 0;
  } else {
    metrics.Duration("series_idle", &config->limits.series_idle_ns, 60 * kSecondNs, 30 * kDayNs);
  }
  if (const Node* names = metrics.Find("span_names")) ReadSpanNames(*names, &config->limits, problems);
}

void ReadAlerts(const Node& node, core::Limits* limits, Problems* problems) {
  MapReader alerts(node, "alerts", problems);
  alerts.Duration("update_interval", &limits->update_interval_ns, 100 * kMillisecondNs, 3600 * kSecondNs);
  alerts.Whole("max_incidents", &limits->max_incidents, 1, 100'000);
}

void ReadLog(const Node& node, Config* config, Problems* problems) {
  MapReader log(node, "log", problems);
  static const std::vector<std::string> names = {"debug", "info", "warn", "warning", "error"};
  static constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kWarning,
                                         LogLevel::kError};
  std::size_t level = 1;
  log.Choice("level", names, &level);
  config->log_level = kLevels[level];
}

std::string DefaultStateDirectory() {
  if (const auto directory = Environment("STATE_DIRECTORY")) return directory->substr(0, directory->find(':'));
  if (const auto state = Environment("XDG_STATE_HOME")) return *state + "/spanwatch";
  if (const auto home = Environment("HOME")) return *home + "/.local/state/spanwatch";
  return "";
}

void ReadStateDirectory(MapReader* top, const SettingsOptions& options, Config* config, Problems* problems) {
  const Node* node = top->Find("state_dir");
  config->state_dir_is_default = node == nullptr;
  if (node == nullptr) {
    config->state_dir = options.use_environment ? DefaultStateDirectory() : "";
  } else if (IsEmptyText(*node)) {
    config->state_dir.clear();
  } else if (const std::string* text = ScalarText(*node, "state_dir", "a directory", problems)) {
    config->state_dir = ResolvePath(*text, node->at);
  }
}

void ReadJournal(const Node& node, Config* config, Problems* problems) {
  MapReader journal(node, "journal", problems);
  journal.Size("max_size", &config->journal_max_bytes, 16u << 20, 64ull << 30);
  journal.Duration("max_age", &config->journal_max_age_ns, 60 * kSecondNs, 365 * 24 * 3600 * kSecondNs);
}

void ReadExternalUrl(MapReader* top, Config* config, Problems* problems) {
  const bool any_address = config->http.host == "0.0.0.0" || config->http.host == "::" || IsLoopback(config->http.host);
  const bool is_v6 = config->http.host.find(':') != std::string::npos;
  const std::string host = any_address ? "localhost" : is_v6 ? "[" + config->http.host + "]" : config->http.host;
  config->external_url = "http://" + host + ":" + std::to_string(config->http.port);
  const Node* node = top->Find("external_url");
  if (node == nullptr) return;
  const std::string* text = ScalarText(*node, "external_url", "a URL", problems);
  if (text == nullptr) return;
  const Parsed<std::string> url = CheckExternalUrl(*text);
  if (!url) {
    problems->Add(node->at, "external_url: " + url.error());
    return;
  }
  config->external_url = *url;
  config->external_url_is_default = false;
}

}  // namespace

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string ResolvePath(const std::string& path, const Position& at) {
  const std::filesystem::path given(path);
  if (given.is_absolute() || at.source == nullptr) return given.lexically_normal().string();
  return (at.source->directory / given).lexically_normal().string();
}

Settings ReadSettings(const Node& root, const SettingsOptions& options, Problems* problems) {
  Settings settings;
  Config* config = &settings.config;
  MapReader top(root, "", problems);
  static const Node kAbsent;
  const auto section = [&](const char* key) -> const Node& {
    const Node* node = top.Find(key);
    return node == nullptr ? kAbsent : *node;
  };
  ReadHttp(section("http"), config, problems);
  ReadOtlp(section("otlp"), config, problems);
  ReadIngest(section("ingest"), config, problems);
  ReadStore(section("store"), &config->limits, problems);
  ReadThresholds(section("thresholds"), &settings, problems);
  ReadMetrics(section("metrics"), config, problems);
  ReadAlerts(section("alerts"), &config->limits, problems);
  ReadLog(section("log"), config, problems);
  ReadStateDirectory(&top, options, config, problems);
  ReadJournal(section("journal"), config, problems);
  ReadExternalUrl(&top, config, problems);
  ReadReceivers(&top, options, config, problems);
  ReadRouting(&top, config, problems);
  ReadForward(section("forward"), options, config, problems);
  ReadWatchdog(section("watchdog"), options, config, problems);
  config->limits.prices = ReadPrices(&top, problems);
  top.Hint("models", "prices stand in a file of their own; name it under \"prices:\"");
  top.Hint("groups", "rules stand in files of their own; list those under \"rules:\"");
  if (const Node* rules = top.Find("rules")) {
    settings.has_rules = true;
    const char* const what = "a list of file patterns, as in [\"../rules/*.yaml\"]";
    if (rules->kind != Node::Kind::kNull) settings.rule_globs = TextList(*rules, "rules", problems, what);
  }
  return settings;
}

}  // namespace spanwatch::config
