#include "sidecar/app.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

#include "sidecar/ingest/otlp_encode.h"

namespace spanwatch::app {
namespace {

constexpr std::int64_t kIngestStopNs = 1'500'000'000;
constexpr std::int64_t kNotifierStopNs = 2'000'000'000;

std::int64_t WallClockNs() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

spdlog::level::level_enum SpdlogLevel(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kDebug:
      return spdlog::level::debug;
    case config::LogLevel::kInfo:
      return spdlog::level::info;
    case config::LogLevel::kWarning:
      return spdlog::level::warn;
    case config::LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Keys that take effect at the next start only.
std::vector<std::string> NeedRestart(const config::Config& old, const config::Config& now) {
  std::vector<std::string> keys;
  const auto differ = [&](bool different, const char* key) {
    if (different) keys.emplace_back(key);
  };
  differ(old.http.host != now.http.host || old.http.port != now.http.port, "http.listen");
  differ(old.http_insecure_listen != now.http_insecure_listen, "http.insecure_listen");
  differ(old.http_allowed_hosts != now.http_allowed_hosts, "http.allowed_hosts");
  differ(old.otlp_enabled != now.otlp_enabled || old.otlp.host != now.otlp.host || old.otlp.port != now.otlp.port,
         "otlp.listen");
  differ(old.ingest_endpoints != now.ingest_endpoints, "ingest.endpoints");
  differ(old.state_dir != now.state_dir, "state_dir");
  differ(old.journal_max_bytes != now.journal_max_bytes, "journal.max_size");
  differ(old.journal_max_age_ns != now.journal_max_age_ns, "journal.max_age");
  differ(old.duration_in_milliseconds != now.duration_in_milliseconds, "metrics.unit");
  return keys;
}

std::string Join(const std::vector<std::string>& parts, const char* between) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : between) + part;
  return joined;
}

}  // namespace

tl::expected<config::Config, std::vector<config::Problem>> LoadConfig(const config::Sources& sources) {
  auto config = config::Load(sources);
  if (!config) return config;
  std::vector<config::Problem> problems;
  for (const core::Receiver& receiver : config->routing.receivers) {
    if (receiver.url.empty()) continue;
    const std::string problem = notify::UrlProblem(receiver);
    if (problem.empty()) continue;
    problems.push_back({"", 0, 0, "receiver \"" + receiver.name + "\", " + receiver.url_source + ": " + problem});
  }
  if (!config->watchdog.url.empty()) {
    const std::string problem = notify::WatchdogUrlProblem(config->watchdog.url);
    if (!problem.empty()) problems.push_back({"", 0, 0, "watchdog, " + config->watchdog.url_source + ": " + problem});
  }
  if (!problems.empty()) return tl::make_unexpected(std::move(problems));
  return config;
}

bool ParseReloadRecord(std::string_view bytes, core::Decoded* out) {
  auto reload = config::ParseReload(bytes);
  if (!reload) return false;
  out->rules = std::move(reload->rules);
  out->limits = std::move(reload->limits);
  return true;
}

void SetUpLog(config::LogLevel level) {
  static const auto logger = [] {
    auto created = spdlog::stderr_color_mt("spanwatch");
    created->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    spdlog::set_default_logger(created);
    return created;
  }();
  logger->set_level(SpdlogLevel(level));
}

std::string ListenUrl(const config::ListenAddress& address, int port) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return "http://" + (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(port);
}

App::App(config::Config config, config::Sources sources, std::string record_path)
    : sources_(std::move(sources)),
      record_path_(std::move(record_path)),
      started_ns_(WallClockNs()),
      config_(std::move(config)) {
  reload_.at_ns = started_ns_;
}

App::~App() { Stop(); }

tl::expected<void, std::string> App::Start() {
  config::Config config;
  {
    MutexLock lock(&mutex_);
    config = config_;
  }
  if (auto opened = OpenState(config); !opened) return opened;
  // Bare: rules and limits come with the first record, so that the fold of a recording starts from the same state.
  engine_ = std::make_unique<core::Engine>(core::Limits{}, std::make_shared<core::RuleSet>());
  StartNotifier(config);
  StartForwarder(config);
  watchdog_ = std::make_unique<notify::Watchdog>(WatchdogOptions(config));
  auto result = StartIngest(config);
  if (result) result = StartOtlp(config);
  if (result) result = StartHttp(config);
  if (!result) {
    Stop();
    return result;
  }
  if (config.external_url_is_default && config.http.port == 0) notifier_->Reconfigure(NotifierOptions(config));
  ready_.store(true);
  LogStart(config);
  StartWatchdog(config);
  return {};
}

void App::Stop() {
  ready_.store(false);
  if (watchdog_ != nullptr) watchdog_->Stop();
  // Both wait for requests at work; side by side, so that the whole stop stays short.
  std::thread otlp([this] {
    if (otlp_server_ != nullptr) otlp_server_->Stop();
  });
  if (server_ != nullptr) server_->Stop();
  otlp.join();
  if (ingest_ != nullptr) ingest_->Stop(kIngestStopNs);
  std::thread forwarder([this] {
    const std::size_t left = forwarder_ == nullptr ? 0 : forwarder_->Stop(kNotifierStopNs);
    if (left > 0) spdlog::warn("stopped with {} traces not forwarded", left);
  });
  if (notifier_ == nullptr) return forwarder.join();
  const std::size_t undelivered = notifier_->Stop(kNotifierStopNs);
  if (undelivered > 0) spdlog::warn("stopped with {} alert messages not delivered", undelivered);
  forwarder.join();
}

std::string App::ExternalUrl(const config::Config& config) const {
  if (!config.external_url_is_default || config.http.port != 0 || port() == 0) return config.external_url;
  return config.external_url.substr(0, config.external_url.rfind(':') + 1) + std::to_string(port());
}

notify::Options App::NotifierOptions(const config::Config& config) const {
  notify::Options options;
  options.routing = std::make_shared<core::Routing>(config.routing);
  options.external_url = ExternalUrl(config);
  options.trace_stored = [engine = engine_.get()](const TraceId& id) { return engine->HasTrace(id); };
  options.find_trace = [engine = engine_.get()](const TraceId& id) { return engine->GetTrace(id); };
  options.version = SPANWATCH_VERSION;
  if (state_ != nullptr) options.state_path = state_->notify_database();
  options.hold_until_reconcile = true;
  options.compile_pattern = PatternCompiler();
  return options;
}

// A directory that the user named must be usable. The default one need not: then everything works, in memory only.
tl::expected<void, std::string> App::OpenState(const config::Config& config) {
  if (config.state_dir.empty()) return {};
  auto state = StateDirectory::Open(config.state_dir);
  if (state) {
    state_ = std::move(*state);
    return {};
  }
  if (state.error().locked || !config.state_dir_is_default) return tl::make_unexpected(state.error().text);
  no_state_ = state.error().text;
  spdlog::warn("{}. Until then a restart forgets traces and alerts", no_state_);
  return {};
}

void App::StartNotifier(const config::Config& config) {
  notifier_ = std::make_unique<notify::Notifier>(NotifierOptions(config));
  notifier_->Start();
}

tl::expected<void, std::string> App::StartIngest(const config::Config& config) {
  ingest::Options options;
  options.endpoints = config.ingest_endpoints;
  options.record_path = record_path_;
  options.limits = config.limits;
  options.first_reload = config::MakeReload(config);
  options.parse_reload = ParseReloadRecord;
  options.on_transitions = [notifier = notifier_.get()](std::vector<core::Transition> transitions) {
    notifier->Enqueue(std::move(transitions));
  };
  options.on_completed = [forwarder = forwarder_.get()](std::vector<core::Completed> traces) {
    forwarder->Enqueue(std::move(traces));
  };
  options.log = [](const std::string& text) { spdlog::warn("{}", text); };
  if (state_ != nullptr) {
    options.journal_directory = state_->journal();
    options.committed_ns = notifier_->CommittedNs();
    options.journal_max_bytes = config.journal_max_bytes;
    options.journal_max_age_ns = config.journal_max_age_ns;
    if (const std::string said = state_->BeginFold(); !said.empty()) spdlog::error("{}", said);
  }
  ingest_ = std::make_unique<ingest::Ingest>(std::move(options), engine_.get());
  auto started = ingest_->Start();
  if (state_ != nullptr) state_->EndFold();
  notifier_->Reconcile(engine_->Incidents());
  for (const std::string& problem : ingest_->folded().problems) spdlog::warn("journal: {}", problem);
  return started;
}

tl::expected<void, std::string> App::StartHttp(const config::Config& config) {
  metrics::Sources sources;
  sources.engine = engine_.get();
  sources.duration_in_milliseconds = config.duration_in_milliseconds;
  sources.version = SPANWATCH_VERSION;
  sources.notifications = [this] { return NotificationCounts(); };
  sources.config_reload_successful = [this] { return reload_successful_.load(); };
  sources.http = [this] { return HttpCounts(); };
  sources.journal = [this] { return JournalCounts(); };
  sources.outbox = [this] { return OutboxCounts(); };
  sources.routing = [this] { return RoutingCounts(); };
  sources.forward = [this] { return ForwardCounts(); };
  sources.watchdog = [this] { return WatchdogCounts(); };
  exposition_ = std::make_unique<metrics::Exposition>(std::move(sources));

  http::Options options;
  options.host = config.http.host;
  options.port = config.http.port;
  options.external_url = config.external_url;
  options.allowed_hosts = config.http_allowed_hosts;
  http::Hooks hooks;
  hooks.engine = engine_.get();
  hooks.metrics = [this](const std::string& accept, std::string* content_type) {
    return exposition_->Render(accept, content_type);
  };
  hooks.ready = [this] { return ready_.load(); };
  hooks.reload = [this] { return Reload(); };
  hooks.status_json = [this] { return StatusJson(); };
  hooks.notices = [this] { return Notices(); };
  hooks.now_ns = WallClockNs;
  hooks.version = SPANWATCH_VERSION;
  hooks.analysis_options = [this] { return AnalysisOptions(); };
  hooks.kept_trace = [notifier = notifier_.get()](const TraceId& id) -> std::optional<http::KeptTrace> {
    auto copy = notifier->GetKeptTrace(id);
    if (!copy) return std::nullopt;
    return http::KeptTrace{std::move(copy->trace), {true, copy->cut, std::move(copy->alerts)}};
  };
  hooks.encode_otlp = ingest::EncodeOtlp;
  SetRoutingHooks(&hooks);
  server_ = std::make_unique<http::Server>(std::move(options), std::move(hooks));
  return server_->Start();
}

void App::LogStart(const config::Config& config) const {
  spdlog::info("spanwatch {} with {}, {} rules", SPANWATCH_VERSION,
               config.source_path.empty() ? "built-in defaults (no configuration file found)" : config.source_path,
               config.rules->rules.size());
  for (const std::string& endpoint : ingest_->BoundEndpoints()) spdlog::info("receiving spans on {}", endpoint);
  const std::string url = ListenUrl(config.http, port());
  if (otlp_server_ != nullptr) {
    const std::string otlp_url = ListenUrl(config.otlp, otlp_port());
    spdlog::info("receiving OTLP on {}/v1/traces", otlp_url);
    if (!http::IsLoopback(config.otlp.host)) {
      spdlog::warn("otlp.insecure_listen is on: whoever reaches {} can send spans", otlp_url);
    }
  }
  spdlog::info("listening on {}", url);
  spdlog::info("look at {}/ (traces and alerts), {}/metrics (Prometheus)", url, url);
  if (config.http_insecure_listen) {
    spdlog::warn("http.insecure_listen is on: whoever reaches {} can read traces and reload", url);
  }
  const ingest::Folded& folded = ingest_->folded();
  if (state_ == nullptr) {
    if (no_state_.empty()) spdlog::info("state_dir is empty: a restart forgets traces and alerts");
  } else if (folded.last_ns == 0) {
    spdlog::info("keeping state in {}", config.state_dir);
  } else {
    const core::StatsView stats = engine_->Stats();
    spdlog::info("keeping state in {}: {} records read in {} ms, {} traces, {} incidents firing", config.state_dir,
                 folded.records, folded.duration_ns / 1'000'000, stats.store.traces, stats.alerts_firing);
  }
  if (!config.forward.endpoint.empty()) spdlog::info("forwarding traces to {}", config.forward.endpoint);
  if (!record_path_.empty()) spdlog::info("recording every input to {}", record_path_);
  LogReceivers(config, url);
}

tl::expected<void, std::string> App::Reload() {
  MutexLock one_at_a_time(&reload_mutex_);
  auto loaded = LoadConfig(sources_);
  std::string error;
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) error += (error.empty() ? "" : "\n") + problem.ToString();
  } else if (const auto result = TakeOver(std::move(*loaded)); !result) {
    error = result.error();
  }
  reload_successful_.store(error.empty());
  {
    MutexLock lock(&mutex_);
    reload_.successful = error.empty();
    reload_.at_ns = WallClockNs();
    reload_.error = error;
  }
  if (error.empty()) return {};
  spdlog::error("configuration not loaded, the former one stays in force:\n{}", error);
  return tl::make_unexpected(std::move(error));
}

tl::expected<void, std::string> App::TakeOver(config::Config config) {
  config::Config old;
  {
    MutexLock lock(&mutex_);
    old = config_;
  }
  const std::vector<std::string> needs_restart = NeedRestart(old, config);
  // What is bound stays as it was.
  config.http = old.http;
  config.http_insecure_listen = old.http_insecure_listen;
  config.http_allowed_hosts = old.http_allowed_hosts;
  config.otlp = old.otlp;
  config.otlp_enabled = old.otlp_enabled;
  config.ingest_endpoints = old.ingest_endpoints;
  config.state_dir = old.state_dir;
  config.state_dir_is_default = old.state_dir_is_default;
  config.journal_max_bytes = old.journal_max_bytes;
  config.journal_max_age_ns = old.journal_max_age_ns;
  config.duration_in_milliseconds = old.duration_in_milliseconds;
  if (config.external_url_is_default && old.external_url_is_default) config.external_url = old.external_url;
  if (!ingest_->Submit(core::RecordKind::kReload, config::MakeReload(config))) {
    return tl::make_unexpected(std::string("the sidecar is too busy or stopping; try again"));
  }
  notifier_->Reconfigure(NotifierOptions(config));
  forwarder_->Reconfigure(ForwarderOptions(config));
  if (watchdog_ != nullptr) watchdog_->Reconfigure(WatchdogOptions(config));
  SetUpLog(config.log_level);
  spdlog::info("configuration loaded again, {} rules", config.rules->rules.size());
  if (!needs_restart.empty()) spdlog::warn("restart to take over: {}", Join(needs_restart, ", "));
  const std::string why = WhyNothingIsPosted(config);
  if (!why.empty() && why != WhyNothingIsPosted(old)) spdlog::warn("{}", why);
  MutexLock lock(&mutex_);
  config_ = std::move(config);
  reload_.needs_restart = needs_restart;
  return {};
}

}  // namespace spanwatch::app
