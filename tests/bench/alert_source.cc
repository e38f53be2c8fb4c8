// A program with one slow operation after the other, each of another name: alert_source ENDPOINT COUNT.
// Prints `operation end` for each: the wall clock in ns since the epoch right before the span's end.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>

#include "spanwatch/spanwatch.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "alert_source ENDPOINT COUNT\n");
    return 2;
  }
  spanwatch::Options options;
  options.service_name = "alert-bench";
  options.endpoint = argv[1];
  if (!spanwatch::Start(options)) return 1;
  for (int i = 0; i < std::atoi(argv[2]); ++i) {
    const std::string name = "slow" + std::to_string(i);
    spanwatch::Span span(name);
    // Just over the default threshold; also what keeps the receiver's limit of ten new messages in ten seconds away.
    std::promise<void>().get_future().wait_for(std::chrono::milliseconds(1020));
    const auto end = std::chrono::system_clock::now().time_since_epoch();
    span.End();
    std::printf("%s %lld\n", name.c_str(), static_cast<long long>(std::chrono::nanoseconds(end).count()));
    std::fflush(stdout);
  }
  return spanwatch::Shutdown() == 0 ? 0 : 1;
}
