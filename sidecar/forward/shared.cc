#include "sidecar/forward/shared.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace spanwatch::forward {
namespace {

std::size_t SizeOf(const std::vector<core::AttributeCopy>& attributes) {
  std::size_t bytes = attributes.size() * sizeof(core::AttributeCopy);
  for (const core::AttributeCopy& attribute : attributes) bytes += attribute.key.size() + attribute.text.size();
  return bytes;
}

std::size_t SizeOf(const core::TraceCopy& trace) {
  std::size_t bytes = sizeof trace + trace.spans.size() * sizeof(core::SpanCopy);
  for (const auto& resource : trace.resources) bytes += SizeOf(resource);
  for (const core::SpanCopy& span : trace.spans) {
    bytes += span.service.size() + span.name.size() + span.scope.size() + span.status_message.size() +
             span.trace_state.size() + SizeOf(span.attributes) + span.links.size() * sizeof(core::LinkView);
    for (const auto& event : span.events) bytes += sizeof event + event.name.size() + SizeOf(event.attributes);
  }
  return bytes;
}

std::size_t Index(Reason reason) { return static_cast<std::size_t>(reason); }

}  // namespace

const char* ToString(Reason reason) {
  switch (reason) {
    case Reason::kQueueFull:
      return "queue_full";
    case Reason::kEvicted:
      return "evicted";
    case Reason::kTimeout:
      return "timeout";
    case Reason::kRejected:
      return "rejected";
    case Reason::kPartial:
      return "partial_success";
    case Reason::kShutdown:
      return "shutdown";
    case Reason::kOff:
      return "off";
  }
  return "";
}

std::int64_t SteadyNow() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t WallNow() { return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

Shared::Shared(const Options& options)
    : max_bytes_(options.queue_bytes), max_waiting_(options.queue_traces), new_options_(options) {
  status_.configured = !options.endpoint.empty();
  status_.endpoint = options.endpoint;
}

std::size_t Shared::QueuedBytes() const { return waiting_bytes_ + open_bytes_ + ready_bytes_ + flight_bytes_; }

void Shared::WaitUntil(std::int64_t until_ns) {
  // A day ahead is as good as for ever, and no clock overflows.
  const std::int64_t capped = std::min(until_ns, SteadyNow() + 86'400'000'000'000);
  wake_.wait_until(
      mutex_, std::chrono::steady_clock::time_point(
                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::nanoseconds(capped))));
}

void Shared::DropLocked(Reason reason, std::uint64_t traces, std::uint64_t spans) {
  counters_.dropped_traces[Index(reason)] += traces;
  counters_.dropped_spans[Index(reason)] += spans;
  queued_traces_ -= std::min(queued_traces_, traces);
}

// Batches are older than what waits to be encoded. What is being sent stays. False: nothing could go.
bool Shared::MakeRoom() {
  if (!ready_.empty()) {
    ready_bytes_ -= ready_.front().body.size();
    DropLocked(Reason::kQueueFull, ready_.front().traces, ready_.front().spans);
    ready_.pop_front();
    return true;
  }
  if (waiting_.empty()) return false;
  waiting_bytes_ -= waiting_.front().bytes;
  DropLocked(Reason::kQueueFull, 1, 0);
  waiting_.pop_front();
  return true;
}

void Shared::Enqueue(std::vector<core::Completed> traces) {
  std::vector<Waiting> entries;
  entries.reserve(traces.size());
  for (core::Completed& trace : traces) {
    const std::size_t bytes = trace.copy == nullptr ? 0 : SizeOf(*trace.copy);
    entries.push_back({std::move(trace), bytes});
  }
  {
    MutexLock lock(&mutex_);
    for (Waiting& entry : entries) {
      ++queued_traces_;
      if (stopping_) {
        DropLocked(Reason::kShutdown, 1, 0);
        continue;
      }
      waiting_bytes_ += entry.bytes;
      waiting_.push_back(std::move(entry));
      if (waiting_.size() > max_waiting_) {
        waiting_bytes_ -= waiting_.front().bytes;
        DropLocked(Reason::kQueueFull, 1, 0);
        waiting_.pop_front();
      }
    }
    while (QueuedBytes() > max_bytes_ && MakeRoom()) {
    }
  }
  wake_.notify_all();
}

void Shared::Configure(Options options) {
  {
    MutexLock lock(&mutex_);
    new_options_ = std::move(options);
  }
  wake_.notify_all();
}

void Shared::BeginStop(std::int64_t deadline_ns) {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    deadline_ns_ = std::min(deadline_ns_, deadline_ns);
  }
  wake_.notify_all();
}

bool Shared::WaitForSender(std::int64_t until_ns) {
  MutexLock lock(&mutex_);
  while (!sender_done_ && SteadyNow() < until_ns) WaitUntil(until_ns);
  return sender_done_;
}

void Shared::AbortSending() {
  std::shared_ptr<client::HttpClient> client;
  {
    MutexLock lock(&mutex_);
    client = client_;
  }
  if (client != nullptr) client->Abort();
}

std::size_t Shared::DropRest() {
  MutexLock lock(&mutex_);
  std::uint64_t spans = 0;
  for (const Batch& batch : ready_) spans += batch.spans;
  DropLocked(Reason::kShutdown, queued_traces_, spans);
  ready_.clear();
  waiting_.clear();
  ready_bytes_ = waiting_bytes_ = open_bytes_ = flight_bytes_ = 0;
  const std::uint64_t dropped = counters_.dropped_traces[Index(Reason::kShutdown)];
  return dropped - std::exchange(told_dropped_, dropped);
}

Status Shared::GetStatus() const {
  MutexLock lock(&mutex_);
  Status status = status_;
  status.queued_traces = queued_traces_;
  status.queued_bytes = QueuedBytes();
  return status;
}

Counters Shared::Counts() const {
  MutexLock lock(&mutex_);
  return counters_;
}

std::optional<Waiting> Shared::Next(std::int64_t until_ns) {
  MutexLock lock(&mutex_);
  while (waiting_.empty() && !stopping_ && SteadyNow() < until_ns) WaitUntil(until_ns);
  if (waiting_.empty()) return std::nullopt;
  Waiting entry = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= entry.bytes;
  return entry;
}

void Shared::Drop(Reason reason, std::uint64_t traces, std::uint64_t spans) {
  MutexLock lock(&mutex_);
  DropLocked(reason, traces, spans);
}

void Shared::SetOpenBytes(std::size_t bytes) {
  MutexLock lock(&mutex_);
  open_bytes_ = bytes;
}

void Shared::Push(Batch batch) {
  {
    MutexLock lock(&mutex_);
    open_bytes_ = 0;
    ready_bytes_ += batch.body.size();
    ready_.push_back(std::move(batch));
    while (QueuedBytes() > max_bytes_ && MakeRoom()) {
    }
  }
  wake_.notify_all();
}

void Shared::CollectorDone() {
  {
    MutexLock lock(&mutex_);
    collector_done_ = true;
  }
  wake_.notify_all();
}

bool Shared::stopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

bool Shared::PastDeadline() const {
  MutexLock lock(&mutex_);
  return stopping_ && SteadyNow() >= deadline_ns_;
}

Shared::Work Shared::WaitForWork(bool want_batch, std::int64_t not_before_ns) {
  MutexLock lock(&mutex_);
  Work work;
  while (true) {
    const std::int64_t now = SteadyNow();
    if (new_options_.has_value()) {
      work.options = std::exchange(new_options_, std::nullopt);
      return work;
    }
    const bool nothing_left = want_batch && ready_.empty() && collector_done_;
    if (stopping_ && (nothing_left || now >= deadline_ns_ || not_before_ns >= deadline_ns_)) {
      work.end = true;
      return work;
    }
    if (now >= not_before_ns && (!want_batch || !ready_.empty())) break;
    WaitUntil(std::min(now < not_before_ns ? not_before_ns : INT64_MAX, stopping_ ? deadline_ns_ : INT64_MAX));
  }
  if (want_batch) {
    work.batch = std::move(ready_.front());
    ready_.pop_front();
    ready_bytes_ -= work.batch->body.size();
    flight_bytes_ = work.batch->body.size();
  }
  return work;
}

void Shared::SetTarget(const std::string& endpoint, bool unencrypted, std::shared_ptr<client::HttpClient> client) {
  MutexLock lock(&mutex_);
  status_.configured = !endpoint.empty();
  status_.endpoint = endpoint;
  status_.unencrypted = unencrypted;
  status_.last_error.clear();
  client_ = std::move(client);
}

void Shared::CountRequest(std::size_t bytes, bool retry) {
  MutexLock lock(&mutex_);
  ++counters_.requests;
  counters_.retries += retry ? 1 : 0;
  counters_.bytes += bytes;
}

void Shared::Finish(const Batch& batch, std::optional<Reason> dropped, std::uint64_t rejected_spans) {
  MutexLock lock(&mutex_);
  flight_bytes_ = 0;
  if (dropped.has_value()) return DropLocked(*dropped, batch.traces, batch.spans);
  const std::uint64_t rejected = std::min(rejected_spans, batch.spans);
  counters_.forwarded_traces += batch.traces;
  counters_.forwarded_spans += batch.spans - rejected;
  DropLocked(Reason::kPartial, 0, rejected);
  queued_traces_ -= std::min(queued_traces_, batch.traces);
  status_.last_forwarded_ns = WallNow();
}

void Shared::SetError(const std::string& text) {
  MutexLock lock(&mutex_);
  status_.last_error = text;
}

void Shared::SenderDone() {
  {
    MutexLock lock(&mutex_);
    sender_done_ = true;
  }
  wake_.notify_all();
}

bool Shared::abandoned() const {
  MutexLock lock(&mutex_);
  return abandoned_;
}

void Shared::Abandon() {
  MutexLock lock(&mutex_);
  abandoned_ = true;
}

}  // namespace spanwatch::forward
