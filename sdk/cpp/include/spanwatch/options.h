// Starting and stopping the SDK, and what can be set.
#ifndef SPANWATCH_OPTIONS_H_
#define SPANWATCH_OPTIONS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "spanwatch/redaction.h"
#include "spanwatch/span.h"

#pragma GCC visibility push(default)
namespace spanwatch {

// What Start() takes. What the program sets wins; else the environment variable; else the default. A bad value (here or
// in the environment) counts as not given and is reported by GetStats().problems. Threads: a value.
struct Options {
  enum class Enabled : std::uint8_t { kFromEnvironment, kYes, kNo };

  std::string service_name;     // OTEL_SERVICE_NAME; default "unknown_service:<executable>"
  std::string service_version;  // default: none
  // TRACING_ENDPOINT: `ipc:///path` or `tcp://host:port`. Default: the first path where a socket exists of
  // $XDG_RUNTIME_DIR/spanwatch/spanwatch.sock, /run/spanwatch/spanwatch.sock, /tmp/spanwatch-$UID/spanwatch.sock,
  // looked for again at each reconnect.
  std::string endpoint;
  // TRACING_ENABLED (true, false). TRACING_ENABLED=false turns tracing off even when the program says kYes.
  Enabled enabled = Enabled::kFromEnvironment;
  // TRACING_SAMPLE_RATE: share of the traces that are kept, 0..1 (in the environment also "10%"); default 1. Decided by
  // trace id when a trace starts; failed spans are always kept. Negative: not given. The sidecar can lower it
  // (ingest.sample_rate of its configuration), at run time, and never raises it above this.
  double sample_rate = -1;
  // Added to the resource that all spans carry; wins over OTEL_RESOURCE_ATTRIBUTES ("key=value,key=value").
  std::vector<std::pair<std::string, std::string>> resource_attributes;
  // Lowest level that AddLog keeps. kDebug, the default, leaves it to TRACING_LOG_LEVEL (debug, info, warn, error).
  LogLevel log_level = LogLevel::kDebug;
  // A span longer than this is sent at once instead of with the next batch (20 ms). The sidecar can change it.
  std::uint32_t slow_threshold_ms = 1000;
  // What is taken out of the texts that leave. Its mode: TRACING_REDACTION (default, strict, off).
  Redaction redaction;
  // TRACING_HASH_KEY: the key of HashUserId, for pseudonyms that stay the same over restarts and processes.
  // `openssl rand -hex 16` makes one (32 hex digits); any text of 16 bytes and more does. A secret: keep it as one.
  // Default: random.
  std::string hash_key;
};

// Starts tracing: one sender thread. Returns whether tracing is on (false: turned off, or out of memory or threads;
// GetStats().problems says why). A second call without Shutdown() changes nothing and returns what the first did.
// Threads: any; Start and Shutdown exclude each other.
bool Start(const Options& options = Options()) noexcept;

// Stops tracing: what has ended is sent, at most `deadline_ms` milliseconds long, then the sender thread ends. Returns
// how many spans since Start() were not delivered (dropped, or not acknowledged by the sidecar in time). Spans still
// running do nothing from now on. Start() may be called again. Without a sidecar to be found it returns at once.
std::uint64_t Shutdown(std::uint32_t deadline_ms = 1000) noexcept;

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_OPTIONS_H_
