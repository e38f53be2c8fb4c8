#include "sidecar/notify/notifier.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/mutex.h"
#include "sidecar/notify/discord_url.h"
#include "sidecar/notify/worker.h"

namespace spanwatch::notify {

std::string WebhookUrlProblem(const std::string& url) {
  const auto parsed = ParseWebhookUrl(url);
  return parsed ? "" : parsed.error();
}

class Notifier::Impl {
 public:
  explicit Impl(const Options& options) { Apply(options); }

  void Start() EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    started_ = true;
    for (const auto& worker : workers_) worker->Start();
  }

  void Enqueue(const std::vector<core::Transition>& transitions) EXCLUDES(mutex_) {
    if (transitions.empty()) return;
    MutexLock lock(&mutex_);
    for (const auto& worker : workers_) worker->Enqueue(transitions);
  }

  // Targets are known by name; those that are no longer named end.
  void Apply(const Options& options) EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Worker>> gone;
    {
      MutexLock lock(&mutex_);
      if (stopped_) return;
      std::vector<std::shared_ptr<Worker>> next;
      for (const DiscordTarget& target : options.targets) {
        const auto has_name = [&](const auto& worker) { return worker->name() == target.name; };
        if (std::any_of(next.begin(), next.end(), has_name)) continue;
        const auto it = std::find_if(workers_.begin(), workers_.end(), has_name);
        if (it != workers_.end()) {
          (*it)->Configure(target, options);
          next.push_back(*it);
        } else {
          next.push_back(std::make_shared<Worker>(target, options, gate_));
          if (started_) next.back()->Start();
        }
      }
      for (const auto& worker : workers_) {
        if (std::find(next.begin(), next.end(), worker) == next.end()) gone.push_back(worker);
      }
      workers_ = std::move(next);
    }
    StopAll(gone, 0);
  }

  std::size_t Stop(std::int64_t budget_ns) EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Worker>> workers;
    {
      MutexLock lock(&mutex_);
      if (std::exchange(stopped_, true)) return 0;
      workers = workers_;
    }
    return StopAll(workers, budget_ns);
  }

  std::vector<TargetStatus> Status() const EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    std::vector<TargetStatus> all;
    for (const auto& worker : workers_) all.push_back(worker->Status());
    return all;
  }

  std::vector<Counters> Counts() const EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    std::vector<Counters> all;
    for (const auto& worker : workers_) all.push_back(worker->Counts());
    return all;
  }

 private:
  static std::size_t StopAll(const std::vector<std::shared_ptr<Worker>>& workers, std::int64_t budget_ns) {
    const std::int64_t deadline = SteadyNow() + std::max<std::int64_t>(budget_ns, 0);
    for (const auto& worker : workers) worker->BeginStop(deadline);
    std::size_t undelivered = 0;
    for (const auto& worker : workers) undelivered += worker->FinishStop(deadline);
    return undelivered;
  }

  const std::shared_ptr<GlobalGate> gate_ = std::make_shared<GlobalGate>(0);
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<Worker>> workers_ GUARDED_BY(mutex_);
  bool started_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

Notifier::Notifier(Options options) : impl_(std::make_unique<Impl>(options)) {}
Notifier::~Notifier() { Stop(0); }

void Notifier::Start() { impl_->Start(); }
void Notifier::Enqueue(std::vector<core::Transition> transitions) { impl_->Enqueue(transitions); }
std::size_t Notifier::Stop(std::int64_t budget_ns) { return impl_->Stop(budget_ns); }
void Notifier::Reconfigure(Options options) { impl_->Apply(options); }
std::vector<TargetStatus> Notifier::Status() const { return impl_->Status(); }
std::vector<Counters> Notifier::Counts() const { return impl_->Counts(); }

}  // namespace spanwatch::notify
