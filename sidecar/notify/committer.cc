#include "sidecar/notify/committer.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "sidecar/notify/steady.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kGrace = 200'000'000;

}  // namespace

Committer::Committer(std::shared_ptr<Outbox> outbox, std::size_t limit, Deliver deliver, Reconcile reconcile)
    : outbox_(std::move(outbox)),
      limit_(limit),
      tend_at_ns_(outbox_ == nullptr ? INT64_MAX : 0),
      deliver_(std::move(deliver)),
      reconcile_(std::move(reconcile)) {}

void Committer::Start() {
  MutexLock lock(&mutex_);
  if (thread_.joinable() || stopping_) return;
  thread_ = std::thread(&Committer::Run, shared_from_this());
}

void Committer::Run(std::shared_ptr<Committer> self) {
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
}

void Committer::Enqueue(std::vector<core::Transition> transitions) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    std::move(transitions.begin(), transitions.end(), std::back_inserter(queue_));
    MakeRoom();
  }
  wake_.notify_all();
}

void Committer::EnqueueReconcile(std::vector<core::Incident> living) {
  {
    MutexLock lock(&mutex_);
    living_ = std::move(living);
    before_living_ = queue_.size();
  }
  wake_.notify_all();
}

void Committer::MakeRoom() {
  if (queue_.size() <= limit_) return;
  std::size_t surplus = queue_.size() - limit_;
  dropped_ += std::erase_if(queue_, [&](const core::Transition& transition) {
    const bool goes = surplus > 0 && transition.kind == core::TransitionKind::kUpdated;
    surplus -= goes ? 1 : 0;
    return goes;
  });
  for (; queue_.size() > 2 * limit_; ++dropped_) queue_.pop_front();
}

Committer::Work Committer::WaitForWork() {
  MutexLock lock(&mutex_);
  in_hand_ = 0;
  while (queue_.empty() && !living_ && !stopping_ && SteadyNow() < tend_at_ns_) {
    wake_.wait_until(mutex_, ToSteady(tend_at_ns_));
  }
  Work work;
  const std::size_t count = living_ ? std::min(before_living_, queue_.size()) : queue_.size();
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  work.transitions.assign(std::move_iterator(queue_.begin()), std::move_iterator(end));
  queue_.erase(queue_.begin(), end);
  in_hand_ = work.transitions.size();
  work.living = std::exchange(living_, std::nullopt);
  work.stopping = stopping_ && queue_.empty();
  return work;
}

bool Committer::DoStep() {
  Work work = WaitForWork();
  if (!work.transitions.empty()) {
    HandOn(outbox_ == nullptr ? Outbox::Committed{std::move(work.transitions), 0}
                              : outbox_->Commit(std::move(work.transitions)));
  }
  if (work.living) {
    MutexLock lock(&call_mutex_);
    if (reconcile_ != nullptr) reconcile_(*work.living);
  }
  if (work.stopping) return false;
  if (outbox_ != nullptr && SteadyNow() >= tend_at_ns_) {
    HandOn(outbox_->Tend());
    tend_at_ns_ = SteadyNow() + outbox_->retry_ns();
  }
  return true;
}

void Committer::HandOn(const Outbox::Committed& committed) {
  if (committed.fresh.empty() && committed.sequence == handed_on_) return;
  handed_on_ = committed.sequence;
  MutexLock lock(&call_mutex_);
  if (deliver_ != nullptr) deliver_(committed.fresh, committed.sequence);
}

std::size_t Committer::Stop(std::int64_t deadline_ns) {
  std::thread thread;
  std::size_t left = 0;
  bool done = false;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.notify_all();
    if (thread_.joinable()) {
      const std::int64_t until = std::max(deadline_ns, SteadyNow() + kGrace);
      while (!done_ && SteadyNow() < until) wake_.wait_until(mutex_, ToSteady(until));
    }
    thread = std::exchange(thread_, {});
    done = done_;
    left = queue_.size() + (done ? 0 : in_hand_);
  }
  if (!thread.joinable()) return left;
  if (done) {
    thread.join();
  } else {
    thread.detach();
    MutexLock lock(&call_mutex_);
    deliver_ = nullptr;
    reconcile_ = nullptr;
  }
  return left;
}

std::size_t Committer::Waiting() const {
  MutexLock lock(&mutex_);
  return queue_.size() + in_hand_;
}

std::uint64_t Committer::Dropped() const {
  MutexLock lock(&mutex_);
  return dropped_;
}

}  // namespace spanwatch::notify
