// The trace store through the engine: spans in any order, depth, completion, lateness, limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

TraceId Id(std::uint64_t trace) { return {0xabcdef, trace}; }

TraceSummary SummaryOf(EngineDriver& driver, std::uint64_t trace) {
  const auto copy = driver.engine().GetTrace(Id(trace));
  return copy ? copy->summary : TraceSummary{};
}

// The slow model: depth by walking to the top from each span; a span on a cycle is a root.
std::uint32_t SlowDepth(const std::vector<TestSpan>& spans) {
  std::map<std::uint64_t, std::uint64_t> parent;
  for (const TestSpan& span : spans) parent[span.id] = span.parent;
  std::uint32_t deepest = 0;
  for (const TestSpan& span : spans) {
    std::uint32_t depth = 0;
    for (std::uint64_t at = span.id; parent.contains(at); at = parent[at]) ++depth;
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

TEST(TraceStore, DepthIsRightInAnyOrder) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t count = 1 + random() % (round % 10 == 0 ? 200 : 20);
    const bool chain = random() % 2 == 0;
    std::vector<TestSpan> spans;
    for (std::uint64_t id = 1; id <= count; ++id) {
      TestSpan span;
      span.id = id;
      span.parent = id == 1 ? 0 : chain ? id - 1 : random() % (id - 1) + 1;
      spans.push_back(span);
    }
    std::shuffle(spans.begin(), spans.end(), random);
    const std::uint32_t expected = SlowDepth(spans);
    EngineDriver driver;
    std::uint32_t before = 0;
    for (const TestSpan& span : spans) {
      driver.Spans({span});
      const std::uint32_t depth = SummaryOf(driver, 1).depth;
      ASSERT_GE(depth, before);
      ASSERT_LE(depth, expected);
      before = depth;
    }
    if (count <= 60) {
      ASSERT_EQ(before, expected) << "as soon as the last span came, round " << round;
    }
    driver.At(2 * kSecond);
    ASSERT_EQ(SummaryOf(driver, 1).depth, expected) << "at completion, round " << round;
  }
}

TEST(TraceStore, CyclesAndSelfParentsEndAndCountAsRoots) {
  EngineDriver driver;
  driver.Spans({{.id = 1, .parent = 1}});
  EXPECT_EQ(SummaryOf(driver, 1).depth, 1u);
  driver.Spans({{.trace = 2, .id = 1, .parent = 2}, {.trace = 2, .id = 2, .parent = 1}});
  EXPECT_EQ(SummaryOf(driver, 2).depth, 2u);
  std::vector<TestSpan> ring;
  for (std::uint64_t id = 1; id <= 1000; ++id) ring.push_back({.trace = 3, .id = id, .parent = id % 1000 + 1});
  driver.Spans(ring);
  driver.At(40 * kSecond);
  EXPECT_EQ(SummaryOf(driver, 3).depth, 1000u);
  EXPECT_TRUE(SummaryOf(driver, 3).complete);
}

TEST(TraceStore, ADeepTraceIsExactAndOrphansAreMarked) {
  EngineDriver driver;
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 10'000; id >= 1; --id) spans.push_back({.id = id, .parent = id - 1});
  driver.Spans(spans);
  driver.At(2 * kSecond);
  EXPECT_EQ(SummaryOf(driver, 1).depth, 10'000u);
  driver.Spans({{.trace = 2, .id = 5, .parent = 99}});
  const auto copy = driver.engine().GetTrace(Id(2));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->summary.orphans, 1u);
  EXPECT_TRUE(copy->spans[0].orphan);
  EXPECT_EQ(copy->spans[0].depth, 1u);
}

TEST(TraceStore, CompletesAQuietSecondAfterTheRootOrThirtyWithoutOne) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1},
                {.trace = 2, .id = 2, .parent = 9},
                {.trace = 3, .id = 3, .parent = 9, .remote_parent = true}});
  driver.At(900 * kMs);
  EXPECT_FALSE(SummaryOf(driver, 1).complete);
  driver.At(1000 * kMs);
  EXPECT_TRUE(SummaryOf(driver, 1).complete);
  EXPECT_FALSE(SummaryOf(driver, 2).complete);
  EXPECT_TRUE(SummaryOf(driver, 3).complete) << "the local root of a remote parent counts";
  driver.At(29'900 * kMs);
  EXPECT_FALSE(SummaryOf(driver, 2).complete);
  driver.At(30'000 * kMs);
  EXPECT_TRUE(SummaryOf(driver, 2).complete);
  EXPECT_EQ(driver.engine().Stats().store.completed_total, 3u);
}

// A clock that is set right after a start in 1970, or a span of that year in a replay.
TEST(TraceStore, DecadesAreCaughtUpWithInAMoment) {
  EngineDriver driver;
  EnvelopeView hello;
  hello.kind = EnvelopeKind::kHello;
  driver.Message(1, hello, {{.service = "bot"}});
  driver.Spans({{.trace = 1, .id = 1}});
  constexpr std::int64_t kLater = 876'000 * std::int64_t{60} * kMinute + 30 * kMinute;  // no whole hour
  driver.At(kLater);
  EXPECT_EQ(driver.engine().Stats().now_ns, driver.now_ns());
  EXPECT_EQ(driver.engine().Stats().store.completed_total, 1u);
  EXPECT_EQ(driver.engine().Stats().store.traces, 0u) << "its time to live";
  EXPECT_EQ(driver.engine().Stats().processes.at(0).state, "died");
  driver.Spans({{.trace = 2, .id = 1}});
  driver.At(kLater + 900 * kMs);
  EXPECT_FALSE(SummaryOf(driver, 2).complete);
  driver.At(kLater + 1000 * kMs);
  EXPECT_TRUE(SummaryOf(driver, 2).complete) << "ticks lie as close as before";
}

// What passes without a record is not there in a fold, and must leave no trace in what is counted by records.
TEST(TraceStore, TimeThatPassesIsNoRecord) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1}});
  for (std::int64_t i = 1; i <= 100; ++i) driver.At(i * kSecond);
  driver.Spans({{.trace = 2, .id = 1}});
  EXPECT_EQ(driver.engine().Stats().records, 2u);
}

TEST(TraceStore, ALateSpanUpdatesItsTraceAndARepeatedOneDoesNot) {
  EngineDriver driver;
  driver.Spans({{.id = 1}});
  driver.At(5 * kSecond);
  driver.Spans({{.id = 2, .parent = 1, .failed = true}});
  driver.Spans({{.id = 2, .parent = 1, .failed = true}});
  const StatsView stats = driver.engine().Stats();
  EXPECT_EQ(stats.store.late_spans_total, 1u);
  EXPECT_EQ(stats.store.duplicate_spans_total, 1u);
  EXPECT_EQ(SummaryOf(driver, 1).span_count, 2u);
  EXPECT_EQ(SummaryOf(driver, 1).error_count, 1u);
  ASSERT_EQ(stats.services.size(), 1u);
  EXPECT_EQ(stats.services[0].spans, 2) << "a repeat counts once";
}

TEST(TraceStore, TracesGoAtTheirLimitFailedOnesLast) {
  Limits limits;
  limits.max_traces = 10;
  EngineDriver driver(limits);
  driver.Spans({{.trace = 1000, .failed = true}});
  driver.At(2 * kSecond);
  for (std::uint64_t trace = 1; trace <= 30; ++trace) {
    driver.At((2 + static_cast<std::int64_t>(trace) * 2) * kSecond);
    driver.Spans({{.trace = trace}});
    ASSERT_LE(driver.engine().Stats().store.traces, 10u);
  }
  EXPECT_TRUE(driver.engine().HasTrace(Id(1000)));
  EXPECT_FALSE(driver.engine().HasTrace(Id(21)));
  EXPECT_TRUE(driver.engine().HasTrace(Id(22)));
  const StoreView store = driver.engine().Stats().store;
  EXPECT_EQ(store.evicted[1].name, "max_traces");
  EXPECT_EQ(store.evicted[1].count, 21u);
  EXPECT_EQ(store.traces_total, 31u);
}

TEST(TraceStore, OpenTracesAreCutOnlyWhenNothingElseIsLeft) {
  Limits limits;
  limits.max_traces = 3;
  EngineDriver driver(limits);
  for (std::uint64_t trace = 1; trace <= 5; ++trace) driver.Spans({{.trace = trace}});
  const StoreView store = driver.engine().Stats().store;
  EXPECT_EQ(store.traces, 3u);
  EXPECT_EQ(store.evicted[3].name, "cut");
  EXPECT_EQ(store.evicted[3].count, 2u);
  EXPECT_FALSE(driver.engine().HasTrace(Id(1)));
  EXPECT_EQ(driver.engine().Metrics().trace_depth.count, 2) << "judged before it goes";
}

TEST(TraceStore, TimeToLiveIsHardAndReadersSeeNothingOlder) {
  Limits limits;
  limits.ttl_ns = 60 * kSecond;
  EngineDriver driver(limits);
  driver.Spans({{.trace = 1}});
  driver.At(59'900 * kMs);
  EXPECT_TRUE(driver.engine().HasTrace(Id(1)));
  driver.At(60'000 * kMs);
  EXPECT_FALSE(driver.engine().HasTrace(Id(1)));
  EXPECT_EQ(driver.engine().Stats().store.bytes, 0u);
}

TEST(TraceStore, BytesStayUnderTheLimitAndOneTraceTakesAQuarterAtMost) {
  Limits limits;
  limits.memory_limit_bytes = 1 << 20;
  EngineDriver driver(limits);
  const std::string text(1000, 'x');
  for (std::uint64_t id = 1; id <= 3000; ++id) {
    driver.Spans({{.trace = 1, .id = id, .parent = id - 1, .tags = {{"k", text}}}});
    ASSERT_LE(driver.engine().Stats().store.bytes, limits.memory_limit_bytes);
  }
  const StatsView stats = driver.engine().Stats();
  EXPECT_GT(stats.store.truncated_spans_total, 2000u);
  EXPECT_EQ(stats.services[0].spans, 3000) << "metrics never lose them";
  for (std::uint64_t trace = 2; trace <= 3000; ++trace) {
    driver.Spans({{.trace = trace, .tags = {{"k", text}}}});
    ASSERT_LE(driver.engine().Stats().store.bytes, limits.memory_limit_bytes);
  }
}

TEST(TraceStore, KeepsWhatASpanSays) {
  EngineDriver driver;
  TestSpan span{.id = 1,
                .service = "gemini",
                .name = "generate",
                .duration_ns = 1500 * kMs,
                .kind = SpanKind::kClient,
                .tags = {{"gen_ai.request.model", "m1"}, {"correlation.id", "c-7"}}};
  TestBatch owner({span});
  SpanBatch& batch = owner.batch();
  batch.spans[0].status = StatusCode::kError;
  batch.spans[0].status_message = "no answer";
  batch.spans[0].scope_name = "lib";
  batch.events.push_back({kStart + 5, "exception", {0, 1}});
  batch.spans[0].event_count = 1;
  batch.links.push_back({{1, 2}, {3}});
  batch.spans[0].link_count = 1;
  batch.spans[0].dropped_attributes = 4;
  Decoded decoded;
  decoded.spans = &batch;
  driver.engine().Apply({1, driver.now_ns(), RecordKind::kOtlp, 0}, decoded);
  const auto copy = driver.engine().GetTrace(Id(1));
  ASSERT_TRUE(copy);
  const SpanCopy& kept = copy->spans[0];
  EXPECT_EQ(kept.service, "gemini");
  EXPECT_EQ(kept.name, "generate");
  EXPECT_EQ(kept.scope, "lib");
  EXPECT_EQ(kept.status_message, "no answer");
  EXPECT_EQ(kept.end_ns - kept.start_ns, 1500 * kMs);
  ASSERT_EQ(kept.attributes.size(), 2u);
  EXPECT_EQ(kept.attributes[1].text, "c-7");
  ASSERT_EQ(kept.events.size(), 1u);
  EXPECT_EQ(kept.events[0].attributes[0].key, "gen_ai.request.model");
  ASSERT_EQ(kept.links.size(), 1u);
  EXPECT_EQ(kept.links[0].span_id.value, 3u);
  EXPECT_EQ(kept.dropped_attributes, 4u);
  TraceQuery query;
  query.correlation_id = "c-7";
  EXPECT_EQ(driver.engine().FindTraces(query).size(), 1u);
  query.correlation_id = "c-8";
  EXPECT_EQ(driver.engine().FindTraces(query).size(), 0u);
}

TEST(TraceStore, SearchNeedsOneSpanForServiceAndOperation) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1, .service = "a", .name = "x"},
                {.trace = 1, .id = 2, .parent = 1, .service = "b", .name = "y", .start_ns = kStart + kSecond},
                {.trace = 2, .id = 3, .service = "a", .name = "y", .start_ns = kStart + 10 * kSecond, .failed = true}});
  TraceQuery query;
  EXPECT_EQ(driver.engine().FindTraces(query).size(), 2u);
  EXPECT_EQ(driver.engine().FindTraces(query)[0].trace_id, Id(2)) << "newest first";
  query.service = "a";
  query.operation = "y";
  ASSERT_EQ(driver.engine().FindTraces(query).size(), 1u);
  EXPECT_EQ(driver.engine().FindTraces(query)[0].trace_id, Id(2));
  query = {};
  query.status = TraceQuery::Status::kSuccess;
  ASSERT_EQ(driver.engine().FindTraces(query).size(), 1u);
  EXPECT_EQ(driver.engine().FindTraces(query)[0].trace_id, Id(1));
  query = {};
  query.min_duration_ns = kSecond;
  EXPECT_EQ(driver.engine().FindTraces(query).size(), 1u);
  query = {};
  query.limit = 1;
  EXPECT_EQ(driver.engine().FindTraces(query).size(), 1u);
}

TEST(TraceStore, NamesBeyondTheTablesAreFoldedInStatisticsAndKeptInTraces) {
  EngineDriver driver;
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 20'000; ++id)
    spans.push_back({.trace = id, .id = id, .name = "user-" + std::to_string(id)});
  driver.Spans(spans);
  const MetricsView metrics = driver.engine().Metrics();
  EXPECT_LE(metrics.series.size(), Limits().max_series + 1);
  double sum = 0;
  for (const SpanSeries& series : metrics.series) sum += series.durations.count;
  EXPECT_EQ(sum, 20'000) << "the overflow series keeps sums exact";
  const auto last = driver.engine().GetTrace(Id(20'000));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->spans[0].name, "user-20000");
}

}  // namespace
}  // namespace spanwatch::core
