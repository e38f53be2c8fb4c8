// What the engine forgets when it is idle: series, window groups, names.
#include <algorithm>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kCellsPerHold = 4096;
constexpr std::size_t kNamesPerHold = 500;
// A name is freed this long after it may last have been of use: stored traces, lists of open spans, alerts.
constexpr std::int64_t kNameGraceNs = 300'000'000'000;

}  // namespace

// Forgets what was idle for long: series, window groups, then names that nobody refers to. That age alone decides about
// names (the oldest trace has only a veto) makes a restart, whose store lacks older traces, free the same ones. True:
// more is left for the next hold.
bool Engine::Impl::Sweep(std::int64_t now_ns) {
  if (statistics_.Sweep(now_ns, kCellsPerHold)) return true;
  alerts_.ForgetIdle(now_ns);
  gen_ai_.Sweep(now_ns, limits_.series_idle_ns);
  const std::int64_t idle = std::max(limits_.ttl_ns, limits_.series_idle_ns) + kNameGraceNs;
  const std::int64_t before = std::min(
      now_ns - idle, store_.OldestArrivalNs() == INT64_MAX ? INT64_MAX : store_.OldestArrivalNs() - kNameGraceNs);
  std::vector<bool> pinned(catalog_.operation_count(), false);
  alerts_.MarkOperations(&pinned);
  std::vector<std::uint32_t> operations, services;
  const bool more = catalog_.FreeIdle(before, pinned, kNamesPerHold, &operations, &services);
  for (const std::uint32_t operation : operations) {
    store_.ForgetRoot(operation);
    overview_.ForgetOperation(operation);
    errors_.ForgetOperation(operation);
  }
  for (const std::uint32_t service : services) {
    statistics_.ForgetService(service);
    overview_.ForgetService(service);
    health_.ForgetService(service);
    dependencies_.ForgetService(service);
    gen_ai_.ForgetService(service);
  }
  return more;
}

std::vector<std::string> Engine::Impl::TakeNotices() {
  MutexLock lock(&mutex_);
  return statistics_.TakeNotices();
}

}  // namespace spanwatch::core
