// Which services and operations there are, for those who search.
#include <algorithm>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/names_view.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kNamesShownNs = 3'600'000'000'000;
constexpr std::size_t kSlotsPerHold = 200;
constexpr std::size_t kSpansPerHold = 50'000;
constexpr std::size_t kOperationsPerHold = 2000;

constexpr unsigned KindBit(SpanKind kind) { return 1u << static_cast<unsigned>(kind); }

unsigned CountedKinds(const Operation& operation) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < kCellsPerOperation; ++i) {
    if (operation.cells[i] != kNoCell) bits |= 1u << (i / 3);
  }
  return bits;
}

OperationNames Shown(std::string_view service, const Operation& operation, unsigned kinds) {
  OperationNames shown{std::string(service), operation.name, {}};
  for (unsigned kind = 0; kinds >> kind != 0; ++kind) {
    if ((kinds >> kind & 1) != 0) shown.kinds.push_back(static_cast<SpanKind>(kind));
  }
  return shown;
}

}  // namespace

// An operation's number can not come to mean another one between the holds: names stay for minutes after the last trace
// that has them (kNameGraceNs in engine_sweep.cc).
std::vector<OperationNames> Engine::Impl::GetOperations() const {
  std::vector<unsigned> kinds;  // by operation: of stored spans
  for (std::size_t slot = 0, more = 1; more != 0;) {
    MutexLock lock(&mutex_);
    kinds.resize(std::max(kinds.size(), catalog_.operation_count()));
    std::size_t slots = 0, spans = 0;
    for (; slot < store_.slot_count() && slots < kSlotsPerHold && spans < kSpansPerHold; ++slot, ++slots) {
      const Trace& trace = store_.trace(static_cast<std::uint32_t>(slot));
      if (!trace.live) continue;
      spans += trace.spans.size();
      for (const StoredSpan& span : trace.spans) kinds[span.operation] |= KindBit(span.kind);
    }
    more = store_.slot_count() - slot;
  }
  std::vector<OperationNames> names;
  for (std::size_t begin = 0; begin < kinds.size(); begin += kOperationsPerHold) {
    MutexLock lock(&mutex_);
    for (std::size_t i = begin; i < std::min(begin + kOperationsPerHold, kinds.size()); ++i) {
      const Operation& operation = catalog_.operation(static_cast<std::uint32_t>(i));
      if (!operation.live) continue;
      unsigned bits = kinds[i];
      if (operation.last_seen_ns >= now_ns_ - kNamesShownNs) bits |= CountedKinds(operation);
      if (bits != 0) names.push_back(Shown(catalog_.service_name(operation.service), operation, bits));
    }
  }
  std::sort(names.begin(), names.end(), [](const OperationNames& a, const OperationNames& b) {
    return a.service != b.service ? a.service < b.service : a.operation < b.operation;
  });
  return names;
}
std::vector<OperationNames> Engine::GetOperations() const { return impl_->GetOperations(); }

}  // namespace spanwatch::core
