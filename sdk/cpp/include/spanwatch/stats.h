// What the SDK did and what it costs, and gauges that ride on its heartbeat.
#ifndef SPANWATCH_STATS_H_
#define SPANWATCH_STATS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)
namespace spanwatch {

// Counts since Start(); after Shutdown() those of the run that ended. Once no span is ending:
//   emitted = batched + sampled_out + sum(drops) + waiting,  batched = delivered + evicted + held
struct Stats {
  struct Drop {
    const char* reason = nullptr;  // static text, [a-z_]{1,32}
    std::uint64_t spans = 0;
  };
  static constexpr int kMaxReasons = 8;

  bool running = false;           // between Start() and Shutdown()
  bool connected = false;         // the sidecar has answered on the present connection
  std::uint64_t emitted = 0;      // spans that ended while tracing was on
  std::uint64_t batched = 0;      // put into numbered batches
  std::uint64_t delivered = 0;    // in batches that the sidecar acknowledged
  std::uint64_t evicted = 0;      // in batches dropped unacknowledged: the buffer (3 MiB) was full, or refused
  std::uint64_t held = 0;         // in batches not acknowledged yet
  std::uint64_t sampled_out = 0;  // left out by sampling
  std::uint64_t waiting = 0;      // in the rings, not batched yet
  Drop drops[kMaxReasons];        // never batched; the first `drop_reasons` are set
  int drop_reasons = 0;
  std::uint64_t reconnects = 0;      // connections given up and made anew
  std::uint64_t no_descriptors = 0;  // times that connecting was put off because the process had no descriptors left
  std::uint64_t refused = 0;         // messages that the sidecar refused
  std::uint64_t own_bytes = 0;       // memory that the SDK holds (rings, buffers, tables)
  std::uint64_t sender_cpu_ns = 0;   // CPU time of the sender thread
  std::uint64_t redacted = 0;        // places where a secret or personal data was replaced (spanwatch/redaction.h)
  const char* redaction = "";        // mode in force: "default", "strict" or "off"; "" before Start(). Static text
  const char* clock = "";            // what spans are timed with: "tsc" or "monotonic"; "" before Start(). Static text
  double sample_rate = 1;            // in force: the program's, or a lower one that the sidecar asks for
  double ring_fill = 0;              // 0..1: of the fullest ring when the sender last looked (every 20 ms)
  double highest_ring_fill = 0;      // the same, the highest since Start(). Near 1 spans are dropped (ring_full)
  std::string endpoint;              // last tried; empty: none found
  std::string problems;              // one line each: bad options, environment, refusals, no answer. About 4 KiB

  // Sum of drops: spans that never reached a batch.
  std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (int i = 0; i < drop_reasons; ++i) sum += drops[i].spans;
    return sum;
  }
};

// Threads: any. Takes a lock that no span takes.
Stats GetStats() noexcept;

// One label of a gauge.
struct GaugeLabel {
  std::string_view name;
  std::string_view value;
};

// Sets a figure that the sidecar shows beside this process, as a queue's length (CircuitBreaker reports itself). At
// most 64, 8 labels each, texts up to 128 bytes (what is no UTF-8 in them arrives as '?'). Returns false if there is no
// room or a text is too long. Threads: any.
bool SetGauge(std::string_view name, std::initializer_list<GaugeLabel> labels, double value) noexcept;

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_STATS_H_
