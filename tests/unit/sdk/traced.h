// A traced program for a test: starts the SDK into a fake sidecar and shuts it down.
#ifndef SPANWATCH_TESTS_UNIT_SDK_TRACED_H_
#define SPANWATCH_TESTS_UNIT_SDK_TRACED_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "spanwatch/spanwatch.h"
#include "tests/unit/sdk/fake_sidecar.h"

namespace spanwatch::test {

// Polls the SDK's counters, which tell nobody when they change.
inline bool WaitForStats(const std::function<bool(const Stats&)>& predicate) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
  while (std::chrono::steady_clock::now() < until) {
    if (predicate(GetStats())) return true;
    std::this_thread::yield();
  }
  return false;
}

// emitted = batched + sampled_out + sum(drops) + waiting; batched = delivered + evicted + held.
inline bool EquationHolds(const Stats& stats) {
  return stats.emitted == stats.batched + stats.sampled_out + stats.dropped() + stats.waiting &&
         stats.batched == stats.delivered + stats.evicted + stats.held;
}

inline std::uint64_t Dropped(const Stats& stats, const std::string& reason) {
  for (int i = 0; i < stats.drop_reasons; ++i) {
    if (reason == stats.drops[i].reason) return stats.drops[i].spans;
  }
  return 0;
}

inline Options TracedOptions(const std::string& endpoint) {
  Options options;
  options.service_name = "test";
  options.endpoint = endpoint;
  return options;
}

// Starts in the constructor and has a connection when that returns.
class TracedProgram {
 public:
  explicit TracedProgram(const FakeSidecar& sidecar) : TracedProgram(TracedOptions(sidecar.endpoint())) {}
  explicit TracedProgram(const Options& options) : on_(Start(options)) {
    connected_ = on_ && WaitForStats([](const Stats& stats) { return stats.connected; });
  }
  ~TracedProgram() { Shutdown(0); }
  TracedProgram(const TracedProgram&) = delete;
  TracedProgram& operator=(const TracedProgram&) = delete;
  bool connected() const { return connected_; }

 private:
  bool on_;
  bool connected_ = false;
};

}  // namespace spanwatch::test

#endif  // SPANWATCH_TESTS_UNIT_SDK_TRACED_H_
