// From copies of the overview's records to what is shown. Works outside of the engine's mutex; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_OVERVIEW_FIGURES_H_
#define SPANWATCH_SIDECAR_CORE_OVERVIEW_FIGURES_H_

#include <string>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/overview.h"
#include "sidecar/core/overview_view.h"

namespace spanwatch::core {

struct NamedRecord {
  std::string service, operation;
  OperationRecord record;
};

// By service, operation and kind: as FillOverview() and MakeSeries() want them. Those of one name and kind are added.
void SortRecords(std::vector<NamedRecord>* records);

// REQUIRES: `view` has now_ns and since_ns.
void FillOverview(const std::vector<NamedRecord>& records, OverviewView* view);

// `records` are those that the query asks for.
std::vector<Series> MakeSeries(const std::vector<NamedRecord>& records, const SeriesQuery& query, std::int64_t now_ns,
                               std::int64_t since_ns);

// Adds what the last hour knows; `over_threshold` as calls, not yet as a share.
void AddHistory(const OperationRecord& record, std::int64_t now_ns, OperationHistory* history);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_OVERVIEW_FIGURES_H_
