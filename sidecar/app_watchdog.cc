// The outside watchdog between the configuration, the sidecar's state and /metrics.
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "sidecar/app.h"

namespace spanwatch::app {
namespace {

// The engine's clock is behind by at most a grid step when idle, and by what waits under load.
constexpr std::int64_t kStandsStillNs = 30'000'000'000;

}  // namespace

notify::WatchdogOptions App::WatchdogOptions(const config::Config& config) {
  notify::WatchdogOptions options;
  options.url = config.watchdog.url;
  options.interval_ns = config.watchdog.interval_ns;
  options.version = SPANWATCH_VERSION;
  options.problem = [this] { return WhyNotWell(); };
  return options;
}

void App::StartWatchdog(const config::Config& config) {
  watchdog_->Start();
  if (!config.watchdog.url.empty()) {
    spdlog::info("pinging the watchdog ({}) every {} s", config.watchdog.url_source,
                 config.watchdog.interval_ns / 1'000'000'000);
  } else if (!config.watchdog.url_source.empty()) {
    spdlog::warn("the watchdog is not pinged: {} is not set or empty", config.watchdog.url_source);
  }
}

// That it runs is not enough: spans must be taken in, and alerts must reach somebody.
std::string App::WhyNotWell() const {
  if (!ready_.load()) return "the sidecar is starting or stopping";
  const std::int64_t now_ns = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::int64_t behind_ns = now_ns - engine_->Stats().now_ns;
  if (behind_ns > kStandsStillNs) {
    return "ingest stands still: the engine's clock is " + std::to_string(behind_ns / 1'000'000'000) + " s behind";
  }
  for (const notify::TargetStatus& target : notifier_->Status()) {
    if (target.given_up) return "receiver \"" + target.name + "\" refused for good: its alerts reach nobody";
  }
  const notify::OutboxStatus outbox = notifier_->GetOutboxStatus();
  if (outbox.enabled && !outbox.writable) return "alerts are not on disk: " + outbox.problem;
  return "";
}

metrics::WatchdogCounts App::WatchdogCounts() const {
  metrics::WatchdogCounts counts;
  if (watchdog_ == nullptr) return counts;
  const notify::WatchdogStatus status = watchdog_->GetStatus();
  counts.configured = status.configured;
  counts.sent = status.sent;
  counts.failed = status.failed;
  counts.withheld = status.withheld;
  counts.last_sent_ns = status.last_sent_ns;
  return counts;
}

}  // namespace spanwatch::app
