#include "sidecar/core/trace_summary.h"

#include <algorithm>
#include <utility>

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxServicesShown = 16;

}  // namespace

TraceSummariser::TraceSummariser(const Trace& trace)
    : serial_(trace.serial),
      end_(static_cast<std::uint32_t>(trace.spans.size())),
      first_(trace.root),
      rootless_(trace.root == kNone) {
  summary_.trace_id = trace.id;
  summary_.duration_ns = trace.DurationNs();
  summary_.span_count = end_;
  summary_.truncated = trace.truncated;
  summary_.error_count = trace.errors;
  summary_.depth = trace.depth;
  summary_.complete = trace.complete;
  summary_.alerted = trace.alerted;
  if (end_ > 0) summary_.start_ns = trace.min_start_ns;
}

void TraceSummariser::Add(const Trace& trace, const Catalog& catalog, std::uint32_t count) {
  const std::uint32_t end = next_ + std::min(count, end_ - next_);
  std::uint32_t last_service = kNone;
  std::size_t at = 0;  // of it in services_
  for (; next_ < end; ++next_) {
    const StoredSpan& span = trace.spans[next_];
    if (rootless_ && (first_ == kNone || span.start_ns < trace.spans[first_].start_ns)) first_ = next_;
    if (span.parent == kNone && span.parent_id.IsValid() && TraceStore::FindSpan(trace, span.parent_id) == kNone)
      ++summary_.orphans;
    const std::uint32_t service = catalog.operation(span.operation).service;
    if (service != last_service) {
      const auto known = std::find_if(services_.begin(), services_.end(),
                                      [service](const Service& each) { return each.number == service; });
      at = static_cast<std::size_t>(known - services_.begin());
      last_service = service;
      if (known == services_.end() && services_.size() < kMaxServicesShown) services_.push_back({service, 0, 0});
    }
    if (at == services_.size()) continue;  // one more than are shown
    ++services_[at].spans;
    if (span.status == StatusCode::kError) ++services_[at].errors;
  }
}

TraceSummary TraceSummariser::Take(const Trace& trace, const Catalog& catalog) {
  if (end_ == 0) return std::move(summary_);
  for (const Service& service : services_)
    summary_.services.push_back({std::string(catalog.service_name(service.number)), service.spans, service.errors});
  const Operation& operation = catalog.operation(trace.spans[first_].operation);
  summary_.root_service = catalog.service_name(operation.service);
  summary_.root_operation = operation.name;
  return std::move(summary_);
}

}  // namespace spanwatch::core
