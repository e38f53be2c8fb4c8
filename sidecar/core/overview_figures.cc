#include "sidecar/core/overview_figures.h"

#include <algorithm>
#include <tuple>

#include "sidecar/core/overview_trend.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kLeastCoveredNs = 1'000'000'000;  // a rate over less would be noise
constexpr std::size_t kKeptMinutes = kHourMinutes + kFiveMinutes + 1;

std::int32_t MinuteOf(std::int64_t ns) { return static_cast<std::int32_t>(ns / kMinuteNs); }
std::int32_t HourBegin(std::int32_t minute) { return (minute - kHourMinutes) / kFiveMinutes * kFiveMinutes; }
std::int64_t StartOf(std::int32_t minute) { return minute * kMinuteNs; }
double At(const Extras& extras, Extra extra) { return extras[static_cast<std::size_t>(extra)]; }

// Everything of one operation, service, or of all.
class Sum {
 public:
  Sum(std::int64_t now_ns, std::int64_t since_ns) : now_ns_(now_ns), since_ns_(since_ns) {}

  void Clear() {
    for (Sketch* sketch : {&one_, &five_, &rest_}) sketch->Clear();
    extras_ = {};
    minutes_ = {};
  }
  void Add(const OperationRecord& record) {
    for (const MinuteCounts& each : record.minutes) {
      AddMinute(each.minute, static_cast<double>(each.calls), static_cast<double>(each.errors),
                static_cast<double>(each.duration_ns));
    }
    AddMinute(record.minute, record.now.calls, record.now.errors, record.now.duration_ns);
    for (std::size_t at = 0; at < record.slots.size();) {
      const SketchSlot slot = ReadSlot(&record.slots[at]);
      at += slot.bytes;
      AddSlot(slot.minute, slot.extras, [&](Sketch* to) { to->Add(slot.buckets); });
    }
    if (record.now.calls > 0) AddSlot(record.minute, record.now.extras, [&](Sketch* to) { AddRunning(record, to); });
  }
  void Add(const Sum& other) {
    one_.Add(other.one_);
    five_.Add(other.five_);
    rest_.Add(other.rest_);
    for (std::size_t i = 0; i < kOverviewWindows; ++i) AddExtras(other.extras_[i], &extras_[i]);
    for (std::size_t i = 0; i < kKeptMinutes; ++i) {
      minutes_[i].calls += other.minutes_[i].calls;
      minutes_[i].errors += other.minutes_[i].errors;
      minutes_[i].duration_ns += other.minutes_[i].duration_ns;
    }
  }

  // Changes what is summed up: Clear() comes next.
  void Show(std::array<WindowFigures, kOverviewWindows>* windows, Trends* trends) {
    *trends = ShowTrends();
    ShowWindow(0, one_, &(*windows)[0]);
    ShowWindow(1, five_, &(*windows)[1]);
    rest_.Add(five_);
    ShowWindow(2, rest_, &(*windows)[2]);
  }
  std::vector<RecentMinute> ShowRecent() const {
    std::vector<RecentMinute> recent;
    if (since_ns_ == 0) return recent;
    const std::int32_t last = std::max(minute_ - kHourMinutes + 1, MinuteOf(since_ns_));
    for (std::int32_t minute = minute_; minute >= last; --minute) {
      const Minute& each = minutes_[static_cast<std::size_t>(minute - begin_)];
      const std::int64_t from = std::max(StartOf(minute), since_ns_), to = std::min(StartOf(minute + 1), now_ns_);
      recent.push_back(
          {StartOf(minute), std::max(to - from, kLeastCoveredNs), each.calls, each.errors, each.duration_ns});
    }
    return recent;
  }
  double hour_calls() const { return five_.total() + rest_.total(); }

 private:
  struct Minute {
    double calls = 0, errors = 0, duration_ns = 0;
  };

  void AddMinute(std::int32_t minute, double calls, double errors, double duration_ns) {
    if (minute < begin_ || minute > minute_) return;
    Minute& to = minutes_[static_cast<std::size_t>(minute - begin_)];
    to.calls += calls;
    to.errors += errors;
    to.duration_ns += duration_ns;
  }
  template <typename F>
  void AddSlot(std::int32_t minute, const Extras& extras, const F& add) {
    if (minute < begin_ || minute > minute_) return;
    for (std::size_t i = 0; i < kOverviewWindows; ++i) {
      if (minute >= Begin(i)) AddExtras(extras, &extras_[i]);
    }
    if (minute >= Begin(0)) add(&one_);
    add(minute >= Begin(1) ? &five_ : &rest_);
  }
  static void AddRunning(const OperationRecord& record, Sketch* to) {
    for (std::uint32_t power = 0; power < sketch::kPowers; ++power) {
      if (record.block[power] == 0) continue;
      const float* counts = &record.dense[(record.block[power] - 1u) * sketch::kParts];
      for (std::uint32_t part = 0; part < sketch::kParts; ++part) {
        if (counts[part] > 0) to->Add(power * sketch::kParts + part, static_cast<double>(counts[part]));
      }
    }
  }
  std::int32_t Begin(std::size_t window) const { return window == 2 ? begin_ : minute_ - kWindowMinutes[window]; }

  void ShowWindow(std::size_t window, const Sketch& sketch, WindowFigures* out) const {
    double duration_ns = 0;
    for (std::int32_t minute = Begin(window); minute <= minute_; ++minute) {
      const Minute& each = minutes_[static_cast<std::size_t>(minute - begin_)];
      out->calls += each.calls;
      out->errors += each.errors;
      duration_ns += each.duration_ns;
    }
    out->covered_ns = std::max(now_ns_ - std::max(StartOf(Begin(window)), since_ns_), kLeastCoveredNs);
    out->rate = out->calls * 1e9 / static_cast<double>(out->covered_ns);
    if (out->calls > 0) {
      out->error_rate = out->errors / out->calls;
      out->avg_ns = duration_ns / out->calls;
    }
    out->p50_ns = sketch.Quantile(0.50);
    out->p90_ns = sketch.Quantile(0.90);
    out->p95_ns = sketch.Quantile(0.95);
    out->p99_ns = sketch.Quantile(0.99);
    const Extras& extras = extras_[window];
    out->slow_warning = At(extras, Extra::kSlowWarning);
    out->slow_critical = At(extras, Extra::kSlowCritical);
    out->timeouts = At(extras, Extra::kTimeouts);
    out->memory_growth_bytes = At(extras, Extra::kMemoryGrowth);
    out->memory_largest_bytes = At(extras, Extra::kMemoryLargest);
    out->memory_spans = At(extras, Extra::kMemorySpans);
  }

  Trends ShowTrends() const {
    const std::int32_t split = Begin(1);
    TrendSide recent, past;
    std::vector<double> recent_minutes, past_minutes;
    bool seen = false;  // its own past begins after the first minute with calls
    for (std::int32_t minute = begin_; minute <= minute_; ++minute) {
      const Minute& each = minutes_[static_cast<std::size_t>(minute - begin_)];
      TrendSide& side = minute >= split ? recent : past;
      side.calls += each.calls;
      side.errors += each.errors;
      if (seen && minute < minute_) (minute >= split ? recent_minutes : past_minutes).push_back(each.calls);
      seen = seen || each.calls > 0;
    }
    const double recent_squares = At(extras_[1], Extra::kSquares);
    const double past_squares = std::max(0.0, At(extras_[2], Extra::kSquares) - recent_squares);
    if (recent.calls > 0) recent.effective = recent.calls * recent.calls / (recent.calls + recent_squares);
    if (past.calls > 0) past.effective = past.calls * past.calls / (past.calls + past_squares);
    const double variance =
        past_minutes.empty() ? 0 : (past.calls + past_squares) / static_cast<double>(past_minutes.size());
    return {ErrorTrend(recent, past), TimeTrend(five_, recent.effective, rest_, past.effective),
            ThroughputTrend(recent_minutes, past_minutes, variance)};
  }

  const std::int64_t now_ns_, since_ns_;
  const std::int32_t minute_ = MinuteOf(now_ns_), begin_ = HourBegin(minute_);
  Sketch one_, five_, rest_;  // the last minute, the last five with it, what is older
  std::array<Extras, kOverviewWindows> extras_{};
  std::array<Minute, kKeptMinutes> minutes_{};
};

auto KeyOf(const NamedRecord& each) { return std::tie(each.service, each.operation, each.record.kind); }

}  // namespace

void SortRecords(std::vector<NamedRecord>* records) {
  std::sort(records->begin(), records->end(),
            [](const NamedRecord& a, const NamedRecord& b) { return KeyOf(a) < KeyOf(b); });
}

void FillOverview(const std::vector<NamedRecord>& records, OverviewView* view) {
  Sum operation(view->now_ns, view->since_ns), service = operation, all = operation;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const NamedRecord& each = records[i];
    operation.Add(each.record);
    if (i + 1 < records.size() && KeyOf(records[i + 1]) == KeyOf(each)) continue;
    service.Add(operation);
    if (operation.hour_calls() > 0) {
      OperationOverview& shown = view->operations.emplace_back();
      shown.service = each.service;
      shown.operation = each.operation;
      shown.kind = each.record.kind;
      operation.Show(&shown.windows, &shown.trends);
    }
    operation.Clear();
    if (i + 1 < records.size() && records[i + 1].service == each.service) continue;
    all.Add(service);
    if (service.hour_calls() > 0) {
      ServiceOverview& shown = view->services.emplace_back();
      shown.service = each.service;
      shown.recent = service.ShowRecent();
      service.Show(&shown.windows, &shown.trends);
    }
    service.Clear();
  }
  view->all.recent = all.ShowRecent();
  all.Show(&view->all.windows, &view->all.trends);
  std::stable_sort(
      view->operations.begin(), view->operations.end(),
      [](const OperationOverview& a, const OperationOverview& b) { return a.windows[2].calls > b.windows[2].calls; });
}

std::vector<const OperationOverview*> RankOperations(const OverviewView& view, OverviewRank rank,
                                                     std::string_view service, std::size_t limit) {
  std::vector<std::pair<double, const OperationOverview*>> found;
  for (const OperationOverview& each : view.operations) {
    const WindowFigures& hour = each.windows[2];
    const bool enough = rank == OverviewRank::kMemoryGrowing || hour.calls >= kRankedCalls;
    if ((!service.empty() && each.service != service) || !enough) continue;
    const double value = rank == OverviewRank::kSlowest          ? hour.p95_ns
                         : rank == OverviewRank::kFrequentlySlow ? hour.slow_warning / hour.calls
                                                                 : hour.memory_growth_bytes;
    if (value > 0) found.emplace_back(value, &each);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  found.resize(std::min(found.size(), limit));
  std::vector<const OperationOverview*> ranked;
  for (const auto& each : found) ranked.push_back(each.second);
  return ranked;
}

void AddHistory(const OperationRecord& record, std::int64_t now_ns, OperationHistory* history) {
  const std::int32_t begin = HourBegin(MinuteOf(now_ns));
  const auto add = [&](std::int32_t minute, double calls, const Extras& extras) {
    if (minute < begin) return;
    history->calls += calls;
    history->over_threshold += At(extras, Extra::kSlowWarning);
    history->timeouts += At(extras, Extra::kTimeouts);
  };
  for (const MinuteCounts& each : record.minutes) add(each.minute, static_cast<double>(each.calls), {});
  for (std::size_t at = 0; at < record.slots.size();) {
    const SketchSlot slot = ReadSlot(&record.slots[at]);
    add(slot.minute, 0, slot.extras);
    at += slot.bytes;
  }
  add(record.minute, record.now.calls, record.now.extras);
}

}  // namespace spanwatch::core
