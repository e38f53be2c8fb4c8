// The store's bytes against those of the heap, and hostile shapes of traces: right answers in bounded time.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "tests/support/cpu_time.h"
#include "tests/support/engine_driver.h"
#include "tests/support/heap.h"

namespace spanwatch::core {
namespace {

TraceId Id(std::uint64_t trace) { return {0xabcdef, trace}; }

struct Shape {
  const char* name;
  std::uint64_t traces;
  std::function<std::vector<TestSpan>(std::uint64_t trace)> make;
  std::uint64_t max_traces = 2000;
};

std::vector<TestSpan> Spans(std::uint64_t trace, std::uint64_t count, std::size_t tags, std::size_t text) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= count; ++id) {
    TestSpan span{.trace = trace, .id = id, .parent = id / 2};
    for (std::size_t tag = 0; tag < tags; ++tag)
      span.tags.emplace_back("key" + std::to_string(tag), std::string(text, 'v'));
    spans.push_back(std::move(span));
  }
  return spans;
}

class StoreBytes : public testing::TestWithParam<int> {};

// Full, then churned twice over; traces of other sizes have used the memory before.
TEST_P(StoreBytes, FollowTheFormulaWithinTenPercent) {
  if (!HeapIsCounted()) GTEST_SKIP() << "the heap of this build does not count";
  const std::vector<Shape> shapes = {
      {"one span", 6000, [](std::uint64_t t) { return Spans(t, 1, 0, 0); }},
      {"one span, four tags", 6000, [](std::uint64_t t) { return Spans(t, 1, 4, 12); }},
      {"twenty spans, four tags", 6000, [](std::uint64_t t) { return Spans(t, 20, 4, 12); }},
      {"forty spans, no tags", 5000, [](std::uint64_t t) { return Spans(t, 40, 0, 0); }},
      {"a thousand spans", 300, [](std::uint64_t t) { return Spans(t, 1000, 4, 12); }, 100},
      {"a thousand spans, no tags", 300, [](std::uint64_t t) { return Spans(t, 1000, 0, 0); }, 100},
      {"a hundred thousand spans", 6, [](std::uint64_t t) { return Spans(t, 100'000, 1, 8); }, 3},
      {"long texts", 300, [](std::uint64_t t) { return Spans(t, 5, 2, 4000); }, 100},
      {"mixed", 6000, [](std::uint64_t t) { return Spans(t, 1 + t * 7919 % 60, t % 5, t % 40); }},
  };
  const Shape& shape = shapes[static_cast<std::size_t>(GetParam())];
  Limits limits;
  limits.max_traces = shape.max_traces;
  limits.memory_limit_bytes = 1u << 30;
  EngineDriver driver(limits);
  for (std::uint64_t trace = 1; trace <= 50; ++trace) driver.Spans(Spans(1'000'000 + trace, 1 + trace, 1, 8));
  driver.At(2 * kSecond);
  for (const TestSpan& span : Spans(1, 1, 4, 12)) driver.Spans({span});
  driver.engine().Stats();
  // What is no trace: statistics, tables of names. Measured with the smallest store.
  limits.max_traces = 1;
  driver.Reload(nullptr, limits);
  const StoreView least = driver.engine().Stats().store;
  const std::size_t before = HeapBytes() - least.bytes;
  limits.max_traces = shape.max_traces;
  driver.Reload(nullptr, limits);
  std::int64_t now = 4 * kSecond;
  for (std::uint64_t trace = 1; trace <= shape.traces; ++trace) {
    driver.Spans(shape.make(trace));
    if (trace % 100 == 0) driver.At(now += 2 * kSecond);
  }
  driver.At(now + 4 * kSecond);
  const StoreView store = driver.engine().Stats().store;
  ASSERT_EQ(store.traces, shape.max_traces);
  const double real = static_cast<double>(HeapBytes() - before);
  const double ratio = static_cast<double>(store.bytes) / real;
  EXPECT_GT(ratio, 0.9) << shape.name << ": formula " << store.bytes << ", real " << real;
  EXPECT_LT(ratio, 1.1) << shape.name << ": formula " << store.bytes << ", real " << real;
  RecordProperty("ratio", std::to_string(ratio));
}
INSTANTIATE_TEST_SUITE_P(All, StoreBytes, testing::Range(0, 9));

TEST(StoreShapes, AKeptSpanTakesAtMost150BytesPlusItsTags) {
  for (const std::uint64_t count : {8u, 20u, 33u, 100u, 1000u, 100'000u}) {
    EngineDriver driver;
    driver.Spans(Spans(1, count, 0, 0));
    driver.At(2 * kSecond);
    EXPECT_LE(driver.engine().Stats().store.bytes, 150 * count) << count << " spans";
  }
}

enum class Order { kForwards, kBackwards, kRandom };

std::vector<TestSpan> Ordered(std::vector<TestSpan> spans, Order order) {
  std::mt19937_64 random(11);
  if (order == Order::kBackwards) std::reverse(spans.begin(), spans.end());
  if (order == Order::kRandom) std::shuffle(spans.begin(), spans.end(), random);
  return spans;
}

std::vector<TestSpan> Chain(std::uint64_t count) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= count; ++id) spans.push_back({.id = id, .parent = id - 1});
  return spans;
}

std::vector<TestSpan> Wide(std::uint64_t count) {
  std::vector<TestSpan> spans = {{.id = 1}};
  for (std::uint64_t id = 2; id <= count; ++id) spans.push_back({.id = id, .parent = 1});
  return spans;
}

std::vector<TestSpan> Ring(std::uint64_t count) {
  std::vector<TestSpan> spans = Chain(count);
  spans[0].parent = count;
  return spans;
}

std::vector<TestSpan> Orphans(std::uint64_t count) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= count; ++id) spans.push_back({.id = id, .parent = 1'000'000 + id});
  return spans;
}

double Seconds(const std::vector<TestSpan>& spans, TraceSummary* summary) {
  const TestBatch batch(spans);
  const test::CpuTime cpu;
  EngineDriver driver;
  Decoded decoded;
  decoded.spans = &batch.batch();
  driver.engine().Apply({1, kStart, RecordKind::kOtlp, 0}, decoded);
  driver.At(40 * kSecond);
  *summary = driver.engine().GetTrace(Id(1))->summary;
  return cpu.Seconds();
}

// Ten times the spans may take twenty times ten times as long: a square would take a hundred times.
TEST(StoreShapes, HostileShapesAreAnsweredRightlyInBoundedTime) {
  struct Case {
    const char* name;
    std::function<std::vector<TestSpan>(std::uint64_t)> make;
    std::uint32_t depth;  // 0: as many as there are spans
    bool orphans;
  };
  const std::vector<Case> cases = {
      {"chain", Chain, 0, false}, {"wide", Wide, 2, false}, {"ring", Ring, 0, false}, {"orphans", Orphans, 1, true}};
  for (const Case& each : cases) {
    for (const Order order : {Order::kForwards, Order::kBackwards, Order::kRandom}) {
      TraceSummary small, large;
      const double a = Seconds(Ordered(each.make(10'000), order), &small);
      const double b = Seconds(Ordered(each.make(100'000), order), &large);
      const std::string name = std::string(each.name) + ", order " + std::to_string(static_cast<int>(order));
      EXPECT_EQ(small.span_count, 10'000u) << name;
      EXPECT_EQ(large.span_count, 100'000u) << name;
      if (std::string(each.name) != "ring") {
        EXPECT_EQ(small.depth, each.depth == 0 ? 10'000 : each.depth) << name;
      } else {
        EXPECT_LE(small.depth, 10'001u) << name;
      }
      EXPECT_EQ(small.orphans, each.orphans ? 10'000u : 0u) << name;
      EXPECT_LT(b, std::max(a, 0.002) * 200) << name;
    }
  }
}

TEST(StoreShapes, TheSameIdInTwoTracesAndTwoProcessesIsToldApartByTheTrace) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1}, {.trace = 1, .id = 2, .parent = 1}});
  driver.Spans({{.trace = 2, .id = 2}, {.trace = 2, .id = 1, .parent = 2}});
  for (const std::uint64_t trace : {1u, 2u}) {
    const auto copy = driver.engine().GetTrace(Id(trace));
    ASSERT_TRUE(copy && copy->spans.size() == 2);
    EXPECT_EQ(copy->summary.depth, 2u);
    EXPECT_EQ(copy->summary.orphans, 0u);
  }
  driver.Spans({{.trace = 1, .id = 2, .parent = 1, .service = "another", .failed = true}});
  EXPECT_EQ(driver.engine().GetTrace(Id(1))->summary.error_count, 0u) << "the first of a span id stays";
  EXPECT_EQ(driver.engine().Stats().store.duplicate_spans_total, 1u);
}

TEST(StoreShapes, SkewedClocksMoveNothing) {
  EngineDriver driver;
  driver.Spans({{.id = 1, .start_ns = kStart, .duration_ns = -5 * kSecond},
                {.id = 2, .parent = 1, .start_ns = kStart - 5 * kSecond, .duration_ns = kSecond}});
  const auto copy = driver.engine().GetTrace(Id(1));
  ASSERT_TRUE(copy && copy->spans.size() == 2);
  EXPECT_EQ(copy->spans[0].span_id.value, 2u) << "the child began first, by its own clock";
  EXPECT_EQ(copy->spans[0].start_ns, kStart - 5 * kSecond);
  EXPECT_EQ(copy->spans[1].end_ns, kStart) << "a negative duration counts as none";
  EXPECT_EQ(copy->summary.duration_ns, 5 * kSecond);
  EXPECT_EQ(copy->summary.depth, 2u);
}

}  // namespace
}  // namespace spanwatch::core
