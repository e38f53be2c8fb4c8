// What the evaluation of 10,000 groups of window rules costs, and how long the engine's mutex is held for it at most.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/mutex_holds.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

constexpr std::uint64_t kGroups = 10'000, kRules = 5, kPerBatch = 500;

std::shared_ptr<const RuleSet> Rules() {
  std::vector<Rule> rules;
  for (const Measure measure :
       {Measure::kErrorRate, Measure::kRate, Measure::kDurationAvg, Measure::kDurationP99, Measure::kErrorCount}) {
    // Every seventh user's errors are alerts that grow.
    Rule rule = WindowRule(measure, measure == Measure::kErrorCount ? 0 : 1e18, 2e18);
    rule.alert = ToString(measure);
    rule.by = {RuleLabel("user")};
    rules.push_back(std::move(rule));
  }
  return Set(std::move(rules));
}

class Feed {
 public:
  Feed() : engine_(Limits{}, Rules()) {
    for (std::uint64_t user = 0; user < kGroups / kRules; user += kPerBatch) {
      std::vector<TestSpan> spans;
      for (std::uint64_t i = user; i < user + kPerBatch; ++i)
        spans.push_back({.failed = i % 7 == 0, .tags = {{"user", "user-" + std::to_string(i)}}});
      batches_.push_back(std::make_unique<TestBatch>(std::move(spans)));
    }
  }
  // A span of each group, then `seconds` of ticks: each group is evaluated once a second.
  void Run(int seconds) {
    for (const auto& batch : batches_) {
      for (SpanView& span : batch->batch().spans) {
        span.trace_id = {1, ++next_};
        span.span_id = {next_};
        span.start_ns = now_ns_;
        span.end_ns = now_ns_ + static_cast<std::int64_t>(next_ * 0x9e3779b97f4a7c15u % 1000) * kMs;
      }
      Decoded decoded;
      decoded.spans = &batch->batch();
      engine_.Apply({++index_, now_ns_, RecordKind::kOtlp, 0}, decoded);
    }
    bench::MeasureHolds(true);
    const double begin = bench::ThreadCpuNs();
    for (int i = 0; i < seconds * 10; ++i) {
      now_ns_ += kTickNs;
      engine_.Apply({++index_, now_ns_, RecordKind::kTime, 0}, {});
      transitions_ += engine_.TakeTransitions().size();
    }
    cpu_ns_ += bench::ThreadCpuNs() - begin;
    bench::MeasureHolds(false);
    seconds_ += seconds;
  }
  std::uint64_t Groups() const {
    std::uint64_t groups = 0;
    for (const RuleStatus& status : engine_.GetRuleStatus()) groups += status.groups;
    return groups;
  }
  double cpu_ns_per_evaluation() const { return cpu_ns_ / seconds_ / static_cast<double>(Groups()); }
  std::size_t transitions() const { return transitions_; }
  double megabytes() const { return static_cast<double>(engine_.Stats().statistics.bytes) / (1 << 20); }

 private:
  Engine engine_;
  std::vector<std::unique_ptr<TestBatch>> batches_;
  std::int64_t now_ns_ = kStart;
  std::uint64_t next_ = 0, index_ = 0;
  double cpu_ns_ = 0;
  int seconds_ = 0;
  std::size_t transitions_ = 0;
};

}  // namespace
}  // namespace spanwatch::core

int main() {
  spanwatch::core::Feed feed;
  for (int i = 0; i < 70; ++i) feed.Run(5);  // all slots of the window are in use then
  spanwatch::bench::TakeHolds();
  for (int i = 0; i < 24; ++i) feed.Run(5);
  const std::vector<double> holds_ns = spanwatch::bench::TakeHolds();
  const auto groups = static_cast<unsigned long long>(feed.Groups());
  std::printf("rules_hold_max_ms %.3f ms %llu groups, %zu transitions, %zu holds, CPU time\n", holds_ns.back() / 1e6,
              groups, feed.transitions(), holds_ns.size());
  std::printf("rules_hold_p99_ms %.3f ms\n", holds_ns[holds_ns.size() * 99 / 100] / 1e6);
  std::printf("rules_evaluation_ns %.0f ns a group and evaluation, statistics take %.1f MiB\n",
              feed.cpu_ns_per_evaluation(), feed.megabytes());
  return groups == spanwatch::core::kGroups ? 0 : 1;
}
