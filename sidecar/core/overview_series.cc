// The overview's figures as points over time.
#include <algorithm>
#include <map>

#include "sidecar/core/overview_figures.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kLongestNs = 366ll * 24 * 3600 * kSecondNs;

// One series: what came from `from_ns` on for some time.
class Curve {
 public:
  Curve(std::int64_t now_ns, std::int64_t since_ns)
      : now_ns_(now_ns), since_ns_(since_ns), begin_ns_(BeginNs(now_ns, since_ns)) {}

  void Add(const OperationRecord& record) {
    for (const MinuteCounts& each : record.minutes)
      AddCounts(each.minute, static_cast<double>(each.calls), static_cast<double>(each.errors));
    AddCounts(record.minute, record.now.calls, record.now.errors);
    for (std::size_t at = 0; at < record.slots.size();) {
      const SketchSlot slot = ReadSlot(&record.slots[at]);
      FlatBuffer<Bucket>& to = buckets_[{slot.minute, slot.minutes}];
      sketch::ForEachBucket(slot.buckets, [&](std::uint32_t bucket, double count) { to.Add() = {bucket, count}; });
      at += slot.bytes;
    }
    for (std::uint32_t power = 0; power < sketch::kPowers; ++power) {
      if (record.block[power] == 0) continue;
      const float* counts = &record.dense[(record.block[power] - 1u) * sketch::kParts];
      for (std::uint32_t part = 0; part < sketch::kParts; ++part) {
        if (counts[part] > 0)
          buckets_[{record.minute, 1}].Add() = {power * sketch::kParts + part, static_cast<double>(counts[part])};
      }
    }
  }

  // Nothing can be known of it: false.
  bool Show(const SeriesQuery& query, std::int64_t at_ns, Sketch* sketch, Series::Point* point) const {
    const std::int64_t from = at_ns - query.per_ns;
    if (at_ns <= begin_ns_ || from >= now_ns_) return false;
    double calls = 0, errors = 0;
    for (const auto& [minute, counts] : counts_) {
      const double part = PartOf(minute, 1, from, at_ns);
      calls += part * counts.first;
      errors += part * counts.second;
    }
    sketch->Clear();
    for (const auto& [when, buckets] : buckets_) {
      const double part = PartOf(when.first, when.second, from, at_ns);
      if (!(part > 0)) continue;
      for (const Bucket& each : buckets) sketch->Add(each.number, part * each.count);
    }
    const std::int64_t covered = std::min(at_ns, now_ns_) - std::max(from, begin_ns_);
    const double seconds = static_cast<double>(std::max(covered, kSecondNs)) / 1e9;
    *point = {at_ns, calls / seconds, errors / seconds, sketch->Quantile(query.quantile)};
    return true;
  }

 private:
  struct Bucket {
    std::uint32_t number = 0;
    double count = 0;
  };

  static std::int64_t BeginNs(std::int64_t now_ns, std::int64_t since_ns) {
    const std::int64_t five = kFiveMinutes * kMinuteNs;
    return std::max((now_ns - kHourMinutes * kMinuteNs) / five * five, since_ns);
  }
  void AddCounts(std::int32_t minute, double calls, double errors) {
    if (!(calls > 0)) return;
    auto& counts = counts_[minute];
    counts.first += calls;
    counts.second += errors;
  }
  // Of the time in which these minutes were counted, the part that lies in (from, to].
  double PartOf(std::int32_t minute, std::int32_t minutes, std::int64_t from, std::int64_t to) const {
    const std::int64_t begin = std::max(minute * kMinuteNs, since_ns_);
    const std::int64_t end = std::max(std::min((minute + std::int64_t{minutes}) * kMinuteNs, now_ns_), begin + 1);
    const std::int64_t inside = std::min(to, end) - std::max(from, begin);
    return inside <= 0 ? 0 : static_cast<double>(inside) / static_cast<double>(end - begin);
  }

  std::int64_t now_ns_, since_ns_, begin_ns_;
  std::map<std::int32_t, std::pair<double, double>> counts_;
  std::map<std::pair<std::int32_t, std::int32_t>, FlatBuffer<Bucket>> buckets_;
};

SeriesQuery Bounded(SeriesQuery query, std::int64_t now_ns) {
  query.quantile = query.quantile > 0 ? std::min(query.quantile, 1.0) : 0;
  query.step_ns = std::clamp(query.step_ns, kSecondNs, kLongestNs);
  query.per_ns = std::clamp(query.per_ns, kSecondNs, kLongestNs);
  query.end_ns = std::clamp<std::int64_t>(query.end_ns, 0, std::max<std::int64_t>(0, now_ns) + kLongestNs);
  query.lookback_ns = std::clamp(query.lookback_ns, std::int64_t{0}, kLongestNs);
  return query;
}

}  // namespace

std::vector<Series> MakeSeries(const std::vector<NamedRecord>& records, const SeriesQuery& asked, std::int64_t now_ns,
                               std::int64_t since_ns) {
  std::vector<Series> all;
  if (since_ns == 0) return all;
  const SeriesQuery query = Bounded(asked, now_ns);
  Sketch sketch;
  for (std::size_t i = 0; i < records.size();) {
    Series series{records[i].service, query.by_operation ? records[i].operation : std::string(), {}};
    Curve curve(now_ns, since_ns);
    for (; i < records.size() && records[i].service == series.service &&
           (!query.by_operation || records[i].operation == series.operation);
         ++i) {
      curve.Add(records[i].record);
    }
    // From the last point of which something is known, back to the first.
    std::int64_t at = query.end_ns;
    const std::int64_t late = at - query.per_ns - now_ns;
    if (late >= 0) at -= (late / query.step_ns + 1) * query.step_ns;
    for (; at >= query.end_ns - query.lookback_ns && series.points.size() < kMaxSeriesPoints; at -= query.step_ns) {
      Series::Point point;
      if (!curve.Show(query, at, &sketch, &point)) break;
      series.points.push_back(point);
    }
    std::reverse(series.points.begin(), series.points.end());
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  return all;
}

}  // namespace spanwatch::core
