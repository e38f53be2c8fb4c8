// A traced program whose spans somebody else can count even after kill -9: for each span that ended it raises a counter
// in shared memory. Until SIGTERM; then Shutdown() and one line of JSON.
//   spanwatch-e2e-counted ENDPOINT SERVICE FILE SLOT SPANS_PER_S SAMPLE_RATE
// FILE holds 64-bit counters; SLOT is the number of ours. SPANS_PER_S 0: as fast as it can, in bursts.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "spanwatch/spanwatch.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kThreads = 2;
constexpr std::size_t kCounters = 512;

std::atomic<bool> stopping{false};

// One trace: a root, two children, now and then a failed one.
int Trace(std::uint64_t number) {
  spanwatch::Span root("counted.root");
  root.SetTag("number", static_cast<std::int64_t>(number));
  { spanwatch::Span child("counted.child"); }
  {
    spanwatch::Span child("counted.last");
    if (number % 50 == 0) child.Fail("CountedError", "every fiftieth");
  }
  return 3;
}

void Work(double spans_per_s, std::atomic<std::uint64_t>* counter) {
  const Clock::time_point begin = Clock::now();
  std::uint64_t done = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const auto due = spans_per_s > 0 ? static_cast<std::uint64_t>(seconds * spans_per_s) : done + 6000;
    while (done < due && !stopping.load(std::memory_order_relaxed)) {
      const int spans = Trace(done);
      done += static_cast<std::uint64_t>(spans);
      counter->fetch_add(static_cast<std::uint64_t>(spans), std::memory_order_relaxed);
    }
    const timespec pause = {0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

std::atomic<std::uint64_t>* Map(const char* path) {
  const int file = ::open(path, O_RDWR | O_CLOEXEC);
  void* const memory =
      file < 0 ? MAP_FAILED : ::mmap(nullptr, kCounters * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<std::uint64_t>*>(memory);
}

unsigned long long Number(std::uint64_t value) { return static_cast<unsigned long long>(value); }

}  // namespace

int main(int argc, char** argv) {
  auto* const counters = argc == 7 ? Map(argv[3]) : nullptr;
  const std::size_t slot = argc == 7 ? std::strtoull(argv[4], nullptr, 10) : kCounters;
  if (counters == nullptr || slot >= kCounters) {
    std::fprintf(stderr, "spanwatch-e2e-counted ENDPOINT SERVICE FILE SLOT SPANS_PER_S SAMPLE_RATE\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  spanwatch::Options options;
  options.endpoint = argv[1];
  options.service_name = argv[2];
  options.sample_rate = std::atof(argv[6]);
  spanwatch::Start(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(Work, std::atof(argv[5]) / kThreads, &counters[slot]);
  int received = 0;
  sigwait(&signals, &received);
  stopping = true;
  for (std::thread& thread : threads) thread.join();
  const std::uint64_t not_delivered = spanwatch::Shutdown(3000);
  const spanwatch::Stats stats = spanwatch::GetStats();
  std::printf(
      "{\"emitted\": %llu, \"delivered\": %llu, \"dropped\": %llu, \"evicted\": %llu, \"not_delivered\": %llu}\n",
      Number(stats.emitted), Number(stats.delivered), Number(stats.dropped()), Number(stats.evicted),
      Number(not_delivered));
  return 0;
}
