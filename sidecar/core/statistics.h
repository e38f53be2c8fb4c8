// Counts of spans: the series of span metrics, totals by service, histograms of traces; and the guard that keeps them
// bounded when names multiply. One cell for each operation, kind and status, with its own series or, over the limits,
// none: then the overflow series of its service takes its spans, so that sums stay exact, and the service is named with
// samples of the values. Idle cells are forgotten. Not thread-safe: the engine's mutex guards it.
//
// Who gets a series: nobody above Limits::max_series or the budget of bytes. Limits::max_series_per_service, if set, is
// a hard limit. Else a quarter of max_series is each service's share; above it a service gets more while it is the only
// one, or while more than a quarter of max_series is free.
#ifndef SPANWATCH_SIDECAR_CORE_STATISTICS_H_
#define SPANWATCH_SIDECAR_CORE_STATISTICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/core/alerts.h"
#include "sidecar/core/blocks.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

// Of names, operations, cells, series, services and window groups, by formula. What is new beyond it overflows.
inline constexpr std::uint64_t kMaxStatisticsBytes = 16u << 20;

class Statistics {
 public:
  // Spans of one operation, kind and status.
  struct Cell {
    std::uint32_t operation = kNone;  // kNone: free
    std::uint32_t series = kNone;     // kNone: the overflow series of its service
    bool folded = true;               // it has no series, or it is that of "(other)"
    SpanKind kind = SpanKind::kUnspecified;
    StatusCode status = StatusCode::kUnset;
    std::int64_t last_seen_ns = 0;
    std::uint64_t generation = 0;  // of `binding`; 0: not bound yet
    Alerts::Binding binding;
  };
  struct Totals {
    double spans = 0, errors = 0, duration_sum_ns = 0, slow_warning = 0, slow_critical = 0;
  };

  explicit Statistics(Catalog* catalog) : catalog_(catalog) {}
  Statistics(Statistics&&) = default;
  Statistics& operator=(Statistics&&) = default;
  void MovedTo(Catalog* catalog) { catalog_ = catalog; }  // the same catalog at another place

  void Configure(const Limits& limits, std::size_t rules);

  // The cell of a span, made if it is new and there is room; else that of its service's "(other)". Valid until Sweep().
  Cell& CellOf(std::int64_t now_ns, std::uint32_t operation, SpanKind kind, StatusCode status) {
    const std::uint32_t number = catalog_->operation(operation).cells[CellSlot(kind, status)];
    if (number == kNoCell) return MakeCell(now_ns, operation, kind, status);
    return cells_[number];
  }
  // Counts a span in the `cell` that CellOf() gave for it.
  void Count(std::int64_t now_ns, Cell* cell, std::uint32_t service, const SpanView& span);
  // A span of a service that became "(other)".
  void CountOtherService(std::int64_t now_ns, std::string_view service_name);
  void CountTrace(std::uint32_t depth, std::uint64_t spans, std::int64_t duration_ns);

  // Forgets cells that were idle for series_idle_ns, gives free series to cells without; from where the last call
  // ended, at most `limit` cells. True: more is left.
  bool Sweep(std::int64_t now_ns, std::size_t limit);
  void ForgetService(std::uint32_t service);  // its number is free again

  std::vector<std::string> TakeNotices() { return std::exchange(notices_, {}); }
  std::uint64_t bytes() const;                           // by formula, without the rules' window groups
  StatisticsView Show(std::uint64_t group_bytes) const;  // of the rules' window groups
  void ShowServices(std::vector<ServiceStats>* out) const;
  // Series by number, then overflow series by service: parts [begin, end) of all. False: the part is not in use.
  std::size_t series_slots() const { return series_.size() + services_.size(); }
  bool ShowSeries(std::size_t slot, SpanSeries* out) const;
  void ShowTraces(MetricsView* out) const;
  // From now on ShowSeries() and ShowTraces() count from here.
  void Mark();

  // As a checkpoint keeps it, numbers and free lists included; without bindings. Load(), into a fresh object whose
  // catalog has just been loaded, writes the cells' numbers into the catalog's operations; false: not such bytes (then
  // neither this nor the catalog is of use). REQUIRES of Load: Configure() was called.
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in);

 private:
  static constexpr std::uint32_t kOverflow = kNone - 1;
  struct Series {
    std::uint32_t cell = kNone;  // kNone: free; kOverflow: of a service
    DurationHistogram durations;
  };
  // A label whose values are too many.
  struct Fold {
    std::uint64_t spans = 0;  // 0: not so
    std::uint64_t limit = 0;
    std::int64_t since_ns = 0, last_ns = 0;
    std::vector<std::string> samples;
    bool told = false;
  };
  struct TraceHistograms {
    HistogramCounts<kDepthBuckets.size()> depth;
    HistogramCounts<kSpanCountBuckets.size()> spans;
    DurationHistogram duration;
  };
  struct Service {
    Totals totals;
    std::uint32_t series = 0;        // own ones, now
    std::uint32_t overflow = kNone;  // number of its overflow series
    Fold names;
  };

  Cell& MakeCell(std::int64_t now_ns, std::uint32_t operation, SpanKind kind, StatusCode status);
  bool MayTake(const Service& service) const;
  DurationHistogram SinceMark(std::uint32_t series) const;
  std::uint64_t LimitOf(const Service& service) const;
  std::uint32_t ObtainSeries(std::uint32_t cell);
  void FreeSeries(std::uint32_t number);
  void TakeSeries(std::uint32_t cell, Service* service);
  void FreeCell(std::uint32_t number);
  void FreeOverflow(Service* service);
  Service& ServiceAt(std::uint32_t number) {
    while (services_.size() <= number) services_.Append();
    return services_[number];
  }
  std::uint32_t CountFolded(std::int64_t now_ns, const Cell& cell, const SpanView& span, Service* service);
  void NoteFold(std::int64_t now_ns, std::string_view value, std::uint64_t limit, Fold* fold);
  void Forget(Fold* fold);
  void Tell(std::uint32_t service, bool names, Fold* fold);
  void SweepFolds(std::int64_t now_ns);
  void SaveFold(const Fold& fold, CodecWriter* out) const;
  static bool LoadFold(CodecReader* in, Fold* fold);
  bool LoadCells(CodecReader* in);
  bool LoadSeries(CodecReader* in);
  bool LoadServices(CodecReader* in);

  Catalog* catalog_;
  Limits limits_;
  Blocks<Cell> cells_;
  Blocks<Series> series_;
  Blocks<Service, 4> services_;  // by the catalog's number
  std::vector<std::uint32_t> free_cells_, free_series_;
  std::uint64_t named_series_ = 0, overflow_series_ = 0;
  std::uint32_t services_with_series_ = 0;
  std::uint64_t cell_bytes_ = 0;  // of one cell, its binding included
  std::uint64_t fold_bytes_ = 0;
  std::uint64_t expired_series_ = 0;
  double expired_spans_ = 0;
  std::size_t sweep_at_ = 0;
  Fold service_names_;
  std::vector<std::string> notices_;
  TraceHistograms traces_;
  // What Mark() found; by number of the series, empty where it was not in use then.
  TraceHistograms traces_at_mark_;
  std::vector<std::unique_ptr<DurationHistogram>> series_at_mark_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_STATISTICS_H_
