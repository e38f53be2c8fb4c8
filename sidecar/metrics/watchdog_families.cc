// Families of the pings to an outside watchdog.
#include <string_view>

#include "sidecar/metrics/families.h"

namespace spanwatch::metrics {

void WriteWatchdog(const WatchdogCounts& counts, Writer* writer) {
  const auto one = [&](std::string_view name, Type type, double value, std::string_view help) {
    writer->Family(name, type, help);
    writer->Sample(value);
  };
  one("spanwatch_watchdog_configured", Type::kGauge, counts.configured ? 1 : 0, "1 if an outside watchdog is pinged.");
  one("spanwatch_watchdog_pings", Type::kCounter, static_cast<double>(counts.sent),
      "Pings that the watchdog answered with 2xx.");
  one("spanwatch_watchdog_failures", Type::kCounter, static_cast<double>(counts.failed),
      "Pings that did not go through.");
  one("spanwatch_watchdog_withheld", Type::kCounter, static_cast<double>(counts.withheld),
      "Times that no ping was sent because the sidecar was not well.");
  one("spanwatch_watchdog_last_ping_timestamp_seconds", Type::kGauge, static_cast<double>(counts.last_sent_ns) / 1e9,
      "When the last ping went through; 0: none did.");
}

}  // namespace spanwatch::metrics
