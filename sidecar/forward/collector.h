// The collector's loop: fetches the spans of queued traces and encodes them into batches. Internal to forward/.
// One thread.
#ifndef SPANWATCH_SIDECAR_FORWARD_COLLECTOR_H_
#define SPANWATCH_SIDECAR_FORWARD_COLLECTOR_H_

#include "sidecar/forward/shared.h"

namespace spanwatch::forward {

class Collector {
 public:
  // `shared` and `fetch` outlive it.
  Collector(const Options& options, Shared* shared, const Forwarder::Fetch* fetch)
      : batch_bytes_(options.batch_bytes),
        batch_traces_(options.batch_traces),
        linger_ns_(options.linger_ns),
        shared_(shared),
        fetch_(fetch) {}

  // Until Shared::BeginStop(): then encodes what waits, as long as there is time.
  void Run();

 private:
  void Take(const Waiting& entry);
  void Encode(const core::TraceCopy& trace);
  void Seal();

  const std::size_t batch_bytes_;
  const std::size_t batch_traces_;
  const std::int64_t linger_ns_;
  Shared* const shared_;
  const Forwarder::Fetch* const fetch_;
  Batch open_;
  std::int64_t seal_at_ns_ = INT64_MAX;
};

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_COLLECTOR_H_
