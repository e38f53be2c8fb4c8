// A traced program that tells what the SDK knows of itself: a circuit breaker that opens and one that stays closed,
// spans with exact allocation counts, traces at a rate until SIGTERM. A line a tenth of a second says the sample rate
// in force; the last one, in JSON, what it did.
//   spanwatch-e2e-selfreport ENDPOINT TRACES_PER_S
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "spanwatch/circuit_breaker.h"
#include "spanwatch/count_allocations.h"
#include "spanwatch/spanwatch.h"

namespace {

using Clock = std::chrono::steady_clock;

unsigned long long Number(std::uint64_t value) { return static_cast<unsigned long long>(value); }

void Allocate(int times) {
  for (int i = 0; i < times; ++i) {
    void* memory = ::operator new(1000);
    asm volatile("" : : "g"(memory) : "memory");  // or the compiler leaves out both
    ::operator delete(memory);
  }
}

void UseBreakers(spanwatch::CircuitBreaker* down, spanwatch::CircuitBreaker* healthy) {
  spanwatch::Span span("selfreport.breakers");
  for (int i = 0; i < 8; ++i) {
    if (auto permit = down->TryAcquire()) permit.Failure();
  }
  healthy->Run([] {});
  (void)down->TryAcquire();  // the last one asked is on the span
}

void CountAllocations() {
  spanwatch::Span span("selfreport.allocating");
  Allocate(2);
  spanwatch::Span child("selfreport.allocating.child");
  Allocate(3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "spanwatch-e2e-selfreport ENDPOINT TRACES_PER_S\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  spanwatch::CircuitBreakerOptions hour;
  hour.failures_in_a_row = 3;
  hour.reset_ms = 3600000;
  spanwatch::CircuitBreaker down("down", hour);
  spanwatch::CircuitBreaker healthy("healthy", hour);
  spanwatch::Options options;
  options.service_name = "selfreport";
  options.endpoint = argv[1];
  spanwatch::Start(options);
  UseBreakers(&down, &healthy);
  CountAllocations();

  const double rate = std::atof(argv[2]);
  const Clock::time_point begin = Clock::now();
  const timespec moment = {0, 5'000'000};
  std::uint64_t traces = 0;
  std::uint64_t failed = 0;
  for (int turn = 0; sigtimedwait(&signals, nullptr, &moment) < 0; ++turn) {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    for (const auto due = static_cast<std::uint64_t>(seconds * rate); traces < due; ++traces) {
      spanwatch::Span span("selfreport.trace");
      if (traces % 50 == 0) {
        spanwatch::Span("selfreport.failing").Fail("Fiftieth", "every fiftieth");
        ++failed;
      }
    }
    if (turn % 20 != 0) continue;
    std::printf("traces %llu sample rate %g\n", Number(traces), spanwatch::GetStats().sample_rate);
    std::fflush(stdout);
  }
  const std::uint64_t not_delivered = spanwatch::Shutdown(5000);
  const spanwatch::Stats stats = spanwatch::GetStats();
  std::printf(
      "{\"traces\": %llu, \"failed\": %llu, \"emitted\": %llu, \"sampled_out\": %llu, \"not_delivered\": %llu, "
      "\"own_bytes\": %llu, \"sender_cpu_ns\": %llu, \"highest_ring_fill\": %g}\n",
      Number(traces), Number(failed), Number(stats.emitted), Number(stats.sampled_out), Number(not_delivered),
      Number(stats.own_bytes), Number(stats.sender_cpu_ns), stats.highest_ring_fill);
  return 0;
}
