// When a trace is complete: gaps learned by root operation, late spans, and what is given to the forwarder.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "sidecar/core/completed_view.h"
#include "sidecar/core/errors_view.h"
#include "sidecar/core/health_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

TraceId Id(std::uint64_t trace) { return {0xabcdef, trace}; }

bool Complete(EngineDriver& driver, std::uint64_t trace) {
  const auto copy = driver.engine().GetTrace(Id(trace));
  return copy && copy->summary.complete;
}

// A trace of two spans, the root first, `gap_ns` apart; ends `rest_ns` after that.
void TwoSpans(EngineDriver& driver, std::uint64_t trace, const std::string& root, std::int64_t gap_ns,
              std::int64_t rest_ns) {
  const std::int64_t now = driver.now_ns() - kStart;
  driver.Spans({{.trace = trace, .id = 1, .name = root}});
  driver.At(now + gap_ns);
  driver.Spans({{.trace = trace, .id = 2, .parent = 1, .name = "child"}});
  driver.At(now + gap_ns + rest_ns);
}

TEST(Completion, AQuietRootClosesSoonOnceTwentyWereSeen) {
  EngineDriver driver;
  for (std::uint64_t trace = 1; trace <= 20; ++trace) {
    TwoSpans(driver, trace, "fast", 10 * kMs, 900 * kMs);
    EXPECT_FALSE(Complete(driver, trace)) << "one second until it has learned, trace " << trace;
    driver.At(driver.now_ns() - kStart + 200 * kMs);
    EXPECT_TRUE(Complete(driver, trace));
  }
  TwoSpans(driver, 21, "fast", 10 * kMs, 200 * kMs);
  EXPECT_TRUE(Complete(driver, 21));
  TwoSpans(driver, 22, "other", 10 * kMs, 200 * kMs);
  EXPECT_FALSE(Complete(driver, 22)) << "each root operation learns for itself";
}

TEST(Completion, AStragglingRootLearnsToWaitUpToThirtySeconds) {
  EngineDriver driver;
  for (std::uint64_t trace = 1; trace <= 20; ++trace) TwoSpans(driver, trace, "slow", 4 * kSecond, 40 * kSecond);
  EXPECT_EQ(driver.engine().Stats().store.late_spans_total, 20u);
  const std::int64_t now = driver.now_ns() - kStart;
  driver.Spans({{.trace = 100, .id = 1, .name = "slow"}});
  driver.At(now + 4 * kSecond);
  EXPECT_FALSE(Complete(driver, 100));
  driver.Spans({{.trace = 100, .id = 2, .parent = 1}});
  EXPECT_EQ(driver.engine().Stats().store.late_spans_total, 20u) << "it waited";
  driver.At(now + 12 * kSecond);
  EXPECT_TRUE(Complete(driver, 100));
  for (std::uint64_t trace = 201; trace <= 230; ++trace) TwoSpans(driver, trace, "slow", 100 * kSecond, 40 * kSecond);
  const std::int64_t later = driver.now_ns() - kStart;
  driver.Spans({{.trace = 300, .id = 1, .name = "slow"}});
  driver.At(later + 29 * kSecond);
  EXPECT_FALSE(Complete(driver, 300));
  driver.At(later + 31 * kSecond);
  EXPECT_TRUE(Complete(driver, 300)) << "never more than 30 s";
}

// Two root operations share the engine: one whose spans come at once, one with a straggler in every tenth trace.
TEST(Completion, BimodalDelaysCloseShortTracesFastAndHardlyAnyTooEarly) {
  Limits limits;
  limits.max_traces = 20'000;
  EngineDriver driver(limits);
  std::mt19937_64 random(5);
  struct Send {
    std::int64_t at;
    std::uint64_t trace, id;
    const char* root;
  };
  std::vector<Send> sends;
  constexpr std::uint64_t kTraces = 10'000;
  std::map<std::uint64_t, std::int64_t> last;
  for (std::uint64_t trace = 1; trace <= kTraces; ++trace) {
    const bool is_long = trace % 2 == 0;
    const char* root = is_long ? "long" : "short";
    const std::int64_t begin = static_cast<std::int64_t>(trace) * 20 * kMs;
    std::int64_t end = begin + static_cast<std::int64_t>(random() % 60) * kMs;
    sends.push_back({begin, trace, 1, root});
    sends.push_back({end, trace, 2, root});
    if (is_long && random() % 10 == 0) {
      end = begin + 3 * kSecond + static_cast<std::int64_t>(random() % 2000) * kMs;
      sends.push_back({end, trace, 3, root});
    }
    last[trace] = end;
  }
  std::stable_sort(sends.begin(), sends.end(), [](const Send& a, const Send& b) { return a.at < b.at; });
  std::vector<std::int64_t> waits;
  std::uint64_t oldest = 1;
  for (const Send& send : sends) {
    driver.At(send.at);
    driver.Spans({{.trace = send.trace, .id = send.id, .parent = send.id - 1, .name = send.id == 1 ? send.root : "x"}});
    for (; oldest < kTraces && last[oldest] + 150 * kMs < send.at; oldest += 2) {
      if (!Complete(driver, oldest)) break;
      waits.push_back(send.at - last[oldest]);
    }
  }
  driver.At(sends.back().at + 60 * kSecond);
  const StoreView store = driver.engine().Stats().store;
  EXPECT_EQ(store.spans, sends.size()) << "counts are exact";
  EXPECT_EQ(store.completed_total, kTraces);
  EXPECT_LT(store.late_spans_total, kTraces / 1000) << "fewer than 0.1 % were closed too early";
  ASSERT_GT(waits.size(), kTraces / 4);
  std::nth_element(waits.begin(), waits.begin() + static_cast<std::ptrdiff_t>(waits.size() / 2), waits.end());
  EXPECT_LT(waits[waits.size() / 2], kSecond) << "the median wait of short traces";
}

TEST(Completion, ALateSpanCompletesItsTraceAgainAndIsJudgedAnew) {
  auto rules = std::make_shared<RuleSet>();
  Rule rule;
  rule.alert = "Errors";
  rule.measure = Measure::kTraceErrorCount;
  rule.warning = 0;
  rule.keep_firing_for_ns = kMinute;
  rules->rules = {rule};
  EngineDriver driver({}, rules);
  driver.Spans({{.id = 1}});
  driver.At(2 * kSecond);
  ASSERT_TRUE(Complete(driver, 1));
  EXPECT_EQ(driver.Told(), "");
  driver.Spans({{.id = 2, .parent = 1, .failed = true}});
  EXPECT_EQ(driver.Told(), "");
  driver.At(4 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Errors warning");
  EXPECT_EQ(driver.engine().Stats().store.completed_total, 1u);
  EXPECT_EQ(driver.engine().Metrics().trace_spans.count, 1) << "a trace counts once";
}

Limits Forwarding(ForwardChoice choice) {
  Limits limits;
  limits.forward = choice;
  return limits;
}

TEST(Forwarding, GivesAllOnceAndLateSpansAfterwards) {
  EngineDriver driver(Forwarding({.all = true}));
  driver.Spans({{.id = 2, .parent = 1, .name = "child", .tags = {{"k", "v"}}}, {.id = 1, .name = "root"}});
  EXPECT_TRUE(driver.engine().TakeCompleted().empty()) << "not complete yet";
  driver.At(2 * kSecond);
  auto completed = driver.engine().TakeCompleted();
  ASSERT_EQ(completed.size(), 1u);
  EXPECT_EQ(completed[0].id, Id(1));
  EXPECT_EQ(completed[0].first_span, 0u);
  EXPECT_EQ(completed[0].copy, nullptr);
  const auto spans = driver.engine().GetSpans(Id(1), 0);
  ASSERT_TRUE(spans && spans->spans.size() == 2);
  EXPECT_EQ(spans->spans[0].name, "child") << "in order of arrival";
  ASSERT_EQ(spans->spans[0].attributes.size(), 1u);
  driver.Spans({{.id = 3, .parent = 1, .name = "late"}});
  driver.At(4 * kSecond);
  completed = driver.engine().TakeCompleted();
  ASSERT_EQ(completed.size(), 1u);
  EXPECT_EQ(completed[0].first_span, 2u);
  const auto late = driver.engine().GetSpans(Id(1), 2);
  ASSERT_TRUE(late && late->spans.size() == 1);
  EXPECT_EQ(late->spans[0].name, "late");
  driver.At(60 * kSecond);
  EXPECT_TRUE(driver.engine().TakeCompleted().empty());
}

TEST(Forwarding, ChoosesByWhatTheTraceIs) {
  const auto taken = [](ForwardChoice choice, TestSpan span) {
    auto rules = std::make_shared<RuleSet>();
    Rule rule;
    rule.alert = "Slow";
    rule.warning = 60e9;
    rule.keep_firing_for_ns = kMinute;
    rules->rules = {rule};
    EngineDriver driver(Forwarding(choice), rules);
    driver.Spans({std::move(span)});
    driver.At(2 * kSecond);
    return driver.engine().TakeCompleted().size();
  };
  const TestSpan plain, slow{.duration_ns = 2 * kSecond}, failed{.failed = true}, alerted{.duration_ns = kMinute + 1};
  EXPECT_EQ(taken({}, slow), 0u);
  EXPECT_EQ(taken({.slow = true}, plain), 0u);
  EXPECT_EQ(taken({.slow = true}, slow), 1u);
  EXPECT_EQ(taken({.failed = true}, slow), 0u);
  EXPECT_EQ(taken({.failed = true}, failed), 1u);
  EXPECT_EQ(taken({.alerted = true}, slow), 0u);
  EXPECT_EQ(taken({.alerted = true}, alerted), 1u);
  EXPECT_EQ(taken({.sample_ratio = 1}, plain), 1u);
  EXPECT_EQ(taken({.sample_ratio = 1e-18}, plain), 0u) << "trace id 1 of 2^56";
}

TEST(Forwarding, ACutTraceLeavesWithACopyAndTheListIsBounded) {
  Limits limits = Forwarding({.all = true});
  limits.max_traces = 1;
  EngineDriver driver(limits);
  driver.Spans({{.trace = 1, .id = 1, .name = "first", .tags = {{"k", "v"}}}});
  driver.Spans({{.trace = 2, .id = 1}});
  auto completed = driver.engine().TakeCompleted();
  ASSERT_EQ(completed.size(), 1u);
  ASSERT_NE(completed[0].copy, nullptr);
  ASSERT_EQ(completed[0].copy->spans.size(), 1u);
  EXPECT_EQ(completed[0].copy->spans[0].name, "first");
  EXPECT_EQ(completed[0].copy->resources.size(), 1u);
  EXPECT_FALSE(driver.engine().HasTrace(Id(1)));
  for (std::uint64_t trace = 3; trace < 6003; ++trace) driver.Spans({{.trace = trace, .id = 1}});
  EXPECT_EQ(driver.engine().TakeCompleted().size(), 4096u);
  EXPECT_EQ(driver.engine().Stats().forward_dropped, 6000u - 4096);
}

// A trace is judged in several holds; who looks in between sees it whole, complete or not.
TEST(Completion, ReadersLookInWhileALargeTraceIsJudged) {
  constexpr std::uint64_t kSpans = 20'000;
  EngineDriver driver;
  std::atomic<bool> ready{false}, done{false};
  std::atomic<std::uint64_t> looks{0};
  std::thread reader([&] {
    while (!done) {
      const bool whole = ready;
      const CompletedView completed = driver.engine().CompletedSince(0, 10);
      for (const TraceSummary& trace : completed.traces) EXPECT_TRUE(trace.complete);
      const auto copy = driver.engine().GetTrace(Id(1));
      if (whole) {
        EXPECT_TRUE(copy && copy->spans.size() == kSpans);
      }
      driver.engine().GetErrors();
      driver.engine().GetDependencies();
      ++looks;
    }
  });
  std::vector<TestSpan> spans;
  for (std::uint64_t id = kSpans; id > 0; --id)
    spans.push_back({.id = id, .parent = id / 4, .service = id % 2 == 0 ? "bot" : "api", .failed = id % 3 == 0});
  driver.Spans(spans);
  ready = true;
  for (std::int64_t at = 0; at <= 40 * kSecond || looks < 3; at += kSecond) driver.At(at);
  done = true;
  reader.join();
  EXPECT_EQ(driver.engine().CompletedSince(0, 10).traces.size(), 1u);
  std::uint64_t calls = 0;
  for (std::uint64_t id = 2; id <= kSpans; ++id) calls += id / 4 != 0 && id % 2 != id / 4 % 2 ? 1 : 0;
  double counted = 0;
  for (const Dependency& edge : driver.engine().GetDependencies().edges) counted += edge.calls;
  EXPECT_EQ(counted, static_cast<double>(calls));
}

TEST(Resources, AreKeptOnceAndGivenWithTheTracesThatUseThem) {
  EngineDriver driver;
  TestBatch batch({{.id = 1, .service = "bot"}, {.id = 2, .parent = 1, .service = "gemini"}});
  SpanBatch& spans = batch.batch();
  const auto add = [&](std::uint32_t resource, std::vector<AttributeView> attributes) {
    spans.resources[resource].attributes = {static_cast<std::uint32_t>(spans.attributes.size()),
                                            static_cast<std::uint32_t>(attributes.size())};
    spans.attributes.insert(spans.attributes.end(), attributes.begin(), attributes.end());
  };
  const std::string large(70'000, 'x');
  add(0, {{"host.name", AttributeType::kString, 0, 0, "a"}, {"service.name", AttributeType::kString, 0, 0, "bot"}});
  add(1, {{"too.large", AttributeType::kString, 0, 0, large}, {"process.pid", AttributeType::kInt, 7, 0, {}}});
  Decoded decoded;
  decoded.spans = &spans;
  driver.engine().Apply({1, driver.now_ns(), RecordKind::kOtlp, 0}, decoded);
  driver.Spans({{.trace = 2, .id = 1, .service = "plain"}});
  const auto copy = driver.engine().GetTrace(Id(1));
  ASSERT_TRUE(copy && copy->resources.size() == 2);
  EXPECT_EQ(copy->resources[copy->spans[0].resource][0].text, "a");
  const auto& gemini = copy->resources[copy->spans[1].resource];
  ASSERT_EQ(gemini.size(), 2u) << "what is too large is left out";
  EXPECT_EQ(gemini[0].text, "gemini") << "each has service.name";
  EXPECT_EQ(gemini[1].integer, 7);
  const auto plain = driver.engine().GetTrace(Id(2));
  ASSERT_TRUE(plain && plain->resources.size() == 1);
  EXPECT_EQ(plain->resources[0][0].text, "plain");
}

}  // namespace
}  // namespace spanwatch::core
