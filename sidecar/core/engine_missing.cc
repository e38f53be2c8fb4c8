// Why spans that others name as their parents are not here.
#include <algorithm>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxMissing = 1000;
// SDKs send what they have every 20 ms and tell what they dropped with it, or each second.
constexpr std::int64_t kReportDelayNs = 2'000'000'000;
// A parent may come so much later than its children without anything being wrong.
constexpr std::int64_t kLateNs = 30'000'000'000;

}  // namespace

// Still open: its process says so. Lost: a process of the trace's services lost spans while the trace ran. Other host:
// the child says that its parent is remote, and no such process reports here. Late: it may still come. What is none of
// these was never received, and nobody told why.
void Engine::Impl::ExplainMissing(const Trace& trace, TraceCopy* copy) const {
  copy->losses = ledger_.LossesBetween(trace.first_arrival_ns - trace.DurationNs() - kReportDelayNs,
                                       trace.last_arrival_ns + kReportDelayNs, copy->summary.services);
  tsl::robin_map<std::uint64_t, std::size_t, U64Hash> known;
  for (const StoredSpan& span : trace.spans) {
    if (span.parent != kNone || !span.parent_id.IsValid()) continue;
    if (TraceStore::FindSpan(trace, span.parent_id) != kNone) continue;
    if (const auto it = known.find(span.parent_id.value); it != known.end()) {
      ++copy->missing[it->second].children;
      continue;
    }
    if (copy->missing.size() >= kMaxMissing) break;
    known[span.parent_id.value] = copy->missing.size();
    MissingSpan missing{span.parent_id, "not_received", 1, {}, {}, 0};
    if (const OpenSpan* open = ledger_.FindOpen(trace.id, span.parent_id)) {
      const Operation& operation = catalog_.operation(open->operation);
      missing.reason = "still_open";
      missing.service = catalog_.service_name(operation.service);
      missing.operation = operation.name;
      missing.start_ns = open->start_ns;
    } else if (span.remote_parent) {
      missing.reason = "other_host";
    } else if (!copy->losses.empty()) {
      missing.reason = "lost";
    } else if (now_ns_ - trace.last_arrival_ns < kLateNs) {
      missing.reason = "late";
    }
    copy->missing.push_back(std::move(missing));
  }
}

}  // namespace spanwatch::core
