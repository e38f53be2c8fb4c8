#include "sidecar/notify/notifier.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/mutex.h"
#include "sidecar/notify/channel.h"
#include "sidecar/notify/committer.h"
#include "sidecar/notify/dispatch.h"
#include "sidecar/notify/kept_traces.h"
#include "sidecar/notify/outbox.h"
#include "sidecar/notify/steady.h"
#include "sidecar/notify/worker.h"

namespace spanwatch::notify {
namespace {

KeptIndex::Limits KeptLimits(const Options& options) {
  KeptIndex::Limits limits;
  std::int64_t bytes = options.kept_max_bytes;
  if (!options.state_path.empty()) bytes = std::min(bytes, options.state_max_bytes / 4);
  limits.all_bytes = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0));
  limits.incidents = std::max<std::size_t>(options.queue_limit, 1);
  return limits;
}

constexpr std::int64_t kExplainNs = 200'000'000;

// How it stands where the receiver itself has nothing to say.
void FillState(const core::Incident& incident, const Direction& direction, const TargetStatus& status,
               core::Delivery* delivery) {
  if (!direction.routed) {
    delivery->state = "not_routed";
  } else if (!status.configured) {
    delivery->state = "not_configured";
    delivery->detail = "this receiver has no address; nothing is sent to it";
  } else if (status.given_up) {
    delivery->state = "given_up";
    delivery->detail = "nothing is sent to this receiver until the configuration changes: " + status.last_error;
  } else if (incident.state != core::AlertState::kFiring) {
    delivery->state = "over";
    delivery->detail = "the alert is over, and this receiver was told all that it is told";
  } else {
    delivery->state = direction.muted ? "muted" : "waiting";
  }
}

}  // namespace

std::string UrlProblem(const core::Receiver& receiver) {
  const auto channel = MakeChannel(receiver, "", "");
  return channel ? "" : channel.error();
}

class Notifier::Impl {
 public:
  explicit Impl(const Options& options) : holding_(options.hold_until_reconcile) {
    if (!options.state_path.empty()) {
      OutboxOptions outbox;
      outbox.path = options.state_path;
      outbox.max_bytes = options.state_max_bytes;
      outbox.retry_ns = options.state_retry_ns;
      outbox_ = std::make_shared<Outbox>(std::move(outbox));
    }
    committer_ = std::make_shared<Committer>(
        outbox_, options.queue_limit,
        [this](const auto& transitions, std::uint64_t sequence) { Deliver(transitions, sequence); },
        [this](const auto& living) { DoReconcile(living); });
    dispatcher_ = std::make_shared<Dispatcher>(options.routing, outbox_, options.compile_pattern,
                                               [this](const auto& receivers) { Redirect(receivers); });
    if (options.find_trace) {
      kept_ = std::make_shared<KeptTraces>(outbox_, KeptLimits(options), options.find_trace,
                                           [this](const auto& incidents) { Refresh(incidents); });
    }
    Apply(options);
  }

  void Start() EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    if (std::exchange(started_, true) || stopped_) return;
    if (outbox_ != nullptr) {
      outbox_->Open();
      outbox_->ForgetAllBut(Names());
      if (kept_ != nullptr) kept_->Load();
    }
    dispatcher_->Start();
    if (kept_ != nullptr && !holding_) kept_->Start();
    for (const auto& worker : workers_) Begin(worker.get());
    committer_->Start();
  }

  void Enqueue(std::vector<core::Transition> transitions) EXCLUDES(mutex_) {
    if (!transitions.empty()) committer_->Enqueue(std::move(transitions));
  }

  void Reconcile(const std::vector<core::Incident>& living) EXCLUDES(mutex_) { committer_->EnqueueReconcile(living); }

  std::int64_t CommittedNs() const { return outbox_ == nullptr ? INT64_MIN : outbox_->committed_ns(); }

  OutboxStatus GetOutboxStatus() const {
    OutboxStatus status;
    if (outbox_ != nullptr) {
      status = outbox_->GetStatus();
      status.pending += committer_->Waiting();
    }
    status.given_up += committer_->Dropped();
    if (kept_ != nullptr) kept_->AddTo(&status);
    return status;
  }

  std::optional<KeptCopy> GetKeptTrace(const TraceId& id) const {
    return kept_ == nullptr ? std::nullopt : kept_->Get(id);
  }

  // Targets are known by name; those that are no longer named end.
  void Apply(const Options& options) EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Worker>> gone;
    // Before the receivers: each looks again when it takes its own settings over.
    dispatcher_->SetRouting(options.routing);
    {
      MutexLock lock(&mutex_);
      if (stopped_) return;
      std::vector<std::shared_ptr<Worker>> next;
      const std::vector<core::Receiver> receivers =
          options.routing == nullptr ? std::vector<core::Receiver>{} : options.routing->receivers;
      for (const core::Receiver& target : receivers) {
        const auto has_name = [&](const auto& worker) { return worker->name() == target.name; };
        if (std::any_of(next.begin(), next.end(), has_name)) continue;
        const auto it = std::find_if(workers_.begin(), workers_.end(), has_name);
        if (it != workers_.end()) {
          (*it)->Configure(target, options);
          next.push_back(*it);
        } else {
          next.push_back(std::make_shared<Worker>(target, options, gate_, outbox_, kept_, DirectFor(target.name)));
          if (started_) Begin(next.back().get());
        }
      }
      for (const auto& worker : workers_) {
        if (std::find(next.begin(), next.end(), worker) == next.end()) gone.push_back(worker);
      }
      workers_ = std::move(next);
    }
    StopAll(gone, 0);
    MutexLock lock(&mutex_);
    if (started_ && outbox_ != nullptr && !gone.empty()) outbox_->ForgetAllBut(Names());
  }

  std::size_t Stop(std::int64_t budget_ns) EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Worker>> workers;
    {
      MutexLock lock(&mutex_);
      if (std::exchange(stopped_, true)) return 0;
    }
    // First what was decided goes to disk and to the receivers, then these end.
    const std::int64_t deadline = SteadyNow() + std::max<std::int64_t>(budget_ns, 0);
    std::size_t undelivered = committer_->Stop(deadline);
    dispatcher_->Stop();
    const bool disk_hangs = undelivered > 0;
    {
      MutexLock lock(&mutex_);
      workers = workers_;
    }
    undelivered += StopAll(workers, deadline - SteadyNow());
    if (kept_ != nullptr) kept_->Stop(deadline);
    if (outbox_ != nullptr && !disk_hangs) outbox_->Close();
    return undelivered;
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

  std::vector<core::Why> GetWhy(const std::string& fingerprint) const EXCLUDES(mutex_) {
    std::vector<core::Why> all;
    auto verdicts = dispatcher_->Explain(fingerprint);
    if (verdicts.empty()) return all;
    std::vector<std::shared_ptr<Worker>> workers;
    {
      MutexLock lock(&mutex_);
      workers = workers_;
    }
    std::map<std::string, std::pair<TargetStatus, std::shared_ptr<const Worker::Standing>>> standing;
    const std::int64_t until = SteadyNow() + kExplainNs;
    for (const auto& worker : workers) standing[worker->name()] = {worker->Status(), worker->Explain(until)};
    for (auto& [incident, verdict] : verdicts) {
      core::Why why{fingerprint, incident.id, {}};
      for (Decision& decision : verdict.receivers) {
        core::Delivery delivery;
        const auto& [status, known] = standing[decision.receiver];
        if (known != nullptr) {
          if (const auto it = known->find(incident.id); it != known->end()) delivery = it->second;
        }
        if (delivery.state.empty()) FillState(incident, decision.direction, status, &delivery);
        delivery.receiver = std::move(decision.receiver);
        delivery.route = std::move(decision.route);
        delivery.muted = decision.direction.muted;
        delivery.reason = std::move(decision.reason);
        why.deliveries.push_back(std::move(delivery));
      }
      all.push_back(std::move(why));
    }
    return all;
  }

  Dispatcher* dispatcher() const { return dispatcher_.get(); }

 private:
  Direct DirectFor(const std::string& receiver) const {
    return [dispatcher = dispatcher_, receiver](const core::Incident& incident) {
      return dispatcher->DirectionFor(receiver, incident);
    };
  }

  void Redirect(const std::vector<std::string>& receivers) EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (const auto& worker : workers_) {
      if (std::find(receivers.begin(), receivers.end(), worker->name()) != receivers.end()) worker->Redirect();
    }
  }

  static std::size_t StopAll(const std::vector<std::shared_ptr<Worker>>& workers, std::int64_t budget_ns) {
    const std::int64_t deadline = SteadyNow() + std::max<std::int64_t>(budget_ns, 0);
    for (const auto& worker : workers) worker->BeginStop(deadline);
    std::size_t undelivered = 0;
    for (const auto& worker : workers) undelivered += worker->FinishStop(deadline);
    return undelivered;
  }

  void Deliver(const std::vector<core::Transition>& transitions, std::uint64_t sequence) EXCLUDES(mutex_) {
    // These before the workers: what they are told goes by the former, and may wait a little for what the latter finds.
    dispatcher_->Take(transitions);
    if (kept_ != nullptr) kept_->Enqueue(transitions);
    MutexLock lock(&mutex_);
    for (const auto& worker : workers_) worker->Enqueue(transitions, sequence);
  }

  void Refresh(const std::vector<std::string>& incidents) EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (const auto& worker : workers_) worker->Refresh(incidents);
  }

  void DoReconcile(const std::vector<core::Incident>& living) EXCLUDES(mutex_) {
    dispatcher_->Reconcile(living);
    MutexLock lock(&mutex_);
    const bool was_holding = std::exchange(holding_, false);
    if (kept_ != nullptr) {
      kept_->Reconcile(living);
      if (started_ && !stopped_) kept_->Start();
    }
    for (const auto& worker : workers_) {
      worker->Reconcile(living, outbox_ != nullptr && outbox_->was_new());
      if (was_holding && started_ && !stopped_) worker->Start();
    }
  }

  void Begin(Worker* worker) REQUIRES(mutex_) {
    if (outbox_ != nullptr) worker->Load();
    if (!holding_) worker->Start();
  }

  std::vector<std::string> Names() const REQUIRES(mutex_) {
    std::vector<std::string> names;
    for (const auto& worker : workers_) names.push_back(worker->name());
    return names;
  }

  const std::shared_ptr<GlobalGate> gate_ = std::make_shared<GlobalGate>(0);
  std::shared_ptr<Outbox> outbox_;  // these three: fixed from construction on; this one is null without a file
  std::shared_ptr<Committer> committer_;
  std::shared_ptr<Dispatcher> dispatcher_;
  std::shared_ptr<KeptTraces> kept_;  // fixed from construction on; null without Options::find_trace
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<Worker>> workers_ GUARDED_BY(mutex_);
  bool holding_ GUARDED_BY(mutex_);  // nothing is sent before the fold is done
  bool started_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

Notifier::Notifier(Options options) : impl_(std::make_unique<Impl>(options)) {}
Notifier::~Notifier() { Stop(0); }

void Notifier::Start() { impl_->Start(); }
void Notifier::Enqueue(std::vector<core::Transition> transitions) { impl_->Enqueue(std::move(transitions)); }
std::int64_t Notifier::CommittedNs() const { return impl_->CommittedNs(); }
void Notifier::Reconcile(const std::vector<core::Incident>& living) { impl_->Reconcile(living); }
OutboxStatus Notifier::GetOutboxStatus() const { return impl_->GetOutboxStatus(); }
std::optional<KeptCopy> Notifier::GetKeptTrace(const TraceId& id) const { return impl_->GetKeptTrace(id); }
std::size_t Notifier::Stop(std::int64_t budget_ns) { return impl_->Stop(budget_ns); }
void Notifier::Reconfigure(Options options) { impl_->Apply(options); }
std::vector<core::Why> Notifier::GetWhy(const std::string& fingerprint) const { return impl_->GetWhy(fingerprint); }
std::vector<MutedIncident> Notifier::Muted() const { return impl_->dispatcher()->Muted(); }
RoutingCounts Notifier::GetRoutingCounts() const { return impl_->dispatcher()->Counts(); }
std::vector<core::Silence> Notifier::Silences() const { return impl_->dispatcher()->Silences(); }
tl::expected<std::string, std::string> Notifier::SetSilence(core::Silence silence) {
  return impl_->dispatcher()->SetSilence(std::move(silence));
}
bool Notifier::ExpireSilence(const std::string& id) { return impl_->dispatcher()->ExpireSilence(id); }
std::vector<TargetStatus> Notifier::Status() const { return impl_->Status(); }
std::vector<Counters> Notifier::Counts() const { return impl_->Counts(); }

}  // namespace spanwatch::notify
