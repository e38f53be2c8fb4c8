// Cuts a large OTLP body into records of bounded size: the ingest queue and a record of the journal are bounded, a body
// may be larger than both. Spans stay whole and keep their order; each record repeats the resource and the scope of its
// spans. Pure.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_SPLIT_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_SPLIT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spanwatch::ingest {

struct SplitLimits {
  std::size_t record_bytes = 512u << 10;    // aimed at
  std::size_t max_record_bytes = 2u << 20;  // never exceeded: spans that do not fit are left out
  std::size_t max_resources = 1000;         // a record
};

struct SplitResult {
  std::vector<std::string> records;
  std::uint64_t too_large = 0;  // spans left out
};

// `bytes`: TracesData whose outermost message can be read. An empty body makes no record.
SplitResult SplitOtlp(std::string bytes, const SplitLimits& limits);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_SPLIT_H_
