// The sidecar's own metrics, held in a prometheus-cpp registry: build information and the process_* figures that every
// Prometheus client has. Thread-safe.
#ifndef SPANWATCH_SIDECAR_METRICS_SELF_H_
#define SPANWATCH_SIDECAR_METRICS_SELF_H_

#include <memory>
#include <string>

#include "sidecar/metrics/writer.h"

namespace spanwatch::metrics {

class Self {
 public:
  explicit Self(const std::string& version);
  ~Self();
  Self(const Self&) = delete;
  Self& operator=(const Self&) = delete;

  // Reads /proc/self and writes all families. A figure that cannot be read is left out, never shown as 0.
  void Write(Writer* writer) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_SIDECAR_METRICS_SELF_H_
