// Which exposition format a scraper gets. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_METRICS_NEGOTIATE_H_
#define SPANWATCH_SIDECAR_METRICS_NEGOTIATE_H_

#include <string>
#include <string_view>

#include "sidecar/metrics/writer.h"

namespace spanwatch::metrics {

struct Negotiated {
  Format format = Format::kText;
  std::string content_type;
};

// OpenMetrics 1.0.0 only if `accept` asks for it by name and likes it at least as well as text/plain; else text 0.0.4.
Negotiated Negotiate(std::string_view accept);

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_SIDECAR_METRICS_NEGOTIATE_H_
