// One target's thread: takes transitions from its queue into its planner, sends what the planner asks for, publishes
// status.
//
// Threads: all public functions may be called from any thread. The object must be held by shared_ptr: a thread that
// does not end in time (a name lookup that hangs) is left behind and keeps its worker alive; it calls nothing from
// outside any more.
#ifndef SPANWATCH_SIDECAR_NOTIFY_WORKER_H_
#define SPANWATCH_SIDECAR_NOTIFY_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/notify/discord_url.h"
#include "sidecar/notify/http_client.h"
#include "sidecar/notify/notifier.h"
#include "sidecar/notify/planner.h"
#include "sidecar/notify/transition_queue.h"

namespace spanwatch::notify {

// Until when nobody may send (ns, steady clock): Discord's global limit is one for the address, so all workers share
// it.
using GlobalGate = std::atomic<std::int64_t>;

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(DiscordTarget target, const Options& options, std::shared_ptr<GlobalGate> gate);
  ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start() EXCLUDES(mutex_);
  void Enqueue(const std::vector<core::Transition>& transitions) EXCLUDES(mutex_);
  void Configure(DiscordTarget target, const Options& options) EXCLUDES(mutex_);
  // After this no message is begun later than `deadline_ns` (steady clock). Does not wait.
  void BeginStop(std::int64_t deadline_ns) EXCLUDES(mutex_);
  // Waits for the end of the thread, until `deadline_ns`; then aborts the running exchange and waits a little longer.
  // Returns how many messages were not delivered.
  std::size_t FinishStop(std::int64_t deadline_ns) EXCLUDES(mutex_);

  TargetStatus Status() const EXCLUDES(mutex_);
  Counters Counts() const EXCLUDES(mutex_);
  const std::string& name() const { return name_; }

 private:
  struct Settings {
    DiscordTarget target;
    Options options;
  };
  struct Work {
    std::vector<core::Transition> transitions;
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
  bool SendOne() EXCLUDES(mutex_);
  void Publish() EXCLUDES(mutex_);
  void LogChanges();
  bool WaitUntilDone(std::int64_t until_ns) EXCLUDES(mutex_);

  const std::string name_;
  const std::shared_ptr<GlobalGate> gate_;
  std::atomic<bool> abandoned_{false};

  // The thread's own.
  Planner planner_;
  std::optional<WebhookEndpoint> endpoint_;
  std::string url_problem_;
  bool has_url_ = false;
  bool told_given_up_ = false;
  bool told_failing_ = false;

  mutable Mutex mutex_;
  CondVar wake_;
  TransitionQueue queue_ GUARDED_BY(mutex_);
  std::optional<Settings> new_settings_ GUARDED_BY(mutex_);
  std::shared_ptr<HttpClient> client_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool done_ GUARDED_BY(mutex_) = false;
  std::int64_t deadline_ns_ GUARDED_BY(mutex_) = INT64_MAX;
  std::uint64_t queue_dropped_ GUARDED_BY(mutex_) = 0;
  std::size_t undelivered_ GUARDED_BY(mutex_) = 0;
  TargetStatus status_ GUARDED_BY(mutex_);
  Counters counters_ GUARDED_BY(mutex_);
  std::thread thread_ GUARDED_BY(mutex_);
};

// Nanoseconds of the steady clock.
std::int64_t SteadyNow();

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_WORKER_H_
