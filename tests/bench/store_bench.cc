// What a span costs the engine with 2,000 and with 1,000,000 traces in the store: store_cost_ratio_1m.
// Both stores are filled first, then measured in alternating rounds; the ratio is that of the medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

constexpr std::uint64_t kSpansPerTrace = 8;
constexpr std::uint64_t kTracesPerBatch = 64;

class Feed {
 public:
  explicit Feed(std::uint64_t traces) : engine_(Make(traces), Rules()), store_(traces) {
    std::vector<TestSpan> spans;
    for (std::uint64_t t = 0; t < kTracesPerBatch; ++t) {
      for (std::uint64_t s = kSpansPerTrace; s > 0; --s) {
        spans.push_back(
            {.trace = 1,
             .id = s,
             .parent = s - 1,
             .service = "bot",
             .name = "operation" + std::to_string(s),
             .tags = {
                 {"http.method", "GET"}, {"http.route", "/messages/{id}"}, {"peer", "discord"}, {"attempt", "1"}}});
      }
    }
    batch_ = std::make_unique<TestBatch>(std::move(spans));
    while (next_ < store_ + store_ / 10) Batch();
  }
  // ns per span over `batches`.
  double Measure(int batches) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < batches; ++i) Batch();
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
    return elapsed.count() / (static_cast<double>(batches) * kTracesPerBatch * kSpansPerTrace);
  }
  std::uint64_t stored() const { return engine_.Stats().store.traces; }

 private:
  static Limits Make(std::uint64_t traces) {
    Limits limits;
    limits.max_traces = traces;
    limits.memory_limit_bytes = 8ull << 30;
    return limits;
  }
  static std::shared_ptr<const RuleSet> Rules() {
    Rule slow;
    slow.alert = "SlowOperation";
    slow.by = {LabelSource::kService, LabelSource::kOperation};
    slow.warning = 1e9;
    slow.keep_firing_for_ns = kMinute;
    Rule errors = slow;
    errors.alert = "HighErrorRate";
    errors.measure = core::Measure::kErrorRate;
    errors.by = {LabelSource::kService};
    errors.warning = 0.1;
    errors.window_ns = 5 * kMinute;
    auto set = std::make_shared<RuleSet>();
    set->rules = {slow, errors};
    return set;
  }
  void Batch() {
    now_ns_ += 10 * kMs;
    for (std::size_t i = 0; i < batch_->batch().spans.size(); ++i) {
      SpanView& span = batch_->batch().spans[i];
      const std::uint64_t trace = next_ + i / kSpansPerTrace;
      span.trace_id = {trace * 0x9e3779b97f4a7c15u, trace};
      span.start_ns = now_ns_;
      span.end_ns = now_ns_ + kMs;
    }
    next_ += kTracesPerBatch;
    Decoded decoded;
    decoded.spans = &batch_->batch();
    engine_.Apply({++index_, now_ns_, RecordKind::kOtlp, 0}, decoded);
  }

  Engine engine_;
  std::uint64_t store_, next_ = 1, index_ = 0;
  std::int64_t now_ns_ = kStart;
  std::unique_ptr<TestBatch> batch_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace
}  // namespace spanwatch::core

int main(int argc, char** argv) {
  using spanwatch::core::Feed;
  const std::uint64_t large_traces = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  Feed small(2'000);
  Feed large(large_traces);
  std::vector<double> small_ns, large_ns;
  for (int round = 0; round < 15; ++round) {
    small_ns.push_back(small.Measure(100));
    large_ns.push_back(large.Measure(100));
  }
  const double a = spanwatch::core::Median(small_ns);
  const double b = spanwatch::core::Median(large_ns);
  std::printf("store_span_2k_ns %.1f ns journal off\n", a);
  std::printf("store_span_1m_ns %.1f ns journal off, %llu traces stored\n", b,
              static_cast<unsigned long long>(large.stored()));
  std::printf("store_cost_ratio_1m %.2f ratio journal off\n", b / a);
  return 0;
}
