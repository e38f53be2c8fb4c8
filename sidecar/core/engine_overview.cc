// The engine's overview: records are copied in short holds of the mutex, figures are made outside.
#include <algorithm>
#include <set>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/overview_figures.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kRecordsPerHold = 64;
constexpr std::size_t kBytesPerHold = 256 << 10;
constexpr std::size_t kNamesPerHold = 200;

template <typename T>
bool Chosen(const std::vector<T>& from, const T& value) {
  return from.empty() || std::find(from.begin(), from.end(), value) != from.end();
}

}  // namespace

std::vector<NamedRecord> Engine::Impl::CopyRecords(const SeriesQuery& query, OverviewView* view) const {
  std::vector<NamedRecord> records;
  for (std::size_t at = 0;;) {
    MutexLock lock(&mutex_);
    view->now_ns = now_ns_;
    view->since_ns = overview_.since_ns();
    view->folded_operations = overview_.folded_operations();
    view->folded_calls = overview_.folded_calls();
    view->bytes = overview_.bytes();
    view->max_bytes = overview_.max_bytes();
    std::size_t bytes = 0;
    for (std::size_t left = kRecordsPerHold; left > 0 && bytes < kBytesPerHold; --left, ++at) {
      if (at >= overview_.slots()) return records;
      const OperationRecord* record = overview_.record(at);
      if (record == nullptr || !Chosen(query.kinds, record->kind)) continue;
      std::string service(catalog_.service_name(record->service));
      if (!Chosen(query.services, service)) continue;
      const bool other = record->operation == kOtherOperation;
      records.push_back({std::move(service),
                         std::string(other ? kOtherName : std::string_view(catalog_.operation(record->operation).name)),
                         *record});
      bytes += sizeof(NamedRecord) + record->slots.size() + record->dense.size() * sizeof(float);
    }
  }
}

OverviewView Engine::Impl::GetOverview() const {
  OverviewView view;
  std::vector<NamedRecord> records = CopyRecords({}, &view);
  SortRecords(&records);
  FillOverview(records, &view);
  return view;
}

std::vector<Series> Engine::Impl::GetSeries(const SeriesQuery& query) const {
  OverviewView view;
  std::vector<NamedRecord> records = CopyRecords(query, &view);
  SortRecords(&records);
  return MakeSeries(records, query, view.now_ns, view.since_ns);
}

std::vector<OperationHistory> Engine::Impl::GetHistory(const TraceCopy& trace) const {
  std::set<std::pair<std::string_view, std::string_view>> wanted;
  for (const SpanCopy& span : trace.spans) wanted.emplace(span.service, span.name);
  std::vector<OperationHistory> all;
  for (auto at = wanted.begin(); at != wanted.end();) {
    MutexLock lock(&mutex_);
    for (std::size_t left = kNamesPerHold; left > 0 && at != wanted.end(); --left, ++at) {
      const std::uint32_t operation = catalog_.FindOperation(at->first, at->second);
      if (operation == kNoCell) continue;
      OperationHistory history{std::string(at->first), std::string(at->second)};
      for (const OperationRecord* record : overview_.RecordsOf(operation)) AddHistory(*record, now_ns_, &history);
      if (!(history.calls > 0)) continue;
      history.over_threshold /= history.calls;
      all.push_back(std::move(history));
    }
  }
  return all;
}

std::vector<OperationHistory> Engine::GetHistory(const TraceCopy& trace) const { return impl_->GetHistory(trace); }
std::vector<Series> Engine::GetSeries(const SeriesQuery& query) const { return impl_->GetSeries(query); }
OverviewView Engine::GetOverview() const { return impl_->GetOverview(); }

}  // namespace spanwatch::core
