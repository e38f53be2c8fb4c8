// A traced program that watches itself: ends spans at a rate and times each, until SIGTERM; then says in one line of
// JSON what the calls cost, how long Shutdown(1000) took, and what the SDK counted. probe ENDPOINT SPANS_PER_S THREADS
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "spanwatch/spanwatch.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kKept = std::size_t{1} << 20;  // call times a thread; further ones replace the oldest

class Probe {
 public:
  Probe(double rate, int threads) : per_thread_(rate / threads) {
    times_.resize(static_cast<std::size_t>(threads));
    for (auto& times : times_) {
      times.reserve(kKept);
      threads_.emplace_back([this, &times] { Work(times); });
    }
  }
  // All call times in ns, sorted.
  std::vector<std::uint32_t> Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    std::vector<std::uint32_t> all;
    for (const auto& times : times_) all.insert(all.end(), times.begin(), times.end());
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  void Work(std::vector<std::uint32_t>& times) {
    const Clock::time_point begin = Clock::now();
    std::uint64_t done = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
      lock.unlock();
      const auto due =
          static_cast<std::uint64_t>(std::chrono::duration<double>(Clock::now() - begin).count() * per_thread_);
      for (; done < due; ++done) Call(times, done);
      lock.lock();
      changed_.wait_for(lock, std::chrono::milliseconds(1), [this] { return stop_; });
    }
  }

  static void Call(std::vector<std::uint32_t>& times, std::uint64_t number) {
    const Clock::time_point start = Clock::now();
    {
      spanwatch::Span span("probe.operation");
      span.SetTags({{"number", number}, {"text", "some text"}});
    }
    const auto ns = static_cast<std::uint32_t>(
        std::min<std::int64_t>(std::chrono::nanoseconds(Clock::now() - start).count(), UINT32_MAX));
    if (times.size() < kKept) {
      times.push_back(ns);
    } else {
      times[number % kKept] = ns;
    }
  }

  const double per_thread_;
  std::vector<std::vector<std::uint32_t>> times_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;  // under mutex_
};

unsigned long long Number(std::uint64_t value) { return static_cast<unsigned long long>(value); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "probe ENDPOINT SPANS_PER_S THREADS\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  spanwatch::Options options;
  options.service_name = "probe";
  options.endpoint = argv[1];
  spanwatch::Start(options);
  Probe probe(std::atof(argv[2]), std::atoi(argv[3]));
  const timespec tenth = {0, 100'000'000};
  do {
    std::printf("emitted %llu\n", Number(spanwatch::GetStats().emitted));
    std::fflush(stdout);
  } while (sigtimedwait(&signals, nullptr, &tenth) < 0);

  const std::vector<std::uint32_t> times = probe.Stop();
  const spanwatch::Stats before = spanwatch::GetStats();
  const Clock::time_point start = Clock::now();
  const std::uint64_t not_delivered = spanwatch::Shutdown(1000);
  const double shutdown_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  const spanwatch::Stats stats = spanwatch::GetStats();
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf(
      "{\"calls\": %llu, \"p50_ns\": %u, \"p99_ns\": %u, \"max_ns\": %u, \"shutdown_ms\": %.1f, \"own_bytes\": %llu, "
      "\"emitted\": %llu, \"delivered\": %llu, \"evicted\": %llu, \"dropped\": %llu, \"not_delivered\": %llu, "
      "\"reconnects\": %llu}\n",
      Number(times.size()), at(0.5), at(0.99), at(1), shutdown_ms, Number(before.own_bytes), Number(stats.emitted),
      Number(stats.delivered), Number(stats.evicted), Number(stats.dropped()), Number(not_delivered),
      Number(stats.reconnects));
  return 0;
}
