// A program with one slow operation after the other, each of another name: alert_source ENDPOINT COUNT [storm].
// Prints `operation end` for each: the wall clock in ns since the epoch right before the span's end. `storm`: they are
// a little slow only, burst0, burst1, ..., all within a second.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>

#include "spanwatch/spanwatch.h"

int main(int argc, char** argv) {
  const bool storm = argc == 4 && std::string(argv[3]) == "storm";
  if (argc != 3 && !storm) {
    std::fprintf(stderr, "alert_source ENDPOINT COUNT [storm]\n");
    return 2;
  }
  const int count = std::atoi(argv[2]);
  spanwatch::Options options;
  options.service_name = "alert-bench";
  options.endpoint = argv[1];
  if (!spanwatch::Start(options)) return 1;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    const std::string name = (storm ? "burst" : "slow") + std::to_string(i);
    if (storm) std::promise<void>().get_future().wait_until(begin + std::chrono::milliseconds(1000) * i / count);
    spanwatch::Span span(name);
    // Just over the default threshold, and so slow that the receiver's limit of ten new messages in ten seconds is far,
    // also after a moment in which the machine stood still.
    const auto length = storm ? std::chrono::microseconds(300) : std::chrono::microseconds(1'200'000);
    std::promise<void>().get_future().wait_for(length);
    const auto end = std::chrono::system_clock::now().time_since_epoch();
    span.End();
    std::printf("%s %lld\n", name.c_str(), static_cast<long long>(std::chrono::nanoseconds(end).count()));
    std::fflush(stdout);
  }
  return spanwatch::Shutdown() == 0 ? 0 : 1;
}
