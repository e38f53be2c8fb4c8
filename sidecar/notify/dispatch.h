// Says of every incident who is told of it, now: holds the routing, the silences and the incidents that fire. It tells
// when receivers are to look again: an incident that inhibits came or went, a silence began, was changed or ended, the
// routing is another one. Silences outlive the process if there is an outbox.
//
// Threads: any. A thread of its own watches the clock for silences that begin or end. `redirect` is called without any
// lock held, by whoever caused the change, and never after Stop returned.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISPATCH_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISPATCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/notify/dispatch_index.h"
#include "sidecar/notify/outbox.h"
#include "sidecar/notify/routing_status.h"
#include "sidecar/notify/silences.h"

namespace spanwatch::notify {

class Dispatcher {
 public:
  using Redirect = std::function<void(const std::vector<std::string>& receivers)>;

  // `outbox` may be null: silences live in memory. Any function may be null.
  Dispatcher(std::shared_ptr<const core::Routing> routing, std::shared_ptr<Outbox> outbox, CompilePattern compile,
             Redirect redirect);
  ~Dispatcher();  // Stop()
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Once, after the outbox was opened: reads the silences and starts the thread.
  void Start() EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_, call_mutex_);

  // Does not call `redirect`: who sets the receivers up has them look again.
  void SetRouting(std::shared_ptr<const core::Routing> routing) EXCLUDES(mutex_);
  // Before the receivers are given them.
  void Take(const std::vector<core::Transition>& transitions) EXCLUDES(mutex_, call_mutex_);
  void Reconcile(const std::vector<core::Incident>& living) EXCLUDES(mutex_, call_mutex_);

  Direction DirectionFor(const std::string& receiver, const core::Incident& incident) const EXCLUDES(mutex_);
  // Of every incident with this fingerprint that fires or was over lately: the incident, and what is said of it.
  std::vector<std::pair<core::Incident, Verdict>> Explain(const std::string& fingerprint) const EXCLUDES(mutex_);
  std::vector<MutedIncident> Muted() const EXCLUDES(mutex_);
  RoutingCounts Counts() const EXCLUDES(mutex_);

  std::vector<core::Silence> Silences() const EXCLUDES(mutex_);
  // These two wait for the disk.
  tl::expected<std::string, std::string> SetSilence(core::Silence silence) EXCLUDES(mutex_, write_mutex_);
  bool ExpireSilence(const std::string& id) EXCLUDES(mutex_, write_mutex_);

 private:
  void Run() EXCLUDES(mutex_, call_mutex_);
  void Apply(const SilenceBook::Changed& changed, std::vector<StoredSilence>* rows) REQUIRES(mutex_);
  void Store(const std::vector<StoredSilence>& rows, const std::vector<std::string>& removed);
  void Tell(const std::vector<std::string>& receivers) EXCLUDES(mutex_, call_mutex_);

  const std::shared_ptr<Outbox> outbox_;
  const Redirect redirect_;

  Mutex write_mutex_;  // one change of silences at a time, until it is on disk
  Mutex call_mutex_;   // held while `redirect` runs
  bool may_call_ GUARDED_BY(call_mutex_) = true;

  mutable Mutex mutex_;
  CondVar wake_;
  DispatchIndex index_ GUARDED_BY(mutex_);
  SilenceBook book_ GUARDED_BY(mutex_);
  bool started_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISPATCH_H_
