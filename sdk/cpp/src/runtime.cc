#include "sdk/cpp/src/runtime.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>

#include "sdk/cpp/src/allocations.h"
#include "sdk/cpp/src/capture.h"
#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/config.h"
#include "sdk/cpp/src/gauges.h"
#include "sdk/cpp/src/sender.h"
#include "sdk/cpp/src/span_body.h"
#include "sdk/cpp/src/thread_block.h"
#include "sdk/cpp/src/user_hash.h"
#include "spanwatch/options.h"
#include "spanwatch/stats.h"

namespace spanwatch {
namespace internal {
namespace {

constexpr std::int64_t kMs = 1000000;
constexpr std::int64_t kGraceNs = 200 * kMs;  // beyond the deadline, for a thread that was not scheduled

// One run, from Start to Shutdown. Deleted when its thread has ended; a thread that does not end in time keeps it.
struct Run {
  explicit Run(const Config& config)
      : sender(new Sender(config, &status)), redaction(RedactionModeName(config.redaction.mode)) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ended, &attributes);
    pthread_condattr_destroy(&attributes);
  }

  SenderStatus status;
  std::unique_ptr<Sender> sender;
  const char* const redaction;
  pthread_t thread{};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t ended;
  bool has_ended = false;
  bool detached = false;  // its thread did not end in time
  Run* next_abandoned = nullptr;
};

// A thread that is cancelled (pthread_cancel) while it starts or ends tracing ends after that: what waits in here must
// not be left by unwinding.
class NotCancelled {
 public:
  NotCancelled() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NotCancelled() { pthread_setcancelstate(before_, nullptr); }
  NotCancelled(const NotCancelled&) = delete;
  NotCancelled& operator=(const NotCancelled&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

Mutex g_lifecycle;  // held by Start and Shutdown for their whole length
Mutex g_state;      // taken after g_lifecycle, held shortly
Run* g_run GUARDED_BY(g_state) = nullptr;
Run* g_abandoned GUARDED_BY(g_state) = nullptr;  // of the process before a fork, or with a thread that did not end
std::string* g_problems GUARDED_BY(g_state) = nullptr;  // of Start
Stats* g_last GUARDED_BY(g_state) = nullptr;            // of the run that ended
Options* g_options GUARDED_BY(g_lifecycle) = nullptr;   // for a forked child
bool g_capturing GUARDED_BY(g_lifecycle) = false;
bool g_forked = false;  // written in a child with one thread

void SetMode(std::uint32_t mode) noexcept { __atomic_store_n(&g_tracing_mode, mode, __ATOMIC_RELEASE); }

void SetModeOn() noexcept { SetMode(CountsAllocations() ? kModeCounting : kModeOn); }

void* RunThread(void* pointer) {
  Run* const run = static_cast<Run*>(pointer);
  run->sender->Run();
  run->sender.reset();  // ZeroMQ may linger here, shortly
  pthread_mutex_lock(&run->mutex);
  run->has_ended = true;
  pthread_cond_signal(&run->ended);
  pthread_mutex_unlock(&run->mutex);
  return nullptr;
}

// The program's signals are for its own threads.
bool StartThread(Run* run) noexcept {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(&run->thread, nullptr, RunThread, run) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) pthread_setname_np(run->thread, "spanwatch");
  return started;
}

bool WaitForEnd(Run* run, std::int64_t until_ns) noexcept {
  const timespec until = {until_ns / (1000 * kMs), until_ns % (1000 * kMs)};
  pthread_mutex_lock(&run->mutex);
  while (!run->has_ended && pthread_cond_timedwait(&run->ended, &run->mutex, &until) != ETIMEDOUT) {
  }
  const bool has_ended = run->has_ended;
  pthread_mutex_unlock(&run->mutex);
  return has_ended;
}

// Nothing of the parent's run exists here but its memory. The next span, or Start, begins anew.
void ChildAfterFork() noexcept {
  const std::uint32_t mode = __atomic_load_n(&g_tracing_mode, __ATOMIC_RELAXED);
  if (mode != kModeOff) SetMode(kModeForked);
  g_epoch.store((g_epoch.load(std::memory_order_relaxed) | 1) + 1, std::memory_order_relaxed);
  g_lifecycle.ResetAfterFork();
  g_state.ResetAfterFork();
  ResetRegistryLockAfterFork();
  ResetGaugesAfterFork();
  g_forked = true;
}

void OnceInProcess() noexcept {
  DetectClock();
  FindConstants();
  pthread_atfork(nullptr, nullptr, ChildAfterFork);
}

void OncePerProcess() noexcept {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, OnceInProcess);
}

void ClearUpAfterFork() noexcept REQUIRES(g_lifecycle) {
  if (!g_forked) return;
  g_forked = false;
  ResetBlocksAfterFork();
  RemakeWakeDescriptorAfterFork();
  MutexLock lock(&g_state);
  for (Run* run = g_abandoned; run != nullptr; run = run->next_abandoned) run->detached = false;
  if (g_run == nullptr) return;
  g_run->next_abandoned = g_abandoned;  // its thread is not here; its sockets must not be touched
  g_abandoned = g_run;
  g_run = nullptr;
}

void AddStartProblem(const std::string& text) REQUIRES(g_state) {
  if (g_problems == nullptr) g_problems = new std::string;
  *g_problems += text;
}

// Two senders would read the same rings.
bool FormerThreadRuns() noexcept REQUIRES(g_state) {
  for (Run* run = g_abandoned; run != nullptr; run = run->next_abandoned) {
    if (!run->detached) continue;
    pthread_mutex_lock(&run->mutex);
    const bool has_ended = run->has_ended;
    pthread_mutex_unlock(&run->mutex);
    if (!has_ended) return true;
  }
  return false;
}

// What a run begins with.
void Adopt(const Config& config) noexcept REQUIRES(g_lifecycle) {
  ResetCounts();
  ClearGauges();
  g_sampling.store(SamplingPolicy(config.sample_rate), std::memory_order_relaxed);
  g_slow_ticks.store(UINT64_MAX, std::memory_order_relaxed);
  g_log_level.store(static_cast<std::uint8_t>(config.log_level), std::memory_order_relaxed);
  g_wake.store(kAsleep, std::memory_order_relaxed);
}

bool Begin(const Config& config) REQUIRES(g_lifecycle) {
  {
    MutexLock lock(&g_state);
    const bool former = FormerThreadRuns();
    if (former) AddStartProblem("the sender thread of the former run has not ended yet: tracing is off\n");
    if (former) return false;
  }
  WakeDescriptor();  // if there is none left, the sender comes on its interval, and tries again
  auto run = std::make_unique<Run>(config);
  Adopt(config);
  if (!StartThread(run.get())) {
    MutexLock lock(&g_state);
    AddStartProblem("the sender thread could not be started: tracing is off\n");
    return false;
  }
  g_epoch.store(g_epoch.load(std::memory_order_relaxed) | 1, std::memory_order_relaxed);
  MutexLock lock(&g_state);
  delete g_last;
  g_last = nullptr;
  g_run = run.release();
  SetModeOn();
  return true;
}

bool StartLocked(const Options& options) noexcept REQUIRES(g_lifecycle) {
  if (g_capturing) return true;
  OncePerProcess();
  ClearUpAfterFork();
  try {
    {
      MutexLock lock(&g_state);
      if (g_run != nullptr) {
        AddStartProblem("Start was called again without Shutdown: ignored\n");
        return true;
      }
      delete g_problems;
      g_problems = nullptr;
    }
    const Config config = MakeConfig(options, std::getenv);
    UseHashKey(config.hash_key);
    if (g_options != &options) {
      auto copy = std::make_unique<Options>(options);
      delete g_options;
      g_options = copy.release();
    }
    {
      MutexLock lock(&g_state);
      AddStartProblem(config.problems);
    }
    const bool on = config.enabled && Begin(config);
    if (!on) SetMode(kModeOff);
    return on;
  } catch (const std::bad_alloc&) {
    SetMode(kModeOff);
    return false;
  }
}

void FillFrom(const SenderStatus& status, Stats* stats) noexcept {
  const BlockCounts counts = SumCounts();
  const auto get = [](const std::atomic<std::uint64_t>& value) { return value.load(std::memory_order_relaxed); };
  stats->batched = get(status.batched);
  stats->delivered = get(status.delivered);
  stats->evicted = get(status.evicted);
  const std::uint64_t gone = stats->delivered + stats->evicted;
  stats->held = stats->batched > gone ? stats->batched - gone : 0;
  stats->emitted = counts.ended;
  stats->sampled_out = counts.sampled_out;
  const std::uint64_t drops[kDropReasons] = {counts.ring_full, counts.no_ring, counts.no_slot, get(status.memory_drops),
                                             get(status.shutdown_drops)};
  stats->drop_reasons = kDropReasons;
  for (std::uint32_t i = 0; i < kDropReasons; ++i) stats->drops[i] = {DropReasonName(i), drops[i]};
  const std::uint64_t accounted = stats->batched + stats->sampled_out + stats->dropped();
  stats->waiting = stats->emitted > accounted ? stats->emitted - accounted : 0;
  stats->reconnects = get(status.reconnects);
  stats->refused = get(status.refused);
  stats->no_descriptors = get(status.no_descriptors);
  stats->own_bytes = get(status.own_bytes);
  stats->sender_cpu_ns = get(status.cpu_ns);
  stats->redacted = get(status.redacted);
  stats->ring_fill = status.ring_fill.load(std::memory_order_relaxed) / 1e6;
  stats->highest_ring_fill = status.highest_ring_fill.load(std::memory_order_relaxed) / 1e6;
}

Stats StatsLocked() REQUIRES(g_state) {
  Stats stats;
  if (g_run == nullptr || g_forked) {
    if (g_last != nullptr && !g_forked)
      stats = *g_last;
    else if (g_problems != nullptr)
      stats.problems = *g_problems;
    return stats;
  }
  FillFrom(g_run->status, &stats);
  stats.running = true;
  stats.connected = g_run->status.connected.load(std::memory_order_relaxed);
  stats.sample_rate = RateOf(g_sampling.load(std::memory_order_relaxed));
  stats.redaction = g_run->redaction;
  stats.clock = ClockName();
  MutexLock lock(&g_run->status.mutex);
  stats.endpoint = g_run->status.endpoint;
  stats.problems =
      (g_problems != nullptr ? *g_problems : std::string()) + g_run->status.problems + g_run->status.no_answer;
  return stats;
}

// What is still in a ring when the sender has ended was dropped by the shutdown.
void KeepLastStats() noexcept REQUIRES(g_state) {
  try {
    Stats last = StatsLocked();
    last.running = last.connected = false;
    last.drops[kAtShutdown].spans += last.waiting;
    last.waiting = 0;
    g_last = new Stats(last);
  } catch (const std::bad_alloc&) {
    g_last = nullptr;
  }
}

std::uint64_t ShutdownLocked(std::int64_t stop_by) noexcept REQUIRES(g_lifecycle) {
  ClearUpAfterFork();
  SetMode(kModeOff);
  Run* run;
  {
    MutexLock state_lock(&g_state);
    run = g_run;
  }
  if (run == nullptr) return 0;
  // From here on no span counts any more; a thread that is just ending one writes it before the sender's last look.
  g_epoch.store((g_epoch.load(std::memory_order_relaxed) | 1) + 1, std::memory_order_seq_cst);
  run->status.stop_by_ns.store(stop_by, std::memory_order_release);
  Wake(kWakeFull);
  const bool has_ended = WaitForEnd(run, stop_by + kGraceNs);
  MutexLock state_lock(&g_state);
  KeepLastStats();
  Stats counts;
  FillFrom(run->status, &counts);
  g_run = nullptr;
  if (has_ended) {
    pthread_join(run->thread, nullptr);
    delete run;
  } else {
    pthread_detach(run->thread);
    run->detached = true;
    run->next_abandoned = g_abandoned;
    g_abandoned = run;
  }
  return counts.emitted - counts.sampled_out - counts.delivered;
}

}  // namespace

bool RestartAfterFork() noexcept {
  const NotCancelled not_cancelled;
  MutexLock lock(&g_lifecycle);
  if (__atomic_load_n(&g_tracing_mode, __ATOMIC_RELAXED) != kModeForked) return TracingOn();
  if (g_capturing) {  // what it captured into is the parent's
    SetMode(kModeOff);
    return false;
  }
  if (g_options == nullptr) return false;
  return StartLocked(*g_options);
}

bool BeginCapture(const Config& config, DrainFunction drain) noexcept {
  const std::int64_t stop_by = MonotonicNs() + 1000 * kMs;
  MutexLock lock(&g_lifecycle);
  if (g_capturing) return false;
  OncePerProcess();
  ShutdownLocked(stop_by);
  {
    MutexLock state_lock(&g_state);
    if (FormerThreadRuns()) return false;
  }
  try {
    UseHashKey(config.hash_key);
  } catch (const std::bad_alloc&) {
    return false;
  }
  Adopt(config);
  g_drain.store(drain, std::memory_order_release);
  g_capturing = true;
  g_epoch.store(g_epoch.load(std::memory_order_relaxed) | 1, std::memory_order_relaxed);
  SetModeOn();
  return true;
}

void EndCapture() noexcept {
  MutexLock lock(&g_lifecycle);
  SetMode(kModeOff);
  g_epoch.store((g_epoch.load(std::memory_order_relaxed) | 1) + 1, std::memory_order_seq_cst);
  g_drain.store(nullptr, std::memory_order_release);
  g_capturing = false;
}

}  // namespace internal

bool Start(const Options& options) noexcept {
  const internal::NotCancelled not_cancelled;
  internal::MutexLock lock(&internal::g_lifecycle);
  return internal::StartLocked(options);
}

std::uint64_t Shutdown(std::uint32_t deadline_ms) noexcept {
  const internal::NotCancelled not_cancelled;
  const std::int64_t stop_by = internal::MonotonicNs() + std::int64_t{deadline_ms} * internal::kMs;
  internal::MutexLock lock(&internal::g_lifecycle);
  return internal::g_capturing ? 0 : internal::ShutdownLocked(stop_by);
}

Stats GetStats() noexcept {
  internal::MutexLock lock(&internal::g_state);
  try {
    return internal::StatsLocked();
  } catch (const std::bad_alloc&) {
    return Stats();
  }
}

}  // namespace spanwatch
