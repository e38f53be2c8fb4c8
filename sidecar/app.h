// The sidecar as a whole: owns every part, wires them, starts and stops them in order. It can be started in a test, on
// port 0.
//
// Order of start: configuration, engine, notifier, forwarder, ingest, OTLP/HTTP, HTTP, watchdog; of stop: the reverse.
// Threads: Start and Stop by one thread, once each; Reload, StatusJson and port by any.
#ifndef SPANWATCH_SIDECAR_APP_H_
#define SPANWATCH_SIDECAR_APP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/mutex.h"
#include "sidecar/forward/forwarder.h"
#include "sidecar/http/otlp_server.h"
#include "sidecar/http/server.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_http.h"
#include "sidecar/metrics/exposition.h"
#include "sidecar/notify/notifier.h"
#include "sidecar/notify/watchdog.h"
#include "sidecar/state_directory.h"

namespace spanwatch::app {

// config::Load, and the webhooks as the notifier checks them.
tl::expected<config::Config, std::vector<config::Problem>> LoadConfig(const config::Sources& sources);

// Turns a kReload record's bytes into rules and limits; for ingest::Options and ingest::Decoder.
bool ParseReloadRecord(std::string_view bytes, core::Decoded* out);

// spdlog to stderr, coloured on a terminal only.
void SetUpLog(config::LogLevel level);

class App {
 public:
  // `sources` is loaded again by each Reload(). `record_path`: see ingest::Options; may be empty.
  App(config::Config config, config::Sources sources, std::string record_path);
  ~App();  // Stop()
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Binds everything. Error: what failed and what to do; what had been started is stopped again.
  tl::expected<void, std::string> Start();
  // Delivers what waits, for at most about four seconds.
  void Stop();

  // Loads the configuration again. On a mistake the old one stays in force; the error has the problems, one a line.
  tl::expected<void, std::string> Reload() EXCLUDES(reload_mutex_, mutex_);

  // /api/v1/status: one JSON object.
  std::string StatusJson() const EXCLUDES(mutex_);
  int port() const { return server_ == nullptr ? 0 : server_->port(); }
  int otlp_port() const { return otlp_server_ == nullptr ? 0 : otlp_server_->port(); }  // 0: off

 private:
  struct ReloadState {
    bool successful = true;
    std::int64_t at_ns = 0;  // wall clock
    std::string error;
    std::vector<std::string> needs_restart;  // keys that changed in the file and wait for the next start
  };

  tl::expected<void, std::string> OpenState(const config::Config& config);
  void StartNotifier(const config::Config& config);
  void StartForwarder(const config::Config& config);
  tl::expected<void, std::string> StartIngest(const config::Config& config);
  tl::expected<void, std::string> StartHttp(const config::Config& config);
  tl::expected<void, std::string> StartOtlp(const config::Config& config);
  void StartWatchdog(const config::Config& config);
  notify::WatchdogOptions WatchdogOptions(const config::Config& config);
  std::string WhyNotWell() const;
  void LogStart(const config::Config& config) const;
  notify::Options NotifierOptions(const config::Config& config) const;
  std::string ExternalUrl(const config::Config& config) const;
  tl::expected<void, std::string> TakeOver(config::Config config) EXCLUDES(mutex_);
  std::vector<std::string> Notices() const EXCLUDES(mutex_);  // what is not well, a sentence each, for the page
  std::vector<metrics::NotificationCounts> NotificationCounts() const;
  metrics::HttpCounts HttpCounts() const;
  core::AnalysisOptions AnalysisOptions() const EXCLUDES(mutex_);
  metrics::JournalCounts JournalCounts() const;
  metrics::OutboxCounts OutboxCounts() const;
  metrics::RoutingCounts RoutingCounts() const;
  void SetRoutingHooks(http::Hooks* hooks) const;
  metrics::ForwardCounts ForwardCounts() const;
  metrics::WatchdogCounts WatchdogCounts() const;
  void AddOtlpCounts(metrics::HttpCounts* counts) const;

  const config::Sources sources_;
  const std::string record_path_;
  const std::int64_t started_ns_;  // wall clock

  std::atomic<bool> ready_{false};
  std::atomic<bool> reload_successful_{true};

  Mutex reload_mutex_;  // one reload at a time
  mutable Mutex mutex_;
  config::Config config_ GUARDED_BY(mutex_);  // in force, but for what needs a restart
  ReloadState reload_ GUARDED_BY(mutex_);

  // In the order of their start: what stands later uses what stands before.
  std::unique_ptr<StateDirectory> state_;  // null: memory only
  std::string no_state_;                   // why, if that is not what the configuration says
  std::unique_ptr<core::Engine> engine_;
  std::unique_ptr<notify::Notifier> notifier_;
  std::unique_ptr<forward::Forwarder> forwarder_;
  std::unique_ptr<ingest::Ingest> ingest_;
  std::unique_ptr<metrics::Exposition> exposition_;
  std::unique_ptr<ingest::OtlpHttp> otlp_;         // null: off
  std::unique_ptr<http::OtlpServer> otlp_server_;  // null: off
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<notify::Watchdog> watchdog_;
};

// These and the hooks: app_routing.cc. Whether a route leads there.
bool IsReached(const config::Config& config, const core::Receiver& receiver);
// "nothing is posted: environment variable DISCORD_WEBHOOK_URL is not set"; empty if alerts are posted, to anybody.
std::string WhyNothingIsPosted(const config::Config& config);
std::string WhyNothingIsPosted(const core::Receiver& receiver);  // the same of one that a route leads to
// Says once who is told and who is not. `url`: where alerts can be looked at.
void LogReceivers(const config::Config& config, const std::string& url);
notify::Options::CompilePattern PatternCompiler();
// What `config.forward` means to the forwarder.
forward::Options ForwarderOptions(const config::Config& config);
// "http://127.0.0.1:9464".
std::string ListenUrl(const config::ListenAddress& address, int port);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_APP_H_
