// The traces that alerts link to, kept beyond their time in the engine's store, and the top of their critical paths for
// the messages. A thread of its own copies each incident's worst trace when the incident fires, changes or ends, and
// again while the trace is not complete; what is kept and for how long: kept_index.h. With an outbox it is all in the
// outbox's file and survives a restart, else in memory.
//
// It never fails its callers: what cannot be copied is not kept, what cannot be written waits in memory, within the
// same limits, and is written later.
//
// Threads: all public functions may be called from any thread; Enqueue and Reconcile only queue. PathOf waits for the
// thread up to kPathWaitNs after the incident was enqueued, Get may wait for the disk. Held by shared_ptr: a thread
// that does not end in time (a disk that hangs) is left behind and calls nothing from outside any more.
#ifndef SPANWATCH_SIDECAR_NOTIFY_KEPT_TRACES_H_
#define SPANWATCH_SIDECAR_NOTIFY_KEPT_TRACES_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/mutex.h"
#include "sidecar/notify/kept_copy.h"
#include "sidecar/notify/kept_index.h"
#include "sidecar/notify/outbox.h"
#include "sidecar/notify/outbox_status.h"

namespace spanwatch::notify {

// What a message may be held up for its critical path: below what anybody notices. After it the path comes with the
// first edit.
inline constexpr std::int64_t kPathWaitNs = 10'000'000;

class KeptTraces : public std::enable_shared_from_this<KeptTraces> {
 public:
  using FindTrace = std::function<std::optional<core::TraceCopy>(const TraceId&)>;
  // Called by the thread: the paths of these incidents' traces became other ones.
  using OnChange = std::function<void(const std::vector<std::string>& incidents)>;

  // `outbox` may be null: memory only.
  KeptTraces(std::shared_ptr<Outbox> outbox, KeptIndex::Limits limits, FindTrace find, OnChange on_change);
  ~KeptTraces() = default;
  KeptTraces(const KeptTraces&) = delete;
  KeptTraces& operator=(const KeptTraces&) = delete;

  // Before Start, once, after the outbox was opened: takes what an earlier process left. Waits for the disk.
  void Load() EXCLUDES(mutex_);
  void Start() EXCLUDES(mutex_);
  void Enqueue(const std::vector<core::Transition>& transitions) EXCLUDES(mutex_);
  // `living` are the engine's incidents: those that fire get their copy if they have none, others have ended.
  void Reconcile(const std::vector<core::Incident>& living) EXCLUDES(mutex_);
  // Copies and writes what waits, until `deadline_ns` (steady clock) and a little longer. Must come before the outbox
  // is closed.
  void Stop(std::int64_t deadline_ns) EXCLUDES(mutex_, call_mutex_);

  CriticalPath PathOf(const core::Incident& incident) EXCLUDES(mutex_);
  bool Has(const TraceId& id) const EXCLUDES(mutex_);
  std::optional<KeptCopy> Get(const TraceId& id) const EXCLUDES(mutex_);
  void AddTo(OutboxStatus* status) const EXCLUDES(mutex_);

 private:
  struct Wanted {
    std::string alertname;
    TraceId trace;  // invalid: the incident has none
    bool resolved = false;
    std::int64_t since_ns = 0;  // steady clock
  };
  struct Recheck {
    TraceId trace;
    std::int64_t due_ns = 0, pause_ns = 0;
  };
  struct Work {
    std::string incident;  // empty: none
    Wanted wanted;
    std::optional<TraceId> recheck;
    bool stopping = false;
    bool idle = true;  // nothing more waits
  };

  static void Run(std::shared_ptr<KeptTraces> self);
  bool DoStep() EXCLUDES(mutex_, call_mutex_);
  Work WaitForWork() EXCLUDES(mutex_);
  std::int64_t NextDue() const REQUIRES(mutex_);
  void Want(const std::string& incident, Wanted wanted) REQUIRES(mutex_);
  bool IsOnItsWay(const std::string& incident, const TraceId& trace) const REQUIRES(mutex_);
  void LookAt(const std::string& incident, const Wanted& wanted) EXCLUDES(mutex_, call_mutex_);
  void LookAgain(const TraceId& trace) EXCLUDES(mutex_, call_mutex_);
  std::optional<core::TraceCopy> Find(const TraceId& trace) EXCLUDES(call_mutex_);
  void Keep(const core::TraceCopy& copy, const core::TraceAnalysis& analysis, bool is_same) EXCLUDES(mutex_);
  void Tell(const std::vector<std::string>& incidents) EXCLUDES(call_mutex_);
  void SaveChanges() EXCLUDES(mutex_);

  const std::shared_ptr<Outbox> outbox_;

  // The thread's own.
  std::uint64_t generation_ = 0;
  std::size_t unsaved_steps_ = 0;

  Mutex call_mutex_;  // held while something outside is called
  FindTrace find_ GUARDED_BY(call_mutex_);
  OnChange on_change_ GUARDED_BY(call_mutex_);

  mutable Mutex mutex_;
  CondVar wake_;    // the thread has something to do, or has ended
  CondVar looked_;  // an incident's trace was looked at
  KeptIndex index_ GUARDED_BY(mutex_);
  std::map<std::string, Wanted> wanted_ GUARDED_BY(mutex_);
  std::deque<std::string> order_ GUARDED_BY(mutex_);  // of wanted_
  std::string in_hand_ GUARDED_BY(mutex_);
  std::int64_t in_hand_since_ns_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, Recheck> rechecks_ GUARDED_BY(mutex_);  // by the trace's hex
  std::int64_t rest_until_ns_ GUARDED_BY(mutex_) = INT64_MIN;
  std::int64_t save_at_ns_ GUARDED_BY(mutex_) = INT64_MIN;  // after a failure: not before
  std::int64_t tend_at_ns_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool done_ GUARDED_BY(mutex_) = false;
  std::int64_t deadline_ns_ GUARDED_BY(mutex_) = INT64_MAX;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_KEPT_TRACES_H_
