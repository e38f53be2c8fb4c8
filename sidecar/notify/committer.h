// The thread between the engine and the receivers' threads: takes transitions, writes them to the outbox, and hands on
// those that are new. So nobody who decides an alert ever waits for the disk or for the routing, and nothing is sent
// before it is written.
//
// Threads: all public functions may be called from any thread. Held by shared_ptr: a thread that does not end in time
// (a disk that hangs) is left behind and calls nothing from outside any more. Bounded: `limit` transitions wait; then
// the oldest update goes first, a firing or a resolution beyond twice the limit.
#ifndef SPANWATCH_SIDECAR_NOTIFY_COMMITTER_H_
#define SPANWATCH_SIDECAR_NOTIFY_COMMITTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/mutex.h"
#include "sidecar/notify/outbox.h"

namespace spanwatch::notify {

class Committer : public std::enable_shared_from_this<Committer> {
 public:
  // Called by the committer's thread: new transitions in order, and the sequence number up to which all are on disk.
  using Deliver = std::function<void(const std::vector<core::Transition>&, std::uint64_t sequence)>;
  using Reconcile = std::function<void(const std::vector<core::Incident>& living)>;

  // Without an outbox all are new and nothing is written.
  Committer(std::shared_ptr<Outbox> outbox, std::size_t limit, Deliver deliver, Reconcile reconcile);
  ~Committer() = default;
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  void Start() EXCLUDES(mutex_);
  void Enqueue(std::vector<core::Transition> transitions) EXCLUDES(mutex_);
  // Passed on after everything that was enqueued before, and before everything later.
  void EnqueueReconcile(std::vector<core::Incident> living) EXCLUDES(mutex_);
  // Writes and hands on what waits, until `deadline_ns` (steady clock) and a little longer. Returns how many
  // transitions were left.
  std::size_t Stop(std::int64_t deadline_ns) EXCLUDES(mutex_, call_mutex_);

  std::size_t Waiting() const EXCLUDES(mutex_);
  std::uint64_t Dropped() const EXCLUDES(mutex_);

 private:
  struct Work {
    std::vector<core::Transition> transitions;
    std::optional<std::vector<core::Incident>> living;
    bool stopping = false;
  };

  static void Run(std::shared_ptr<Committer> self);
  bool DoStep() EXCLUDES(mutex_, call_mutex_);
  Work WaitForWork() EXCLUDES(mutex_);
  void MakeRoom() REQUIRES(mutex_);
  void HandOn(const Outbox::Committed& committed) EXCLUDES(call_mutex_);

  const std::shared_ptr<Outbox> outbox_;
  const std::size_t limit_;

  // The thread's own.
  std::int64_t tend_at_ns_;
  std::uint64_t handed_on_ = 0;

  Mutex call_mutex_;  // held while something outside is called
  Deliver deliver_ GUARDED_BY(call_mutex_);
  Reconcile reconcile_ GUARDED_BY(call_mutex_);

  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<core::Transition> queue_ GUARDED_BY(mutex_);
  std::optional<std::vector<core::Incident>> living_ GUARDED_BY(mutex_);
  std::size_t before_living_ GUARDED_BY(mutex_) = 0;  // transitions of the queue that come before it
  std::uint64_t dropped_ GUARDED_BY(mutex_) = 0;
  std::size_t in_hand_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool done_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_COMMITTER_H_
