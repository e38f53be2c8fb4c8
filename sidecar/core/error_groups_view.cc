// What the groups show, and how they go.
#include <algorithm>

#include "sidecar/core/error_groups.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;
constexpr std::size_t kTogetherShown = 5;
constexpr std::int64_t kRecentMinutes = 5;
constexpr std::int64_t kNewNs = 10 * kMinuteNs;    // then there are five minutes to compare with
constexpr std::int64_t kQuietNs = 15 * kMinuteNs;  // for so long nothing came: it falls
constexpr double kTimes = 2;                       // as many, or as few
constexpr double kSpans = 3;                       // more or less than were to be expected

}  // namespace

const char* ToString(ErrorTrend trend) {
  switch (trend) {
    case ErrorTrend::kNew:
      return "new";
    case ErrorTrend::kRising:
      return "rising";
    case ErrorTrend::kFalling:
      return "falling";
    case ErrorTrend::kStable:
      break;
  }
  return "stable";
}

ErrorTrend TrendOf(const std::array<double, kErrorMinutes>& per_minute, double weight, std::int64_t first_seen_ns,
                   std::int64_t last_seen_ns, std::int64_t now_ns) {
  if (now_ns - first_seen_ns < kNewNs) return ErrorTrend::kNew;
  if (now_ns - last_seen_ns >= kQuietNs) return ErrorTrend::kFalling;
  const std::int64_t minute = now_ns / kMinuteNs;
  const std::int64_t recent_from = (minute - kRecentMinutes + 1) * kMinuteNs;
  const std::int64_t from = std::max(first_seen_ns, (minute + 1) * kMinuteNs - 60 * kMinuteNs);
  double recent = 0, earlier = 0;
  for (std::size_t i = 0; i < kErrorMinutes; ++i) {
    (i + kRecentMinutes < kErrorMinutes ? earlier : recent) += per_minute[i];
  }
  const double expected = earlier * static_cast<double>(now_ns - recent_from) / static_cast<double>(recent_from - from);
  if (recent >= kTimes * expected && recent - expected >= kSpans * weight) return ErrorTrend::kRising;
  if (recent * kTimes <= expected && expected - recent >= kSpans * weight) return ErrorTrend::kFalling;
  return ErrorTrend::kStable;
}

ErrorGroupView ErrorGroups::ShowGroup(const Group& group, std::int64_t now_ns, const Catalog& catalog,
                                      const TraceStore& store) const {
  const Operation& operation = catalog.operation(group.operation);
  ErrorGroupView view;
  view.service = catalog.service_name(operation.service);
  view.operation = operation.name;
  view.type = group.type;
  view.message = group.message;
  view.example = group.example;
  view.count = group.count;
  view.judged = group.judged;
  view.root_causes = group.root_causes;
  const std::int64_t minute = now_ns / kMinuteNs, oldest = minute - static_cast<std::int64_t>(kErrorMinutes) + 1;
  for (std::int64_t each = std::max<std::int64_t>(0, oldest); each <= std::min(minute, group.minute); ++each) {
    view.per_minute[static_cast<std::size_t>(each - oldest)] =
        group.minutes[static_cast<std::size_t>(each) % kErrorMinutes];
  }
  view.first_seen_ns = group.first_seen_ns;
  view.last_seen_ns = group.last_seen_ns;
  view.trend = TrendOf(view.per_minute, group.count / static_cast<double>(group.spans), group.first_seen_ns,
                       group.last_seen_ns, now_ns);
  for (const TraceId& id : group.traces) {
    if (id.IsValid() && store.Find(id) != kNone) view.traces.push_back(id);
  }
  const bool has_first = std::find(group.traces.begin(), group.traces.end(), group.first_trace) != group.traces.end();
  if (!has_first && store.Find(group.first_trace) != kNone) view.traces.push_back(group.first_trace);
  view.traces_seen = group.traces_seen;
  return view;
}

ErrorsView ErrorGroups::Show(std::int64_t now_ns, const Catalog& catalog, const TraceStore& store) const {
  std::vector<std::uint32_t> slots;
  slots.reserve(index_.size());
  for (std::uint32_t slot = newest_; slot != kNone; slot = groups_[slot].older) slots.push_back(slot);
  const auto key = [&](const Group& group) {
    const Operation& operation = catalog.operation(group.operation);
    return std::tuple(catalog.service_name(operation.service), std::string_view(operation.name),
                      std::string_view(group.type), std::string_view(group.message));
  };
  std::sort(slots.begin(), slots.end(), [&](std::uint32_t a, std::uint32_t b) {
    const Group &x = groups_[a], &y = groups_[b];
    if (x.count != y.count) return x.count > y.count;
    if (x.last_seen_ns != y.last_seen_ns) return x.last_seen_ns > y.last_seen_ns;
    return key(x) < key(y);
  });
  std::array<std::uint32_t, kMaxErrorGroups> places{};
  for (std::uint32_t i = 0; i < slots.size(); ++i) places[slots[i]] = i;
  ErrorsView view;
  view.now_ns = now_ns;
  view.total = total_;
  view.forgotten_groups = forgotten_groups_;
  view.forgotten_errors = forgotten_errors_;
  view.groups.reserve(slots.size());
  for (const std::uint32_t slot : slots) {
    view.groups.push_back(ShowGroup(groups_[slot], now_ns, catalog, store));
    auto& together = view.groups.back().together;
    for (const Partner& partner : groups_[slot].partners) {
      if (Find(partner.group) != nullptr) together.push_back({places[partner.group & kSlotMask], partner.traces});
    }
    std::sort(together.begin(), together.end(),
              [](const auto& a, const auto& b) { return a.count != b.count ? a.count > b.count : a.group < b.group; });
    if (together.size() > kTogetherShown) together.resize(kTogetherShown);
  }
  return view;
}

}  // namespace spanwatch::core
