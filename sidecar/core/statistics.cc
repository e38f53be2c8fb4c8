#include "sidecar/core/statistics.h"

#include <algorithm>

namespace spanwatch::core {
namespace {

// Each cell's binding lists rules and window groups: counted as if every second rule applied.
constexpr std::uint64_t kCellBytes = sizeof(Statistics::Cell) + 64;
constexpr std::uint64_t kRuleBytes = 3;
constexpr std::uint64_t kSeriesBytes = sizeof(DurationHistogram) + 24;
constexpr std::uint64_t kServiceBytes = 192;
// Kept free for window groups of rules, the "(other)" of each service, overview, health, errors and dependencies.
constexpr std::uint64_t kReservedBytes = 10u << 20;
constexpr std::size_t kMaxSamples = 5;
constexpr std::size_t kMaxSampleBytes = 80;
constexpr std::size_t kMaxNotices = 64;
constexpr std::size_t kMaxCardinalityShown = 100;

std::string Cut(std::string_view text) {
  if (text.size() <= kMaxSampleBytes) return std::string(text);
  std::size_t end = kMaxSampleBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

// For one line of a log: control characters and quotes as \xNN.
std::string Quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : Cut(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F && c != '"' && c != '\\') {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + "\"";
}

void Observe(DurationHistogram* histogram, std::int64_t value, double weight) {
  std::size_t bucket = 0;
  while (bucket < kDurationBucketsNs.size() && value > kDurationBucketsNs[bucket]) ++bucket;
  histogram->buckets[bucket] += weight;
  histogram->sum += weight * static_cast<double>(value);
  histogram->count += weight;
}

template <std::size_t N>
void Observe(HistogramCounts<N>* histogram, const std::array<std::int64_t, N>& bounds, std::int64_t value) {
  std::size_t bucket = 0;
  while (bucket < N && value > bounds[bucket]) ++bucket;
  histogram->buckets[bucket] += 1;
  histogram->sum += static_cast<double>(value);
  histogram->count += 1;
}

template <std::size_t N>
HistogramCounts<N> Less(HistogramCounts<N> now, const HistogramCounts<N>& before) {
  for (std::size_t i = 0; i < now.buckets.size(); ++i) now.buckets[i] -= before.buckets[i];
  now.sum -= before.sum;
  now.count -= before.count;
  return now;
}

}  // namespace

void Statistics::Configure(const Limits& limits, std::size_t rules) {
  limits_ = limits;
  cell_bytes_ = kCellBytes + rules * kRuleBytes;
}

std::uint64_t Statistics::bytes() const {
  return catalog_->bytes() + (cells_.size() - free_cells_.size()) * cell_bytes_ + fold_bytes_ +
         (named_series_ + overflow_series_) * kSeriesBytes + services_.size() * kServiceBytes;
}

bool Statistics::MayTake(const Service& service) const {
  if (named_series_ >= limits_.max_series || bytes() + kReservedBytes > kMaxStatisticsBytes) return false;
  if (limits_.max_series_per_service != 0) return service.series < limits_.max_series_per_service;
  const std::uint64_t share = std::max<std::uint64_t>(1, limits_.max_series / 4);
  const bool alone = services_with_series_ == (service.series > 0 ? 1u : 0u);
  return service.series < share || alone || limits_.max_series - named_series_ > share;
}

// What stopped the service from getting one more.
std::uint64_t Statistics::LimitOf(const Service& service) const {
  if (named_series_ >= limits_.max_series) return limits_.max_series;
  if (limits_.max_series_per_service != 0 && service.series >= limits_.max_series_per_service)
    return limits_.max_series_per_service;
  return service.series;
}

std::uint32_t Statistics::ObtainSeries(std::uint32_t cell) {
  std::uint32_t number;
  if (free_series_.empty()) {
    number = static_cast<std::uint32_t>(series_.size());
    series_.Append();
  } else {
    number = free_series_.back();
    free_series_.pop_back();
  }
  series_[number].cell = cell;
  return number;
}

void Statistics::FreeSeries(std::uint32_t number) {
  ++expired_series_;
  expired_spans_ += series_[number].durations.count;
  series_[number] = Series();
  if (number < series_at_mark_.size()) series_at_mark_[number] = nullptr;
  free_series_.push_back(number);
}

void Statistics::TakeSeries(std::uint32_t cell, Service* service) {
  cells_[cell].series = ObtainSeries(cell);
  cells_[cell].folded = catalog_->operation(cells_[cell].operation).other;
  ++named_series_;
  if (service->series++ == 0) ++services_with_series_;
}

Statistics::Cell& Statistics::MakeCell(std::int64_t now_ns, std::uint32_t operation, SpanKind kind, StatusCode status) {
  const std::uint32_t service = catalog_->operation(operation).service;
  if (!catalog_->operation(operation).other && bytes() + kReservedBytes > kMaxStatisticsBytes) {
    operation = catalog_->OtherOf(service, now_ns);
    const std::uint32_t number = catalog_->operation(operation).cells[CellSlot(kind, status)];
    if (number != kNoCell) return cells_[number];
  }
  std::uint32_t number;
  if (free_cells_.empty()) {
    number = static_cast<std::uint32_t>(cells_.size());
    cells_.Append();
  } else {
    number = free_cells_.back();
    free_cells_.pop_back();
  }
  Cell& cell = cells_[number];
  cell.operation = operation;
  cell.kind = kind;
  cell.status = status;
  catalog_->operation(operation).cells[CellSlot(kind, status)] = number;
  Service& owner = ServiceAt(service);
  if (MayTake(owner)) TakeSeries(number, &owner);
  return cell;
}

void Statistics::NoteFold(std::int64_t now_ns, std::string_view value, std::uint64_t limit, Fold* fold) {
  if (fold->spans++ == 0) fold->since_ns = now_ns;
  fold->last_ns = now_ns;
  fold->limit = limit;
  if (fold->samples.size() == kMaxSamples) return;
  std::string sample = Cut(value);
  if (std::find(fold->samples.begin(), fold->samples.end(), sample) != fold->samples.end()) return;
  fold_bytes_ += sample.size() + 40;
  fold->samples.push_back(std::move(sample));
}

void Statistics::Forget(Fold* fold) {
  for (const std::string& sample : fold->samples) fold_bytes_ -= sample.size() + 40;
  *fold = Fold();
}

// The series that takes a span of a name that is one of too many; notes it.
std::uint32_t Statistics::CountFolded(std::int64_t now_ns, const Cell& cell, const SpanView& span, Service* service) {
  if (cell.series != kNone) {
    NoteFold(now_ns, span.name, kMaxOperations, &service->names);
    return cell.series;
  }
  if (service->overflow == kNone) {
    service->overflow = ObtainSeries(kOverflow);
    ++overflow_series_;
  }
  NoteFold(now_ns, span.name, LimitOf(*service), &service->names);
  return service->overflow;
}

void Statistics::Count(std::int64_t now_ns, Cell* cell, std::uint32_t service_number, const SpanView& span) {
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  cell->last_seen_ns = now_ns;
  Service& service = ServiceAt(service_number);
  const std::uint32_t series = cell->folded ? CountFolded(now_ns, *cell, span, &service) : cell->series;
  Observe(&series_[series].durations, duration, span.weight);
  Totals& totals = service.totals;
  totals.spans += span.weight;
  totals.duration_sum_ns += span.weight * static_cast<double>(duration);
  if (span.status == StatusCode::kError) totals.errors += span.weight;
  if (duration > limits_.slow_warning_ns) totals.slow_warning += span.weight;
  if (duration > limits_.slow_critical_ns) totals.slow_critical += span.weight;
}

void Statistics::CountOtherService(std::int64_t now_ns, std::string_view service_name) {
  NoteFold(now_ns, service_name, kMaxServices, &service_names_);
}

void Statistics::CountTrace(std::uint32_t depth, std::uint64_t spans, std::int64_t duration_ns) {
  Observe(&traces_.depth, kDepthBuckets, depth);
  Observe(&traces_.spans, kSpanCountBuckets, static_cast<std::int64_t>(spans));
  Observe(&traces_.duration, duration_ns, 1);
}

void Statistics::FreeCell(std::uint32_t number) {
  Cell& cell = cells_[number];
  Operation& operation = catalog_->operation(cell.operation);
  operation.cells[CellSlot(cell.kind, cell.status)] = kNoCell;
  if (cell.series != kNone) {
    FreeSeries(cell.series);
    --named_series_;
    if (--services_[operation.service].series == 0) --services_with_series_;
  }
  cell = Cell();
  free_cells_.push_back(number);
}

void Statistics::FreeOverflow(Service* service) {
  if (service->overflow == kNone) return;
  FreeSeries(std::exchange(service->overflow, kNone));
  --overflow_series_;
}

bool Statistics::Sweep(std::int64_t now_ns, std::size_t limit) {
  const std::int64_t idle = limits_.series_idle_ns;
  for (; sweep_at_ < cells_.size(); ++sweep_at_) {
    if (limit-- == 0) return true;
    const auto number = static_cast<std::uint32_t>(sweep_at_);
    const Cell& cell = cells_[number];
    if (cell.operation == kNone) continue;
    if (idle > 0 && now_ns - cell.last_seen_ns >= idle) {
      FreeCell(number);
    } else if (cell.series == kNone) {
      Service& service = services_[catalog_->operation(cell.operation).service];
      if (MayTake(service)) TakeSeries(number, &service);
    }
  }
  sweep_at_ = 0;
  SweepFolds(now_ns);
  return false;
}

// Says what has not been said yet, and forgets what is over.
void Statistics::SweepFolds(std::int64_t now_ns) {
  const std::int64_t idle = limits_.series_idle_ns;
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    Service& service = services_[i];
    if (service.names.spans == 0) continue;
    Tell(i, true, &service.names);
    if (idle == 0 || now_ns - service.names.last_ns < idle) continue;
    FreeOverflow(&service);
    Forget(&service.names);
  }
  if (service_names_.spans == 0) return;
  Tell(0, false, &service_names_);
  if (idle > 0 && now_ns - service_names_.last_ns >= idle) Forget(&service_names_);
}

void Statistics::Tell(std::uint32_t service, bool names, Fold* fold) {
  if (fold->told || notices_.size() == kMaxNotices) return;
  fold->told = true;
  std::string text = names ? "service " + Quoted(catalog_->service_name(service)) + ": span_name has too many values"
                           : "service_name has too many values";
  text += " or too long ones (limits: " + std::to_string(fold->limit) + (names ? " series, " : " services, ") +
          std::to_string(kMaxNameBytes) + " bytes), for example ";
  for (std::size_t i = 0; i < fold->samples.size(); ++i) text += (i == 0 ? "" : ", ") + Quoted(fold->samples[i]);
  text += names ? "; the rest is counted in one series with otel_metric_overflow=\"true\". Is an id part of the name? "
                  "See metrics.span_names"
                : "; the rest is counted as service \"(other)\"";
  notices_.push_back(std::move(text));
}

void Statistics::ForgetService(std::uint32_t number) {
  if (number >= services_.size()) return;
  Service& service = services_[number];
  FreeOverflow(&service);
  Forget(&service.names);
  service = Service();
}

StatisticsView Statistics::Show(std::uint64_t group_bytes) const {
  StatisticsView view;
  view.series = named_series_;
  view.overflow_series = overflow_series_;
  view.max_series = limits_.max_series;
  view.expired_series_total = expired_series_;
  view.expired_spans_total = expired_spans_;
  view.operations = catalog_->live_operations();
  view.max_operations = kMaxOperations;
  view.bytes = bytes() + group_bytes;
  view.max_bytes = kMaxStatisticsBytes;
  const auto show = [&](std::string_view service, const char* label, const Fold& fold) {
    if (fold.spans == 0 || view.cardinality.size() == kMaxCardinalityShown) return;
    view.cardinality.push_back({std::string(service), label, fold.limit, fold.spans, fold.since_ns, fold.samples});
  };
  show("", "service_name", service_names_);
  for (std::uint32_t i = 0; i < services_.size(); ++i) show(catalog_->service_name(i), "span_name", services_[i].names);
  return view;
}

void Statistics::ShowServices(std::vector<ServiceStats>* out) const {
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    const Totals& t = services_[i].totals;
    if (t.spans > 0) {
      out->push_back({std::string(catalog_->service_name(i)), t.spans, t.errors, t.duration_sum_ns, t.slow_warning,
                      t.slow_critical});
    }
  }
}

void Statistics::Mark() {
  traces_at_mark_ = traces_;
  series_at_mark_.clear();
  series_at_mark_.resize(series_.size());
  for (std::size_t i = 0; i < series_.size(); ++i) {
    if (series_[i].durations.count > 0) series_at_mark_[i] = std::make_unique<DurationHistogram>(series_[i].durations);
  }
}

DurationHistogram Statistics::SinceMark(std::uint32_t series) const {
  const DurationHistogram& now = series_[series].durations;
  const DurationHistogram* before = series < series_at_mark_.size() ? series_at_mark_[series].get() : nullptr;
  return before == nullptr ? now : Less(now, *before);
}

void Statistics::ShowTraces(MetricsView* out) const {
  out->trace_depth = Less(traces_.depth, traces_at_mark_.depth);
  out->trace_spans = Less(traces_.spans, traces_at_mark_.spans);
  out->trace_duration = Less(traces_.duration, traces_at_mark_.duration);
}

bool Statistics::ShowSeries(std::size_t slot, SpanSeries* out) const {
  if (slot >= series_.size()) {
    const auto service = static_cast<std::uint32_t>(slot - series_.size());
    if (service >= services_.size() || services_[service].overflow == kNone) return false;
    out->overflow = true;
    if (service != 0) out->service = catalog_->service_name(service);
    out->durations = SinceMark(services_[service].overflow);
    return true;
  }
  const Series& series = series_[slot];
  if (series.cell >= kOverflow) return false;
  const Cell& cell = cells_[series.cell];
  const Operation& operation = catalog_->operation(cell.operation);
  out->service = catalog_->service_name(operation.service);
  out->operation = operation.name;
  out->kind = cell.kind;
  out->status = cell.status;
  out->durations = SinceMark(static_cast<std::uint32_t>(slot));
  return true;
}

}  // namespace spanwatch::core
