// Writes metric families as Prometheus text 0.0.4 or OpenMetrics 1.0 into one growing string. Both formats print the
// same series: the same names, label values and `le` ("1.0", "+Inf"), so a change of format does not make new series.
// Not thread-safe: one writer a scrape.
#ifndef SPANWATCH_SIDECAR_METRICS_WRITER_H_
#define SPANWATCH_SIDECAR_METRICS_WRITER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::metrics {

enum class Format : std::uint8_t { kText, kOpenMetrics };
enum class Type : std::uint8_t { kCounter, kGauge, kHistogram, kInfo };

// Label pairs as they stand between the braces: `service_name="bot",span_name="x"`. Values are escaped and repaired
// (valid UTF-8, no NUL). Names must be legal: see LegalLabelName().
class Labels {
 public:
  Labels& Add(std::string_view name, std::string_view value);
  void Clear() { text_.clear(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// `name` with every byte that a label name may not have as '_'; "label_" stands before an empty name, a leading digit
// and a leading underscore (reserved).
std::string LegalLabelName(std::string_view name);

// Shortest text that reads back as the same double; integers without exponent; "NaN", "+Inf", "-Inf".
void AppendNumber(double value, std::string* out);
// As OpenMetrics wants `le`: always a point or "+Inf"; never an exponent.
std::string CanonicalBound(double value);

class Writer {
 public:
  Writer(Format format, std::size_t reserve) : format_(format) { out_.reserve(reserve); }

  // Begins a family. `name` is without `_total` (counters) and `_info` (info): the writer adds them where the format
  // wants them. Nothing is written before the family's first sample. A name ending in _seconds or _bytes gets its UNIT.
  // REQUIRES: `name` and `help` live until the next call of Family() or Finish().
  void Family(std::string_view name, Type type, std::string_view help);

  // One sample of the family; `labels` from Labels::text(), may be empty.
  void Sample(std::string_view labels, double value);
  void Sample(double value) { Sample({}, value); }

  // A whole number of observations, rounded as Histogram() rounds: equal to that histogram's count.
  template <std::size_t N>
  void CountSample(std::string_view labels, const core::HistogramCounts<N>& counts) {
    double total = 0;
    for (const double bucket : counts.buckets) total += bucket;
    WriteCount(labels, total);
  }

  // A histogram from counts that are not cumulative. `bounds` are its finite upper bounds as CanonicalBound() gives
  // them. Counts are rounded to whole numbers, as OpenMetrics demands: sampling weights make fractions.
  template <std::size_t N>
  void Histogram(std::string_view labels, const std::array<std::string, N>& bounds,
                 const core::HistogramCounts<N>& counts, double sum_scale) {
    WriteHistogram(labels, bounds.data(), counts.buckets.data(), N, counts.sum * sum_scale);
  }

  // Ends the text ("# EOF" in OpenMetrics). The writer is empty afterwards.
  std::string Finish();

  std::size_t samples() const { return samples_; }

 private:
  void BeginFamily();
  void WriteCount(std::string_view labels, double count);
  void WriteHistogram(std::string_view labels, const std::string* bounds, const double* counts, std::size_t bound_count,
                      double sum);

  Format format_;
  std::string out_;
  std::string_view name_;
  std::string_view help_;
  Type type_ = Type::kGauge;
  bool pending_ = false;     // family announced, header not written
  std::string sample_name_;  // with the suffix that samples have
  std::string line_;         // scratch of WriteHistogram
  std::size_t samples_ = 0;
};

// Upper bounds of a histogram as text: bound * scale each.
template <std::size_t N>
std::array<std::string, N> BoundTexts(const std::array<std::int64_t, N>& bounds, double divisor) {
  std::array<std::string, N> texts;
  for (std::size_t i = 0; i < N; ++i) texts[i] = CanonicalBound(static_cast<double>(bounds[i]) / divisor);
  return texts;
}

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_SIDECAR_METRICS_WRITER_H_
