#include "sidecar/forward/collector.h"

#include <exception>
#include <utility>

#include "sidecar/ingest/otlp_encode.h"

namespace spanwatch::forward {

void Collector::Run() {
  while (true) {
    const std::optional<Waiting> entry = shared_->Next(seal_at_ns_);
    if (entry.has_value()) {
      // Too late to be sent: what is left is counted by Stop().
      if (shared_->PastDeadline()) {
        shared_->Drop(Reason::kShutdown, 1, 0);
        break;
      }
      Take(*entry);
    }
    const bool end = !entry.has_value() && shared_->stopping();
    if (end || SteadyNow() >= seal_at_ns_) Seal();
    if (end) break;
  }
  shared_->CollectorDone();
}

void Collector::Take(const Waiting& entry) {
  try {
    if (entry.trace.copy != nullptr) return Encode(*entry.trace.copy);
    const std::optional<core::TraceCopy> trace = (*fetch_)(entry.trace.id, entry.trace.first_span);
    if (trace.has_value() && !trace->spans.empty()) return Encode(*trace);
    shared_->Drop(Reason::kEvicted, 1, 0);
  } catch (const std::exception&) {  // out of memory
    const Batch lost = std::exchange(open_, Batch{});
    seal_at_ns_ = INT64_MAX;
    shared_->SetOpenBytes(0);
    shared_->Drop(Reason::kQueueFull, lost.traces + 1, lost.spans);
  }
}

void Collector::Encode(const core::TraceCopy& trace) {
  for (std::size_t next = 0; next < trace.spans.size();) {
    if (open_.body.empty()) seal_at_ns_ = SteadyNow() + linger_ns_;
    const std::size_t room = batch_bytes_ - std::min(batch_bytes_, open_.body.size());
    const std::size_t end = ingest::AppendOtlp(trace, next, room, &open_.body);
    open_.spans += end - next;
    next = end;
    if (next == trace.spans.size()) ++open_.traces;
    if (open_.body.size() >= batch_bytes_ || open_.traces >= batch_traces_) Seal();
  }
  shared_->SetOpenBytes(open_.body.size());
}

void Collector::Seal() {
  seal_at_ns_ = INT64_MAX;
  if (open_.body.empty()) return;
  shared_->Push(std::exchange(open_, Batch{}));
}

}  // namespace spanwatch::forward
