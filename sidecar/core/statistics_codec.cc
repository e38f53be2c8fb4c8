// Statistics as a checkpoint keeps them: the same series under the same numbers.
#include <algorithm>

#include "sidecar/core/statistics.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxCells = 1u << 20;  // far above what the budget of bytes allows
constexpr std::size_t kMaxSampleBytes = 80;

template <std::size_t N>
void SaveHistogram(const HistogramCounts<N>& histogram, CodecWriter* out) {
  std::uint64_t used = 0;
  for (const double bucket : histogram.buckets) used += bucket != 0 ? 1 : 0;
  out->F64(histogram.sum).F64(histogram.count).U64(used);
  for (std::size_t i = 0; i < histogram.buckets.size(); ++i) {
    if (histogram.buckets[i] != 0) out->U64(i).F64(histogram.buckets[i]);
  }
}

template <std::size_t N>
void LoadHistogram(CodecReader* in, HistogramCounts<N>* histogram) {
  histogram->sum = in->F64();
  histogram->count = in->F64();
  for (std::uint64_t used = in->Below(N + 2); used > 0 && in->ok(); --used) {
    const std::uint64_t bucket = in->Below(N + 1);
    histogram->buckets[bucket] = in->F64();
  }
}

void SaveNumbers(const std::vector<std::uint32_t>& numbers, CodecWriter* out) {
  out->U64(numbers.size());
  for (const std::uint32_t number : numbers) out->U64(number);
}

// Exactly the numbers below `used.size()` that are not used, each once.
bool LoadFree(CodecReader* in, std::vector<bool> used, std::vector<std::uint32_t>* out) {
  const std::size_t count = in->Count();
  if (count != static_cast<std::size_t>(std::count(used.begin(), used.end(), false))) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t number = in->Below(used.size());
    if (!in->ok() || used[number]) return false;
    used[number] = true;
    out->push_back(static_cast<std::uint32_t>(number));
  }
  return true;
}

}  // namespace

void Statistics::SaveFold(const Fold& fold, CodecWriter* out) const {
  out->U64(fold.spans);
  if (fold.spans == 0) return;
  out->U64(fold.limit).I64(fold.since_ns).I64(fold.last_ns).Bool(fold.told).U64(fold.samples.size());
  for (const std::string& sample : fold.samples) out->Text(sample);
}

bool Statistics::LoadFold(CodecReader* in, Fold* fold) {
  fold->spans = in->U64();
  if (fold->spans == 0) return in->ok();
  fold->limit = in->U64();
  fold->since_ns = in->I64();
  fold->last_ns = in->I64();
  fold->told = in->Bool();
  for (std::uint64_t n = in->Below(6); n > 0; --n) {
    fold->samples.emplace_back(in->Text());
    if (fold->samples.back().size() > kMaxSampleBytes) return false;
  }
  return in->ok();
}

void Statistics::Save(CodecWriter* out) const {
  out->U64(cells_.size());
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    out->Bool(cell.operation != kNone);
    if (cell.operation == kNone) continue;
    out->U64(cell.operation).U64(static_cast<std::uint64_t>(cell.kind)).U64(static_cast<std::uint64_t>(cell.status));
    out->I64(cell.last_seen_ns);
  }
  SaveNumbers(free_cells_, out);
  out->U64(series_.size());
  for (std::size_t i = 0; i < series_.size(); ++i) {
    out->U64(series_[i].cell);
    if (series_[i].cell != kNone) SaveHistogram(series_[i].durations, out);
  }
  SaveNumbers(free_series_, out);
  out->U64(services_.size());
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const Service& service = services_[i];
    const Totals& t = service.totals;
    out->F64(t.spans).F64(t.errors).F64(t.duration_sum_ns).F64(t.slow_warning).F64(t.slow_critical);
    out->U64(service.overflow);
    SaveFold(service.names, out);
  }
  SaveFold(service_names_, out);
  out->U64(expired_series_).F64(expired_spans_).U64(sweep_at_);
  SaveHistogram(traces_.depth, out);
  SaveHistogram(traces_.spans, out);
  SaveHistogram(traces_.duration, out);
}

bool Statistics::LoadCells(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count > kMaxCells) return false;
  std::vector<bool> used(count, false);
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    Cell& cell = cells_.Append();
    used[i] = in->Bool();
    if (!used[i]) continue;
    cell.operation = static_cast<std::uint32_t>(in->Below(catalog_->operation_count()));
    cell.kind = static_cast<SpanKind>(in->Below(6));
    cell.status = static_cast<StatusCode>(in->Below(3));
    cell.last_seen_ns = in->I64();
    if (!in->ok() || !catalog_->operation(cell.operation).live) return false;
    std::uint32_t& number = catalog_->operation(cell.operation).cells[CellSlot(cell.kind, cell.status)];
    if (number != kNoCell) return false;
    number = static_cast<std::uint32_t>(i);
  }
  return in->ok() && LoadFree(in, std::move(used), &free_cells_);
}

bool Statistics::LoadSeries(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count > kMaxCells) return false;
  std::vector<bool> used(count, false);
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    Series& series = series_.Append();
    series.cell = in->U32();
    used[i] = series.cell != kNone;
    if (!used[i]) continue;
    LoadHistogram(in, &series.durations);
    if (series.cell == kOverflow) continue;
    if (series.cell >= cells_.size() || cells_[series.cell].operation == kNone || cells_[series.cell].series != kNone) {
      return false;
    }
    cells_[series.cell].series = static_cast<std::uint32_t>(i);
    cells_[series.cell].folded = catalog_->operation(cells_[series.cell].operation).other;
    ++named_series_;
    if (ServiceAt(catalog_->operation(cells_[series.cell].operation).service).series++ == 0) ++services_with_series_;
  }
  return in->ok() && LoadFree(in, std::move(used), &free_series_);
}

bool Statistics::LoadServices(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count > kMaxServices || count < services_.size()) return false;
  if (count > 0) ServiceAt(static_cast<std::uint32_t>(count - 1));
  std::vector<bool> taken(series_.size(), false);
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    Service& service = services_[i];
    Totals& t = service.totals;
    t.spans = in->F64();
    t.errors = in->F64();
    t.duration_sum_ns = in->F64();
    t.slow_warning = in->F64();
    t.slow_critical = in->F64();
    service.overflow = in->U32();
    if (service.overflow != kNone) {
      if (service.overflow >= series_.size() || series_[service.overflow].cell != kOverflow || taken[service.overflow])
        return false;
      taken[service.overflow] = true;
      ++overflow_series_;
    }
    if (!LoadFold(in, &service.names)) return false;
    for (const std::string& sample : service.names.samples) fold_bytes_ += sample.size() + 40;
  }
  for (std::size_t i = 0; i < series_.size(); ++i) {
    if (series_[i].cell == kOverflow && !taken[i]) return false;
  }
  return in->ok();
}

bool Statistics::Load(CodecReader* in) {
  if (!LoadCells(in) || !LoadSeries(in) || !LoadServices(in) || !LoadFold(in, &service_names_)) return false;
  for (const std::string& sample : service_names_.samples) fold_bytes_ += sample.size() + 40;
  expired_series_ = in->U64();
  expired_spans_ = in->F64();
  sweep_at_ = static_cast<std::size_t>(in->Below(kMaxCells + 1));
  LoadHistogram(in, &traces_.depth);
  LoadHistogram(in, &traces_.spans);
  LoadHistogram(in, &traces_.duration);
  return in->ok();
}

}  // namespace spanwatch::core
