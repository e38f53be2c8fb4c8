// Rules on the processes of a service: their memory, their silence.
#include <map>

#include "sidecar/core/alerts.h"

namespace spanwatch::core {

// Groups of services appear with their processes. What is told of them here is judged with all other groups.
void Alerts::LookAtProcesses(std::int64_t now_ns, std::uint32_t index, const Ledger& ledger) {
  const Rule& source = rule(index);
  const bool memory = source.measure == Measure::kProcessMemory;
  // Several services may be one group.
  for (std::size_t i = 0; memory && i < groups_.size(); ++i) {
    if (groups_[i].rule == index) groups_[i].over = true;
  }
  std::map<std::uint32_t, Ledger::ServiceSigns> found;
  for (const auto& [service, signs] : ledger.Signs()) {
    if (service.empty() || !ServiceApplies(source, service)) continue;
    const bool counts = memory ? signs.living : !signs.Closed() && now_ns - signs.last_seen_ns < kGiveUpNs;
    std::string texts = ServiceTexts(index, service);
    const auto known = group_index_.find(KeyOf(index, {}, texts));
    if (!counts && known == group_index_.end()) continue;
    const std::uint32_t number = GroupOf(index, {}, std::move(texts));
    if (number == kNone) {
      Fail(now_ns, index, RuleFailure::kGroups);
      continue;
    }
    const auto [at, is_new] = found.try_emplace(number, signs);
    if (!is_new) at->second.Add(signs);
  }
  for (const auto& [number, signs] : found) {
    Group& group = groups_[number];
    group.gauge = static_cast<double>(signs.rss_bytes);
    // A restart of ours is no sign of life.
    const bool news = signs.last_seen_ns > group.seen_ns && !(group.watched && signs.last_seen_ns == resumed_ns_);
    if (news) group.seen_ns = signs.last_seen_ns;
    group.over = memory ? !signs.living : signs.Closed();
  }
}

}  // namespace spanwatch::core
