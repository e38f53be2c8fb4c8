// What changed: for those who look again and again.
#include <algorithm>

#include "sidecar/core/completed_view.h"
#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kSpansPerHold = 2000;  // each costs a look-up of its parent

}  // namespace

bool Engine::Impl::AlwaysChanges(const RecordHeader& header, const Decoded& decoded) {
  switch (header.kind) {
    case RecordKind::kTime:
    case RecordKind::kRestart:
    case RecordKind::kCheckpoint:
      return false;
    case RecordKind::kMessage:
      return decoded.envelope == nullptr || decoded.envelope->kind != EnvelopeKind::kHeartbeat;
    case RecordKind::kOtlp:
    case RecordKind::kReload:
      return true;
  }
  return true;
}

Engine::Impl::Mark Engine::Impl::TakeMark() const {
  const TraceStore::Counts& counts = store_.counts();
  return {counts.completed,     counts.evicted_ttl + counts.evicted_max_traces + counts.evicted_memory + counts.cut,
          ledger_.total_lost(), alerts_.waiting_transitions(),
          alerts_.firing(),     alerts_.pending()};
}

// In holds of a few thousand spans, or one trace.
CompletedView Engine::Impl::CompletedSince(std::uint64_t after, std::size_t limit) const {
  CompletedView view;
  std::uint64_t next = 0;
  {
    MutexLock lock(&mutex_);
    view.last = completions_;
  }
  if (after >= view.last) return view;
  next = view.last - std::min<std::uint64_t>({view.last - after, limit, kRecent});
  view.missed = next - after;
  while (next < view.last) {
    MutexLock lock(&mutex_);
    for (std::size_t spans = 0; next < view.last && spans < kSpansPerHold; ++next) {
      // While the mutex was free, so many may have completed that this one's place was taken.
      const std::uint32_t slot = completions_ - next > kRecent ? kNone : store_.Find(recent_[next % kRecent]);
      if (slot == kNone) {
        ++view.missed;
        continue;
      }
      spans += store_.trace(slot).spans.size() + 1;
      view.traces.push_back(Summarise(store_.trace(slot)));
    }
  }
  return view;
}

std::uint64_t Engine::Generation() const { return impl_->Generation(); }
CompletedView Engine::CompletedSince(std::uint64_t after, std::size_t limit) const {
  return impl_->CompletedSince(after, limit);
}

}  // namespace spanwatch::core
