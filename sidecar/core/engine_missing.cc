// Why spans that others name as their parents are not here.
#include <algorithm>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxMissing = 1000;
constexpr const char* kOtherHost = "other_host";
// SDKs send what they have every 20 ms and tell what they dropped with it, or each second.
constexpr std::int64_t kReportDelayNs = 2'000'000'000;
// A parent may come so much later than its children without anything being wrong.
constexpr std::int64_t kLateNs = 30'000'000'000;

}  // namespace

// From a copy, as this looks up the parent of each orphan.
void Engine::Impl::CollectMissing(const Trace& trace, TraceCopy* copy) {
  tsl::robin_map<std::uint64_t, std::size_t, U64Hash> known;
  for (const StoredSpan& span : trace.spans) {
    if (span.parent != kNone || !span.parent_id.IsValid()) continue;
    if (const auto it = known.find(span.parent_id.value); it != known.end()) {
      ++copy->missing[it->second].children;
      continue;
    }
    if (TraceStore::FindSpan(trace, span.parent_id) != kNone) continue;
    if (copy->missing.size() >= kMaxMissing) break;
    known[span.parent_id.value] = copy->missing.size();
    copy->missing.push_back({span.parent_id, span.remote_parent ? kOtherHost : "", 1, {}, {}, 0});
  }
}

// Still open: its process says so. Lost: a process of the trace's services lost spans while the trace ran. Other host:
// the child says that its parent is remote, and no such process reports here. Late: it may still come. What is none of
// these was never received, and nobody told why.
void Engine::Impl::ExplainMissing(const Trace& trace, TraceCopy* copy) const {
  copy->losses = ledger_.LossesBetween(trace.first_arrival_ns - trace.DurationNs() - kReportDelayNs,
                                       trace.last_arrival_ns + kReportDelayNs, copy->summary.services);
  for (MissingSpan& missing : copy->missing) {
    if (const OpenSpan* open = ledger_.FindOpen(trace.id, missing.id)) {
      const Operation& operation = catalog_.operation(open->operation);
      missing.reason = "still_open";
      missing.service = catalog_.service_name(operation.service);
      missing.operation = operation.name;
      missing.start_ns = open->start_ns;
    } else if (missing.reason != kOtherHost) {
      missing.reason = !copy->losses.empty()                       ? "lost"
                       : now_ns_ - trace.last_arrival_ns < kLateNs ? "late"
                                                                   : "not_received";
    }
  }
}

}  // namespace spanwatch::core
