// One target's thread: takes transitions from its queue into its planner, sends what the planner asks for, publishes
// status. With an outbox it goes on from what an earlier process left there, stores before each post that one is under
// way, and after each answer what it meant.
//
// Threads: all public functions may be called from any thread. The object must be held by shared_ptr: a thread that
// does not end in time (a name lookup that hangs) is left behind and keeps its worker alive; it calls nothing from
// outside any more.
#ifndef SPANWATCH_SIDECAR_NOTIFY_WORKER_H_
#define SPANWATCH_SIDECAR_NOTIFY_WORKER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/client/http_client.h"
#include "sidecar/core/mutex.h"
#include "sidecar/notify/channel.h"
#include "sidecar/notify/kept_traces.h"
#include "sidecar/notify/notifier.h"
#include "sidecar/notify/outbox.h"
#include "sidecar/notify/planner.h"
#include "sidecar/notify/transition_queue.h"

namespace spanwatch::notify {

// Until when nobody may send (ns, steady clock): Discord's global limit is one for the address, so all workers share
// it.
using GlobalGate = std::atomic<std::int64_t>;

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  // `outbox` may be null: nothing is kept. So may `kept`: messages tell no critical path.
  // `direct`: what the routing says of an incident to a receiver of that name; outlives the worker.
  Worker(core::Receiver target, const Options& options, std::shared_ptr<GlobalGate> gate,
         std::shared_ptr<Outbox> outbox, std::shared_ptr<KeptTraces> kept, Direct direct);
  ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before Start, once, and only with an outbox: takes what an earlier process left. Waits for the disk.
  void Load() EXCLUDES(mutex_);
  void Start() EXCLUDES(mutex_);
  // `sequence`: of the last transition on disk; 0 without an outbox.
  void Enqueue(const std::vector<core::Transition>& transitions, std::uint64_t sequence) EXCLUDES(mutex_);
  // `nothing_known`: there was no outbox to go on from. Then of what waits for a thread that was not started yet, that
  // is of a fold, the past is not told: nobody knows whether it was told before. What still fires is, even if it began
  // long ago.
  void Reconcile(const std::vector<core::Incident>& living, bool nothing_known) EXCLUDES(mutex_);
  // The critical paths of these incidents' traces became other ones.
  void Refresh(const std::vector<std::string>& incidents) EXCLUDES(mutex_);
  // What the routing says became different.
  void Redirect() EXCLUDES(mutex_);
  void Configure(core::Receiver target, const Options& options) EXCLUDES(mutex_);
  // After this no message is begun later than `deadline_ns` (steady clock). Does not wait.
  void BeginStop(std::int64_t deadline_ns) EXCLUDES(mutex_);
  // Waits for the end of the thread, until `deadline_ns`; then aborts the running exchange and waits a little longer.
  // Returns how many messages were not delivered.
  std::size_t FinishStop(std::int64_t deadline_ns) EXCLUDES(mutex_);

  // How each incident stands here, by its id. Waits until `until_ns` (steady clock) for the thread to say; if that is
  // busy with a request, it is as it was before (at most a second older than the request).
  using Standing = std::map<std::string, core::Delivery>;
  std::shared_ptr<const Standing> Explain(std::int64_t until_ns) EXCLUDES(mutex_);
  TargetStatus Status() const EXCLUDES(mutex_);
  Counters Counts() const EXCLUDES(mutex_);
  const std::string& name() const { return name_; }

 private:
  struct Settings {
    core::Receiver target;
    Options options;
  };
  struct Living {
    std::vector<core::Incident> incidents;
    bool tell_all = false;
  };
  struct Work {
    std::vector<core::Transition> transitions;
    std::uint64_t sequence = 0;
    std::optional<Living> living;
    std::set<std::string> refreshed;
    bool redirect = false;
    std::optional<Settings> settings;
    bool stopping = false;
    std::int64_t deadline_ns = INT64_MAX;
  };

  static void Run(std::shared_ptr<Worker> self);
  // False when the thread is to end.
  bool Step() EXCLUDES(mutex_);
  Work WaitForWork() EXCLUDES(mutex_);
  bool HasNews() const REQUIRES(mutex_);
  void Adopt(Settings settings) EXCLUDES(mutex_);
  bool IsSameTarget(const Channel* channel);
  void Take(Work* work);
  bool SendOne() EXCLUDES(mutex_);
  void Save();
  void Publish() EXCLUDES(mutex_);
  void PublishStanding() EXCLUDES(mutex_);
  void LogChanges();
  bool WaitUntilDone(std::int64_t until_ns) EXCLUDES(mutex_);

  const std::string name_;
  const std::shared_ptr<GlobalGate> gate_;
  const std::shared_ptr<Outbox> outbox_;
  const std::shared_ptr<KeptTraces> kept_;
  const Direct direct_;
  std::atomic<bool> abandoned_{false};

  // The thread's own.
  std::unique_ptr<Planner> planner_;
  std::unique_ptr<Channel> channel_;  // null: nothing can be sent
  std::string identity_;              // its
  std::string url_problem_;
  bool has_url_ = false;
  bool told_given_up_ = false;
  bool told_failing_ = false;
  Outbox::Receiver receiver_;
  std::vector<core::Transition> unconsumed_;  // of an earlier process
  bool loaded_ = false;                       // and no webhook adopted since
  std::string webhook_;                       // fingerprint
  std::uint64_t sequence_ = 0;                // up to which the planner was given all transitions
  std::uint64_t stored_sequence_ = 0;         // what of these two is on disk
  std::string stored_webhook_;
  std::int64_t save_at_ns_ = INT64_MIN;  // after a failure: not before
  bool standing_is_old_ = true;
  std::int64_t standing_at_ns_ = INT64_MIN;

  mutable Mutex mutex_;
  CondVar wake_;
  TransitionQueue queue_ GUARDED_BY(mutex_);
  std::uint64_t queue_sequence_ GUARDED_BY(mutex_) = 0;
  std::uint64_t taken_sequence_ GUARDED_BY(mutex_) = 0;
  std::optional<Living> living_ GUARDED_BY(mutex_);
  std::set<std::string> refreshed_ GUARDED_BY(mutex_);
  bool redirect_ GUARDED_BY(mutex_) = false;
  std::uint64_t asked_ GUARDED_BY(mutex_) = 0;     // for the standing, so often
  std::uint64_t answered_ GUARDED_BY(mutex_) = 0;  // up to that question
  std::shared_ptr<const Standing> standing_ GUARDED_BY(mutex_) = std::make_shared<Standing>();
  std::optional<Settings> new_settings_ GUARDED_BY(mutex_);
  std::shared_ptr<client::HttpClient> client_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool done_ GUARDED_BY(mutex_) = false;
  std::int64_t deadline_ns_ GUARDED_BY(mutex_) = INT64_MAX;
  std::uint64_t queue_dropped_ GUARDED_BY(mutex_) = 0;
  std::size_t undelivered_ GUARDED_BY(mutex_) = 0;
  TargetStatus status_ GUARDED_BY(mutex_);
  Counters counters_ GUARDED_BY(mutex_);
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_WORKER_H_
