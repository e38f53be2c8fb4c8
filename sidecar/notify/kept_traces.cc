#include "sidecar/notify/kept_traces.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <set>
#include <utility>

#include "sidecar/notify/steady.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kGrace = 200'000'000;
constexpr std::int64_t kTendEvery = 60 * kSecond;
constexpr std::int64_t kFirstRecheck = kSecond, kLastRecheck = 300 * kSecond;
constexpr std::int64_t kSaveRetry = 5 * kSecond;
constexpr std::size_t kStepsASave = 32;
// After a large trace the thread rests, so that copies take no more than about a fifth of a core.
constexpr std::int64_t kLongWork = 20'000'000;
constexpr std::int64_t kRestFactor = 4;

}  // namespace

KeptTraces::KeptTraces(std::shared_ptr<Outbox> outbox, KeptIndex::Limits limits, FindTrace find, OnChange on_change)
    : outbox_(std::move(outbox)),
      find_(std::move(find)),
      on_change_(std::move(on_change)),
      index_(limits, outbox_ != nullptr) {}

void KeptTraces::Load() {
  const StoredKept stored = outbox_->LoadKept(&generation_);
  std::size_t unreadable = 0;
  {
    MutexLock lock(&mutex_);
    unreadable = index_.Load(stored);
    index_.ForgetOld(WallNow());
    if (generation_ == 0) index_.ForgetDisk();
  }
  outbox_->CountUnreadable(unreadable);
}

void KeptTraces::Start() {
  MutexLock lock(&mutex_);
  if (thread_.joinable() || stopping_) return;
  for (auto& [id, wanted] : wanted_) wanted.since_ns = SteadyNow();
  thread_ = std::thread(&KeptTraces::Run, shared_from_this());
}

void KeptTraces::Run(std::shared_ptr<KeptTraces> self) {
  // The process's own signals go to its main thread; a file at its size limit is an error, not a signal.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGXFSZ}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  while (self->DoStep()) {
  }
  {
    MutexLock lock(&self->mutex_);
    self->done_ = true;
  }
  self->wake_.notify_all();
  self->looked_.notify_all();
}

void KeptTraces::Want(const std::string& incident, Wanted wanted) {
  if (stopping_) return;
  wanted.since_ns = SteadyNow();
  const auto [it, is_new] = wanted_.insert_or_assign(incident, std::move(wanted));
  if (!is_new) return;
  order_.push_back(incident);
  if (order_.size() <= index_.limits().incidents) return;
  wanted_.erase(order_.front());
  order_.pop_front();
}

void KeptTraces::Enqueue(const std::vector<core::Transition>& transitions) {
  {
    MutexLock lock(&mutex_);
    for (const core::Transition& transition : transitions) {
      const core::Incident& incident = transition.incident;
      const bool resolved = incident.state == core::AlertState::kResolved;
      if (!resolved && incident.state != core::AlertState::kFiring) continue;
      Want(incident.id, {incident.alertname, incident.worst_trace, resolved, 0});
    }
  }
  wake_.notify_all();
}

void KeptTraces::Reconcile(const std::vector<core::Incident>& living) {
  {
    MutexLock lock(&mutex_);
    std::set<std::string> fires;
    for (const core::Incident& incident : living) {
      if (incident.state != core::AlertState::kFiring) continue;
      fires.insert(incident.id);
      const KeptIndex::Trace* trace = index_.FindOf(incident.id);
      const bool kept = trace != nullptr && trace->bytes > 0 && trace->complete;
      if (kept && trace == index_.Find(incident.worst_trace)) continue;
      Want(incident.id, {incident.alertname, incident.worst_trace, false, 0});
    }
    for (auto& [id, wanted] : wanted_) wanted.resolved = wanted.resolved || !fires.contains(id);
    for (const std::string& id : index_.Firing()) {
      if (!fires.contains(id)) index_.Resolve(id, WallNow());
    }
  }
  wake_.notify_all();
}

std::int64_t KeptTraces::NextDue() const {
  std::int64_t due = tend_at_ns_;
  if (!wanted_.empty()) due = INT64_MIN;
  for (const auto& [id, recheck] : rechecks_) due = std::min(due, recheck.due_ns);
  if (outbox_ != nullptr && index_.HasChanges()) due = std::min(due, save_at_ns_);
  return std::max(due, rest_until_ns_);
}

KeptTraces::Work KeptTraces::WaitForWork() {
  MutexLock lock(&mutex_);
  while (!stopping_ && SteadyNow() < NextDue()) wake_.wait_until(mutex_, ToSteady(NextDue()));
  Work work;
  const std::int64_t now = SteadyNow();
  work.stopping = stopping_ && (wanted_.empty() || now >= deadline_ns_);
  if (!wanted_.empty() && !work.stopping) {
    work.incident = in_hand_ = order_.front();
    order_.pop_front();
    const auto it = wanted_.find(work.incident);
    work.wanted = std::move(it->second);
    in_hand_since_ns_ = work.wanted.since_ns;
    wanted_.erase(it);
  }
  // What is new comes first.
  for (auto it = rechecks_.begin(); it != rechecks_.end() && work.incident.empty() && !stopping_; ++it) {
    if (it->second.due_ns > now) continue;
    work.recheck = it->second.trace;
    break;
  }
  if (now >= tend_at_ns_) {
    index_.ForgetOld(WallNow());
    tend_at_ns_ = now + kTendEvery;
  }
  work.idle = wanted_.empty();
  return work;
}

bool KeptTraces::DoStep() {
  const Work work = WaitForWork();
  const std::int64_t begin = SteadyNow();
  if (!work.incident.empty()) {
    LookAt(work.incident, work.wanted);
    ++unsaved_steps_;
  }
  if (work.recheck) LookAgain(*work.recheck);
  const std::int64_t end = SteadyNow();
  if (work.idle || work.stopping || unsaved_steps_ >= kStepsASave) SaveChanges();
  if (end - begin > kLongWork) {
    MutexLock lock(&mutex_);
    rest_until_ns_ = end + kRestFactor * (end - begin);
  }
  return !work.stopping;
}

std::optional<core::TraceCopy> KeptTraces::Find(const TraceId& trace) {
  MutexLock lock(&call_mutex_);
  return find_ == nullptr || !trace.IsValid() ? std::nullopt : find_(trace);
}

void KeptTraces::Tell(const std::vector<std::string>& incidents) {
  MutexLock lock(&call_mutex_);
  if (on_change_ != nullptr) on_change_(incidents);
}

// First what a message waits for, then the copy.
void KeptTraces::LookAt(const std::string& incident, const Wanted& wanted) {
  const std::int64_t resolved_ns = wanted.resolved ? WallNow() : 0;
  const std::optional<core::TraceCopy> copy = Find(wanted.trace);
  const core::TraceAnalysis analysis = copy ? core::Analyse(*copy, {}) : core::TraceAnalysis();
  bool is_same = false, is_new_path = false;
  {
    MutexLock lock(&mutex_);
    if (wanted.trace.IsValid()) {
      index_.Put(incident, wanted.alertname, wanted.trace, resolved_ns);
    } else if (wanted.resolved) {
      index_.Resolve(incident, resolved_ns);
    }
    if (copy) {
      const auto spans = static_cast<std::uint32_t>(copy->spans.size());
      const KeptIndex::Trace* known = index_.Find(wanted.trace);
      is_same = known->bytes > 0 && known->spans == spans && known->complete == copy->summary.complete;
      is_new_path = index_.SetPath(wanted.trace, TopOfPath(*copy, analysis), spans, copy->summary.complete);
    }
    in_hand_.clear();
  }
  looked_.notify_all();
  if (is_new_path) Tell({incident});
  if (copy) Keep(*copy, analysis, is_same);
}

// A trace that was not complete when it was copied.
void KeptTraces::LookAgain(const TraceId& trace) {
  const std::optional<core::TraceCopy> copy = Find(trace);
  std::vector<std::string> changed;
  core::TraceAnalysis analysis;
  bool is_same = false;
  if (copy) analysis = core::Analyse(*copy, {});
  {
    MutexLock lock(&mutex_);
    const KeptIndex::Trace* known = index_.Find(trace);
    if (!copy || known == nullptr) {
      rechecks_.erase(trace.ToHex());
      return;
    }
    const auto spans = static_cast<std::uint32_t>(copy->spans.size());
    is_same = known->bytes > 0 && known->spans == spans && known->complete == copy->summary.complete;
    if (index_.SetPath(trace, TopOfPath(*copy, analysis), spans, copy->summary.complete)) {
      changed.assign(known->incidents.begin(), known->incidents.end());
    }
  }
  if (!changed.empty()) Tell(changed);
  Keep(*copy, analysis, is_same);
}

void KeptTraces::Keep(const core::TraceCopy& copy, const core::TraceAnalysis& analysis, bool is_same) {
  const TraceId id = copy.summary.trace_id;
  if (!is_same) {
    std::size_t whole = 0, cut = 0;
    {
      MutexLock lock(&mutex_);
      whole = index_.RoomForWhole(id);
      cut = index_.limits().each_bytes;
    }
    KeptBytes bytes = Pack(copy, analysis, whole, cut);
    MutexLock lock(&mutex_);
    index_.SetCopy(id, std::move(bytes));
  }
  MutexLock lock(&mutex_);
  const std::string key = id.ToHex();
  if (copy.summary.complete) {
    rechecks_.erase(key);
    return;
  }
  if (!rechecks_.contains(key) && rechecks_.size() >= index_.limits().incidents) return;
  Recheck& recheck = rechecks_[key];
  recheck.trace = id;
  recheck.pause_ns = std::clamp(2 * recheck.pause_ns, kFirstRecheck, kLastRecheck);
  recheck.due_ns = SteadyNow() + recheck.pause_ns;
}

void KeptTraces::SaveChanges() {
  if (outbox_ == nullptr) return;
  KeptChanges changes;
  {
    MutexLock lock(&mutex_);
    if (SteadyNow() < save_at_ns_ || !index_.HasChanges()) return;
    changes = index_.TakeChanges();
  }
  unsaved_steps_ = 0;
  const Outbox::KeptResult result = outbox_->SaveKept(changes, &generation_);
  MutexLock lock(&mutex_);
  if (result == Outbox::KeptResult::kOk) {
    index_.Written(changes);
    save_at_ns_ = INT64_MIN;
    return;
  }
  index_.NotWritten(changes);
  if (result == Outbox::KeptResult::kOtherFile) {
    index_.ForgetDisk();
  } else {
    save_at_ns_ = SteadyNow() + kSaveRetry;
  }
}

void KeptTraces::Stop(std::int64_t deadline_ns) {
  std::thread thread;
  bool done = false;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    deadline_ns_ = deadline_ns;
    wake_.notify_all();
    if (thread_.joinable()) {
      const std::int64_t until = std::max(deadline_ns, SteadyNow() + kGrace);
      while (!done_ && SteadyNow() < until) wake_.wait_until(mutex_, ToSteady(until));
    }
    thread = std::exchange(thread_, {});
    done = done_;
  }
  if (!thread.joinable()) return;
  if (done) {
    thread.join();
  } else {
    thread.detach();
    MutexLock lock(&call_mutex_);
    find_ = nullptr;
    on_change_ = nullptr;
  }
}

bool KeptTraces::IsOnItsWay(const std::string& incident, const TraceId& trace) const {
  const auto it = wanted_.find(incident);
  const std::int64_t now = SteadyNow();
  if (it != wanted_.end()) return it->second.trace == trace && now < it->second.since_ns + kPathWaitNs;
  return in_hand_ == incident && now < in_hand_since_ns_ + kPathWaitNs;
}

CriticalPath KeptTraces::PathOf(const core::Incident& incident) {
  if (!incident.worst_trace.IsValid()) return {};
  MutexLock lock(&mutex_);
  const std::int64_t until = SteadyNow() + kPathWaitNs;
  while (!done_ && thread_.joinable() && SteadyNow() < until && IsOnItsWay(incident.id, incident.worst_trace)) {
    looked_.wait_until(mutex_, ToSteady(until));
  }
  const KeptIndex::Trace* trace = index_.Find(incident.worst_trace);
  return trace == nullptr ? CriticalPath() : trace->path;
}

bool KeptTraces::Has(const TraceId& id) const {
  MutexLock lock(&mutex_);
  const KeptIndex::Trace* trace = index_.Find(id);
  return trace != nullptr && trace->bytes > 0;
}

std::optional<KeptCopy> KeptTraces::Get(const TraceId& id) const {
  KeptCopy copy;
  std::string bytes;
  {
    MutexLock lock(&mutex_);
    const KeptIndex::Trace* trace = index_.Find(id);
    if (trace == nullptr || trace->bytes == 0) return std::nullopt;
    bytes = trace->body;
    copy.cut = trace->cut;
    copy.alerts = index_.AlertNames(*trace);
  }
  if (bytes.empty() && outbox_ != nullptr) bytes = outbox_->ReadKept(id.ToHex());
  std::optional<core::TraceCopy> trace = Unpack(bytes);
  if (!trace || trace->summary.trace_id != id) {
    if (outbox_ != nullptr) outbox_->CountUnreadable(1);
    return std::nullopt;
  }
  copy.trace = std::move(*trace);
  return copy;
}

void KeptTraces::AddTo(OutboxStatus* status) const {
  MutexLock lock(&mutex_);
  status->kept_traces = index_.copies();
  status->kept_trace_bytes = index_.bytes();
}

}  // namespace spanwatch::notify
