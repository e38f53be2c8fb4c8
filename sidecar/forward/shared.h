// What collector, sender and callers of a Forwarder share: the queues and the figures. Internal to forward/.
// Held by shared_ptr: a sender that does not end in time (a name lookup that hangs) is left behind with it.
// Thread-safe; waits take the steady clock in ns.
#ifndef SPANWATCH_SIDECAR_FORWARD_SHARED_H_
#define SPANWATCH_SIDECAR_FORWARD_SHARED_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/client/http_client.h"
#include "sidecar/core/mutex.h"
#include "sidecar/forward/forwarder.h"

namespace spanwatch::forward {

std::int64_t SteadyNow();
std::int64_t WallNow();

// Encoded traces, one request's body.
struct Batch {
  std::string body;
  std::uint64_t traces = 0;  // that end in it
  std::uint64_t spans = 0;
};

struct Waiting {
  core::Completed trace;
  std::size_t bytes = 0;  // of the copy
};

class Shared {
 public:
  explicit Shared(const Options& options);

  // Callers.
  void Enqueue(std::vector<core::Completed> traces) EXCLUDES(mutex_);
  void Configure(Options options) EXCLUDES(mutex_);
  void BeginStop(std::int64_t deadline_ns) EXCLUDES(mutex_);
  bool WaitForSender(std::int64_t until_ns) EXCLUDES(mutex_);
  void AbortSending() EXCLUDES(mutex_);
  // Everything that is left counts as dropped; returns how many traces the shutdown dropped since the last call.
  std::size_t DropRest() EXCLUDES(mutex_);
  Status GetStatus() const EXCLUDES(mutex_);
  Counters Counts() const EXCLUDES(mutex_);

  // The collector. Next: one entry, or nothing at `until_ns` or when stopping and empty.
  std::optional<Waiting> Next(std::int64_t until_ns) EXCLUDES(mutex_);
  void Drop(Reason reason, std::uint64_t traces, std::uint64_t spans) EXCLUDES(mutex_);
  void SetOpenBytes(std::size_t bytes) EXCLUDES(mutex_);  // of the batch that is being filled
  void Push(Batch batch) EXCLUDES(mutex_);
  void CollectorDone() EXCLUDES(mutex_);
  bool stopping() const EXCLUDES(mutex_);
  bool PastDeadline() const EXCLUDES(mutex_);

  // The sender.
  struct Work {
    std::optional<Options> options;  // new ones
    std::optional<Batch> batch;
    bool end = false;
  };
  // Waits until there is something to do: new options, the time `not_before_ns`, a batch (if `want_batch`), the end.
  Work WaitForWork(bool want_batch, std::int64_t not_before_ns) EXCLUDES(mutex_);
  void SetTarget(const std::string& endpoint, bool unencrypted, std::shared_ptr<client::HttpClient> client)
      EXCLUDES(mutex_);
  void CountRequest(std::size_t bytes, bool retry) EXCLUDES(mutex_);
  void Finish(const Batch& batch, std::optional<Reason> dropped, std::uint64_t rejected_spans) EXCLUDES(mutex_);
  void SetError(const std::string& text) EXCLUDES(mutex_);
  void SenderDone() EXCLUDES(mutex_);
  bool abandoned() const EXCLUDES(mutex_);
  void Abandon() EXCLUDES(mutex_);

 private:
  void DropLocked(Reason reason, std::uint64_t traces, std::uint64_t spans) REQUIRES(mutex_);
  bool MakeRoom() REQUIRES(mutex_);
  std::size_t QueuedBytes() const REQUIRES(mutex_);
  void WaitUntil(std::int64_t until_ns) REQUIRES(mutex_);

  const std::size_t max_bytes_, max_waiting_;

  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  std::deque<Batch> ready_ GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ GUARDED_BY(mutex_) = 0, open_bytes_ GUARDED_BY(mutex_) = 0;
  std::size_t ready_bytes_ GUARDED_BY(mutex_) = 0, flight_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t queued_traces_ GUARDED_BY(mutex_) = 0;  // from Enqueue to Finish or Drop
  std::optional<Options> new_options_ GUARDED_BY(mutex_);
  std::shared_ptr<client::HttpClient> client_ GUARDED_BY(mutex_);
  Status status_ GUARDED_BY(mutex_);
  Counters counters_ GUARDED_BY(mutex_);
  std::uint64_t told_dropped_ GUARDED_BY(mutex_) = 0;
  std::int64_t deadline_ns_ GUARDED_BY(mutex_) = INT64_MAX;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool collector_done_ GUARDED_BY(mutex_) = false;
  bool sender_done_ GUARDED_BY(mutex_) = false;
  bool abandoned_ GUARDED_BY(mutex_) = false;
};

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_SHARED_H_
