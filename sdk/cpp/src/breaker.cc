#include "sdk/cpp/src/breaker.h"

#include <pthread.h>

#include <cstring>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/context_access.h"
#include "sdk/cpp/src/record.h"
#include "sdk/cpp/src/span_body.h"

namespace spanwatch::internal {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::int64_t kMs = 1000000;

CircuitBreakerOptions Checked(CircuitBreakerOptions options) noexcept {
  const CircuitBreakerOptions defaults;
  if (!(options.failure_rate > 0 && options.failure_rate <= 1)) options.failure_rate = 0;
  if (options.window_ms == 0) options.window_ms = defaults.window_ms;
  if (options.minimum_calls == 0) options.minimum_calls = defaults.minimum_calls;
  if (options.probes == 0) options.probes = defaults.probes;
  if (options.probe_successes == 0) options.probe_successes = defaults.probe_successes;
  return options;
}

}  // namespace

void CallWindow::Add(std::int64_t now_ns, bool failed) noexcept {
  const std::uint64_t number = StepAt(now_ns);
  Step& step = steps_[number % kSteps];
  if (step.number != number) step = {number, 0, 0};
  ++step.calls;
  if (failed) ++step.failures;
}

void CallWindow::Clear() noexcept {
  for (Step& step : steps_) step = {};
}

void CallWindow::Sum(std::int64_t now_ns, std::uint64_t* calls, std::uint64_t* failures) const noexcept {
  const std::uint64_t now = StepAt(now_ns);
  *calls = *failures = 0;
  for (const Step& step : steps_) {
    if (step.number > now || step.number + kSteps <= now) continue;
    *calls += step.calls;
    *failures += step.failures;
  }
}

// All breakers. Its mutex is held over a fork, so that the child finds the list whole; what a breaker's own mutex
// guards are numbers, of which a thread that is not there any more may have left one call out.
struct BreakerList {
  Mutex mutex;
  Breaker* first GUARDED_BY(mutex) = nullptr;

  static void BeforeFork() noexcept NO_THREAD_SAFETY_ANALYSIS;
  static void AfterForkInParent() noexcept NO_THREAD_SAFETY_ANALYSIS;
  static void AfterForkInChild() noexcept NO_THREAD_SAFETY_ANALYSIS;
  void Add(Breaker* breaker) noexcept;
  void Remove(Breaker* breaker) noexcept;
};

namespace {

BreakerList g_breakers;  // constant-initialised, never destroyed

void PrepareForForks() noexcept {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, [] {
    pthread_atfork(BreakerList::BeforeFork, BreakerList::AfterForkInParent, BreakerList::AfterForkInChild);
  });
}

}  // namespace

void BreakerList::BeforeFork() noexcept { g_breakers.mutex.Lock(); }
void BreakerList::AfterForkInParent() noexcept { g_breakers.mutex.Unlock(); }
void BreakerList::AfterForkInChild() noexcept {
  g_breakers.mutex.ResetAfterFork();
  for (Breaker* breaker = g_breakers.first; breaker != nullptr; breaker = breaker->next_)
    breaker->mutex_.ResetAfterFork();
}

void BreakerList::Add(Breaker* breaker) noexcept {
  PrepareForForks();
  MutexLock lock(&mutex);
  Breaker** at = &first;
  while (*at != nullptr) at = &(*at)->next_;
  *at = breaker;
}

void BreakerList::Remove(Breaker* breaker) noexcept {
  MutexLock lock(&mutex);
  Breaker** at = &first;
  while (*at != breaker) at = &(*at)->next_;
  *at = breaker->next_;
}

std::vector<BreakerReport> ReportBreakers() {
  std::vector<BreakerReport> reports;
  MutexLock lock(&g_breakers.mutex);
  for (const Breaker* breaker = g_breakers.first; breaker != nullptr; breaker = breaker->next()) {
    BreakerReport* report = nullptr;
    for (BreakerReport& each : reports) {
      if (each.name == breaker->name()) report = &each;
    }
    if (report == nullptr) {
      report = &reports.emplace_back();
      report->name = breaker->name();
    }
    const BreakerState state = breaker->state();
    if (state > report->state) report->state = state;
    report->opened += breaker->opened();
    report->refused += breaker->refused();
  }
  return reports;
}

Breaker::Breaker(std::string_view name, CircuitBreakerOptions options) noexcept
    : name_bytes_(CutUtf8(name.data(), name.size(), kMaxName)),
      options_(Checked(std::move(options))),
      reset_ns_(options_.reset_ms * kMs),
      window_(options_.window_ms) {
  if (name_bytes_ > 0) std::memcpy(name_, name.data(), name_bytes_);
  g_breakers.Add(this);
}

Breaker::~Breaker() { g_breakers.Remove(this); }

std::int64_t Breaker::Now() const noexcept { return options_.now_ns != nullptr ? options_.now_ns() : MonotonicNs(); }

bool Breaker::Acquire(std::uint64_t* era) noexcept {
  *era = era_.load(std::memory_order_acquire);
  const SpanHandle span = CurrentSpan();
  BreakerState found = StateOf(*era);
  bool allowed = found == BreakerState::kClosed;
  BreakerChange change;
  if (found == BreakerState::kOpen && Now() - opened_at_.load(kRelaxed) < reset_ns_) {
    refused_.fetch_add(1, kRelaxed);
  } else if (!allowed) {
    MutexLock lock(&mutex_);
    allowed = AcquireSlowly(era, &change);
    found = StateOf(*era);
  }
  if (change.number != 0) Announce(change);
  if (span.slot != nullptr) {
    KeepSpanText(span, "circuit_breaker.name", name());
    KeepSpanText(span, "circuit_breaker.state", BreakerStateName(found));
    if (!allowed) KeepSpanFlag(span, "circuit_breaker.refused");
  }
  return allowed;
}

// Open with its time over, or half-open; perhaps no more.
bool Breaker::AcquireSlowly(std::uint64_t* era, BreakerChange* change) noexcept {
  const std::int64_t now = Now();
  if (state() == BreakerState::kOpen && now - opened_at_.load(kRelaxed) >= reset_ns_)
    Become(BreakerState::kHalfOpen, "reset_time", now, change);
  *era = era_.load(kRelaxed);
  if (StateOf(*era) == BreakerState::kClosed) return true;
  const bool lost = now - last_probe_ns_ >= reset_ns_ && reset_ns_ > 0;  // a probe that never came back
  if (StateOf(*era) == BreakerState::kOpen || (probes_out_ >= options_.probes && !lost)) {
    refused_.fetch_add(1, kRelaxed);
    return false;
  }
  if (probes_out_ < options_.probes) ++probes_out_;
  last_probe_ns_ = now;
  return true;
}

void Breaker::Tell(std::uint64_t era, Verdict verdict) noexcept {
  // The healthy case: nothing to count.
  if (StateOf(era) == BreakerState::kClosed && options_.failure_rate == 0 && verdict != Verdict::kFailure &&
      failures_in_a_row_.load(kRelaxed) == 0) {
    return;
  }
  BreakerChange change;
  {
    MutexLock lock(&mutex_);
    if (era != era_.load(kRelaxed)) return;
    Judge(verdict, &change);
  }
  if (change.number != 0) Announce(change);
}

void Breaker::Judge(Verdict verdict, BreakerChange* change) noexcept {
  const bool failed = verdict == Verdict::kFailure;
  if (state() == BreakerState::kHalfOpen) {
    if (probes_out_ > 0) --probes_out_;
    if (failed) {
      Become(BreakerState::kOpen, "probe_failed", Now(), change);
    } else if (verdict == Verdict::kSuccess && ++probe_successes_ >= options_.probe_successes) {
      Become(BreakerState::kClosed, "probes_succeeded", Now(), change);
    }
    return;
  }
  if (verdict == Verdict::kNone) return;
  failures_in_a_row_.store(failed ? failures_in_a_row_.load(kRelaxed) + 1 : 0, kRelaxed);
  const std::int64_t now = failed || options_.failure_rate > 0 ? Now() : 0;
  if (options_.failure_rate > 0) window_.Add(now, failed);
  if (!failed) return;
  if (const char* const reason = WhyOpen(now); reason != nullptr) Become(BreakerState::kOpen, reason, now, change);
}

const char* Breaker::WhyOpen(std::int64_t now_ns) const noexcept {
  const std::uint32_t limit = options_.failures_in_a_row;
  if (limit > 0 && failures_in_a_row_.load(kRelaxed) >= limit) return "failures_in_a_row";
  if (options_.failure_rate == 0) return nullptr;
  std::uint64_t calls, failures;
  window_.Sum(now_ns, &calls, &failures);
  const bool over = static_cast<double>(failures) >= options_.failure_rate * static_cast<double>(calls);
  return calls >= options_.minimum_calls && over ? "failure_rate" : nullptr;
}

void Breaker::Become(BreakerState state, const char* reason, std::int64_t now_ns, BreakerChange* change) noexcept {
  const std::uint64_t era = era_.load(kRelaxed);
  if (StateOf(era) != state) {
    *change = {name(), StateOf(era), state, reason, ++changes_};
    if (state == BreakerState::kOpen) opened_.fetch_add(1, kRelaxed);
  }
  failures_in_a_row_.store(0, kRelaxed);
  window_.Clear();
  probes_out_ = probe_successes_ = 0;
  last_probe_ns_ = now_ns;
  if (state == BreakerState::kOpen) opened_at_.store(now_ns, kRelaxed);
  era_.store(((era >> 2) + 1) << 2 | static_cast<std::uint64_t>(state), std::memory_order_release);
}

void Breaker::Force(BreakerState state) noexcept {
  BreakerChange change;
  {
    MutexLock lock(&mutex_);
    Become(state, state == BreakerState::kOpen ? "Open" : "Close", Now(), &change);
  }
  if (change.number != 0) Announce(change);
}

void Breaker::Announce(const BreakerChange& change) noexcept {
  if (const SpanHandle span = CurrentSpan(); span.slot != nullptr) {
    const Tag fields[] = {{"circuit_breaker.name", change.name},
                          {"circuit_breaker.state", BreakerStateName(change.to)},
                          {"reason", change.reason}};
    const LogLevel level = change.to == BreakerState::kOpen ? LogLevel::kWarn : LogLevel::kInfo;
    AddSpanLog(span, level, "circuit breaker changed", fields, 3);
  }
  if (!options_.on_change) return;
#if defined(__cpp_exceptions)
  try {
    options_.on_change(change);
  } catch (...) {
  }
#else
  options_.on_change(change);
#endif
}

}  // namespace spanwatch::internal
