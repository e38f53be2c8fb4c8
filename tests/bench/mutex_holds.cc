#include "tests/bench/mutex_holds.h"

#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace spanwatch::bench {
namespace {

constexpr std::size_t kMostHolds = 10'000'000;

bool measuring = false;
double locked_at_ns = 0;
std::vector<double> holds_ns;

template <typename F>
F Real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

double ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void MeasureHolds(bool on) {
  holds_ns.reserve(kMostHolds);
  measuring = on;
}

std::vector<double> TakeHolds() {
  std::vector<double> taken = holds_ns;
  holds_ns.clear();
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace spanwatch::bench

using spanwatch::bench::ThreadCpuNs;

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = spanwatch::bench::Real<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  const int result = real(mutex);
  if (spanwatch::bench::measuring) spanwatch::bench::locked_at_ns = ThreadCpuNs();
  return result;
}

extern "C" int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto real = spanwatch::bench::Real<int (*)(pthread_mutex_t*)>("pthread_mutex_unlock");
  if (spanwatch::bench::measuring) spanwatch::bench::holds_ns.push_back(ThreadCpuNs() - spanwatch::bench::locked_at_ns);
  return real(mutex);
}
