// The overview through the engine, time stepped: windows at their edges, figures against exact ones, trends, history.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "sidecar/core/analysis.h"
#include "sidecar/core/overview_sketch.h"
#include "sidecar/core/overview_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

using ::testing::ElementsAre;

// kStart lies 20 s after a minute: the next minute begins here.
constexpr std::int64_t kNextMinute = kMinute - kStart % kMinute;

class OverviewTest : public ::testing::Test {
 protected:
  TestSpan Span(const std::string& name, std::int64_t duration_ns) {
    TestSpan span;
    span.trace = span.id = ++id_;
    span.name = name;
    span.start_ns = driver_.now_ns();
    span.duration_ns = duration_ns;
    return span;
  }
  void Send(const std::string& name, std::int64_t duration_ns, int count = 1, bool failed = false) {
    std::vector<TestSpan> spans;
    for (int i = 0; i < count; ++i) {
      spans.push_back(Span(name, duration_ns));
      spans.back().failed = failed;
    }
    driver_.Spans(std::move(spans));
  }
  OverviewView View() { return driver_.engine().GetOverview(); }
  OperationOverview Of(const std::string& name) {
    for (const OperationOverview& each : View().operations) {
      if (each.operation == name) return each;
    }
    return {};
  }
  std::array<double, kOverviewWindows> Calls(const std::string& name) {
    const OperationOverview found = Of(name);
    return {found.windows[0].calls, found.windows[1].calls, found.windows[2].calls};
  }

  EngineDriver driver_;
  std::uint64_t id_ = 0;
};

TEST_F(OverviewTest, NothingYet) {
  const OverviewView view = View();
  EXPECT_EQ(view.since_ns, 0);
  EXPECT_TRUE(view.operations.empty());
  EXPECT_TRUE(view.services.empty());
  EXPECT_TRUE(view.all.recent.empty());
  EXPECT_EQ(view.all.windows[2].calls, 0);
  EXPECT_TRUE(driver_.engine().GetSeries({}).empty());
}

TEST_F(OverviewTest, WindowsEndWhereTheySay) {
  driver_.At(kNextMinute);
  Send("op", 10 * kMs);
  EXPECT_THAT(Calls("op"), ElementsAre(1, 1, 1));
  // The running minute and N whole ones: it goes when minute N + 1 after its own begins.
  driver_.At(kNextMinute + 2 * kMinute - kMs);
  EXPECT_THAT(Calls("op"), ElementsAre(1, 1, 1));
  driver_.At(kNextMinute + 2 * kMinute);
  EXPECT_THAT(Calls("op"), ElementsAre(0, 1, 1));
  driver_.At(kNextMinute + 6 * kMinute - kMs);
  EXPECT_THAT(Calls("op"), ElementsAre(0, 1, 1));
  driver_.At(kNextMinute + 6 * kMinute);
  EXPECT_THAT(Calls("op"), ElementsAre(0, 0, 1));
  // The hour ends with a slot of five minutes: 60 to 65 minutes.
  driver_.At(kNextMinute + 61 * kMinute - kMs);
  EXPECT_THAT(Calls("op"), ElementsAre(0, 0, 1));
  driver_.At(kNextMinute + 66 * kMinute);
  EXPECT_TRUE(View().operations.empty());
  EXPECT_EQ(View().all.windows[2].calls, 0);
}

TEST_F(OverviewTest, FiguresOfAWindow) {
  const std::int64_t since = driver_.now_ns();
  Send("op", 10 * kMs, 6);
  Send("op", 2 * kSecond, 3);
  Send("op", 6 * kSecond, 1, true);
  driver_.At(10 * kSecond);
  const OverviewView view = View();
  EXPECT_EQ(view.since_ns, since);
  const OperationOverview op = Of("op");
  EXPECT_EQ(op.service, "bot");
  EXPECT_EQ(op.kind, SpanKind::kInternal);
  for (const WindowFigures& window : op.windows) {
    EXPECT_EQ(window.covered_ns, 10 * kSecond) << "not longer ago than the first span";
    EXPECT_EQ(window.calls, 10);
    EXPECT_EQ(window.errors, 1);
    EXPECT_EQ(window.rate, 1.0);
    EXPECT_EQ(window.error_rate, 0.1);
    EXPECT_DOUBLE_EQ(window.avg_ns, (6 * 10e6 + 3 * 2e9 + 6e9) / 10);
    EXPECT_NEAR(window.p50_ns, 10e6, 0.01 * 10e6);
    EXPECT_NEAR(window.p90_ns, 2e9, 0.01 * 2e9);
    EXPECT_NEAR(window.p95_ns, 6e9, 0.01 * 6e9);
    EXPECT_NEAR(window.p99_ns, 6e9, 0.01 * 6e9);
    EXPECT_EQ(window.slow_warning, 4);
    EXPECT_EQ(window.slow_critical, 1);
    EXPECT_EQ(window.timeouts, 0);
  }
}

TEST_F(OverviewTest, ThresholdsAreStrictAndFollowAReload) {
  Send("op", kSecond);
  Send("op", kSecond + 1);
  EXPECT_EQ(Of("op").windows[0].slow_warning, 1);
  Limits limits;
  limits.slow_warning_ns = 10 * kMs;
  driver_.Reload(nullptr, limits);
  Send("op", kSecond);
  EXPECT_EQ(Of("op").windows[0].slow_warning, 2);
}

TEST_F(OverviewTest, TimeoutsByTypeMessageOrStatus) {
  std::vector<TestSpan> spans(8, Span("op", kMs));
  for (TestSpan& span : spans) span.id = span.trace = ++id_;
  for (std::size_t i = 0; i < 7; ++i) spans[i].failed = true;
  spans[0].error_type = "TimeoutError";
  spans[1].error_message = "upstream: Deadline Exceeded";
  spans[2].error_message = "it timed out after 5 s";
  spans[3].error_type = "504";
  spans[4].error_type = "ValueError";  // near misses
  spans[5].error_message = "time out of range, past the deadline";
  spans[6].error_message = std::string(1024, 'x') + "timeout";
  spans[7].error_type = "TimeoutError";  // did not fail
  driver_.Spans(std::move(spans));
  EXPECT_EQ(Of("op").windows[0].timeouts, 4);
}

TEST_F(OverviewTest, MemoryGrowthIsOfSpansThatGrew) {
  std::vector<TestSpan> spans = {Span("op", kMs), Span("op", kMs), Span("op", kMs), Span("op", kMs)};
  spans[0].memory_delta = 3 * kMb;
  spans[1].memory_delta = 120 * kMb;
  spans[2].memory_delta = -50 * kMb;
  driver_.Spans(std::move(spans));
  driver_.At(20 * kMinute);
  const WindowFigures hour = Of("op").windows[2];
  EXPECT_EQ(hour.memory_growth_bytes, 123.0 * kMb);
  EXPECT_EQ(hour.memory_largest_bytes, 120.0 * kMb);
  EXPECT_EQ(hour.memory_spans, 2);
}

TEST_F(OverviewTest, SampledSpansWeighMore) {
  std::vector<TestSpan> spans = {Span("op", 10 * kMs), Span("op", kSecond)};
  spans[0].weight = 99;
  spans[1].failed = true;
  driver_.Spans(std::move(spans));
  driver_.At(10 * kSecond);
  const WindowFigures window = Of("op").windows[0];
  EXPECT_EQ(window.calls, 100);
  EXPECT_EQ(window.rate, 10);
  EXPECT_EQ(window.error_rate, 0.01);
  EXPECT_NEAR(window.p99_ns, 10e6, 1e5);
}

TEST_F(OverviewTest, KindsAndServicesApartAndTheirSums) {
  std::vector<TestSpan> spans = {Span("op", kMs), Span("op", kMs), Span("op", 3 * kMs)};
  spans[0].kind = SpanKind::kClient;
  spans[2].service = "gemini";
  driver_.Spans(std::move(spans));
  Send("rest", kMs, 2);
  const OverviewView view = View();
  ASSERT_EQ(view.operations.size(), 4u);
  EXPECT_EQ(view.operations[0].operation, "rest") << "by calls";
  EXPECT_EQ(view.operations[1].kind, SpanKind::kInternal) << "then by name and kind";
  EXPECT_EQ(view.operations[2].kind, SpanKind::kClient);
  EXPECT_EQ(view.operations[3].service, "gemini");
  ASSERT_EQ(view.services.size(), 2u);
  EXPECT_EQ(view.services[0].service, "bot");
  EXPECT_EQ(view.services[0].windows[0].calls, 4);
  EXPECT_EQ(view.services[1].windows[0].calls, 1);
  EXPECT_EQ(view.all.windows[0].calls, 5);
  EXPECT_NEAR(view.all.windows[0].p99_ns, 3e6, 3e4);
}

TEST_F(OverviewTest, RecentMinutesNewestFirstAlignedAndThroughputByElapsedTime) {
  driver_.At(kNextMinute - 10 * kSecond);
  Send("op", 10 * kMs, 20);
  driver_.At(kNextMinute + 30 * kSecond);
  Send("op", 30 * kMs, 60, true);
  const std::vector<RecentMinute> recent = View().all.recent;
  ASSERT_EQ(recent.size(), 2u);
  EXPECT_EQ(recent[0].start_ns, kStart + kNextMinute);
  EXPECT_EQ(recent[0].covered_ns, 30 * kSecond);
  EXPECT_EQ(recent[0].calls, 60);
  EXPECT_EQ(recent[0].errors, 60);
  EXPECT_EQ(recent[0].duration_ns, 60 * 30e6);
  EXPECT_EQ(recent[1].start_ns, kStart + kNextMinute - kMinute);
  EXPECT_EQ(recent[1].covered_ns, 10 * kSecond) << "since the first span";
  EXPECT_EQ(recent[1].calls, 20);
  driver_.At(kNextMinute + 100 * kMinute);
  const std::vector<RecentMinute> later = View().all.recent;
  ASSERT_EQ(later.size(), 60u);
  EXPECT_EQ(later[0].covered_ns, kSecond) << "of a minute that has just begun";
  EXPECT_EQ(later[59].start_ns, kStart + kNextMinute + 41 * kMinute);
}

// Percentiles and counts of all windows over two hours, against all durations kept.
TEST_F(OverviewTest, WindowsAgreeWithExactFiguresAtAnyTime) {
  struct Call {
    std::int64_t minute, duration_ns;
  };
  std::vector<Call> calls;
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> duration(17, 1.2);
  for (std::int64_t at = 0; at < 2 * 60 * kMinute; at += 17 * kSecond + static_cast<std::int64_t>(random() % 7)) {
    driver_.At(at);
    const int count = static_cast<int>(random() % 6);
    for (int i = 0; i < count; ++i) {
      calls.push_back({driver_.now_ns() / kMinute, static_cast<std::int64_t>(duration(random))});
      Send("op", calls.back().duration_ns);
    }
    if (random() % 10 != 0) continue;
    const OperationOverview op = Of("op");
    const std::int64_t now = driver_.now_ns() / kMinute;
    const std::int64_t begins[] = {now - 1, now - 5, (now - 60) / 5 * 5};
    for (std::size_t w = 0; w < kOverviewWindows; ++w) {
      std::vector<std::int64_t> inside;
      for (const Call& call : calls) {
        if (call.minute >= begins[w]) inside.push_back(call.duration_ns);
      }
      std::sort(inside.begin(), inside.end());
      ASSERT_EQ(op.windows[w].calls, inside.size()) << "at " << at << " window " << w;
      if (inside.empty()) continue;
      const auto exact = [&](double q) {
        return static_cast<double>(
            inside[static_cast<std::size_t>(std::ceil(q * static_cast<double>(inside.size()) - 1e-9)) - 1]);
      };
      ASSERT_NEAR(op.windows[w].p50_ns, exact(0.5), kQuantileError * exact(0.5));
      ASSERT_NEAR(op.windows[w].p90_ns, exact(0.9), kQuantileError * exact(0.9));
      ASSERT_NEAR(op.windows[w].p95_ns, exact(0.95), kQuantileError * exact(0.95));
      ASSERT_NEAR(op.windows[w].p99_ns, exact(0.99), kQuantileError * exact(0.99));
    }
  }
}

TEST_F(OverviewTest, TrendsOfAnOperationThatGotSlowAndFails) {
  for (int minute = 0; minute < 40; ++minute) {
    driver_.At(minute * kMinute);
    Send("steady", 50 * kMs, 20);
    Send("op", minute < 35 ? 50 * kMs : 90 * kMs, 16);
    Send("op", 50 * kMs, 4, minute >= 35);
    Send("busier", 50 * kMs, minute < 34 ? 20 : 40);
  }
  const Trends op = Of("op").trends;
  EXPECT_EQ(op.error_rate, Trend::kDegrading);
  EXPECT_EQ(op.response_time, Trend::kDegrading);
  EXPECT_EQ(op.throughput, Trend::kStable);
  const Trends steady = Of("steady").trends;
  EXPECT_EQ(steady.error_rate, Trend::kStable);
  EXPECT_EQ(steady.response_time, Trend::kStable);
  EXPECT_EQ(steady.throughput, Trend::kStable);
  EXPECT_EQ(Of("busier").trends.throughput, Trend::kImproving);
}

TEST_F(OverviewTest, ANewOperationHasNoPastToDifferFrom) {
  for (int minute = 0; minute < 30; ++minute) {
    driver_.At(minute * kMinute);
    Send("old", kMs);
    if (minute >= 25) Send("new", 900 * kMs, 100, minute % 2 == 0);
  }
  const Trends trends = Of("new").trends;
  EXPECT_EQ(trends.error_rate, Trend::kStable);
  EXPECT_EQ(trends.response_time, Trend::kStable);
  EXPECT_EQ(trends.throughput, Trend::kStable);
}

TEST_F(OverviewTest, RankedLists) {
  Send("slow", 8 * kSecond, 12);
  Send("rare", 20 * kSecond, 9);  // too few calls
  Send("half", 2 * kSecond, 10);
  Send("half", kMs, 10);
  Send("quick", kMs, 30);
  TestSpan grows = Span("grows", kMs);
  grows.memory_delta = 200 * kMb;
  driver_.Spans({grows});
  const OverviewView view = View();
  const auto names = [&](OverviewRank rank, std::size_t limit, const char* service = "") {
    std::vector<std::string> found;
    for (const OperationOverview* each : RankOperations(view, rank, service, limit)) found.push_back(each->operation);
    return found;
  };
  EXPECT_THAT(names(OverviewRank::kSlowest, 10), ElementsAre("slow", "half", "quick"));
  EXPECT_THAT(names(OverviewRank::kSlowest, 1), ElementsAre("slow"));
  EXPECT_THAT(names(OverviewRank::kFrequentlySlow, 10), ElementsAre("slow", "half"));
  EXPECT_THAT(names(OverviewRank::kMemoryGrowing, 10), ElementsAre("grows"));
  EXPECT_TRUE(names(OverviewRank::kSlowest, 10, "gemini").empty());
}

TEST_F(OverviewTest, TwoFoldsAreEqual) {
  const auto fold = [] {
    EngineDriver driver;
    std::mt19937_64 random(5);
    for (int i = 0; i < 300; ++i) {
      driver.At(i * 20 * kSecond);
      std::vector<TestSpan> spans;
      for (int s = 0; s < 10; ++s) {
        TestSpan span;
        span.trace = span.id = static_cast<std::uint64_t>(i * 10 + s + 1);
        span.name = "op" + std::to_string(random() % 50);
        span.duration_ns = static_cast<std::int64_t>(random() % kSecond);
        span.failed = random() % 9 == 0;
        spans.push_back(span);
      }
      driver.Spans(std::move(spans));
    }
    std::vector<double> figures;
    const OverviewView view = driver.engine().GetOverview();
    for (const OperationOverview& each : view.operations) {
      for (const WindowFigures& w : each.windows)
        figures.insert(figures.end(), {w.calls, w.errors, w.avg_ns, w.p50_ns, w.p99_ns, w.rate});
    }
    figures.push_back(static_cast<double>(view.bytes));
    return figures;
  };
  EXPECT_EQ(fold(), fold());
}

TEST_F(OverviewTest, HistoryOfTheOperationsOfATrace) {
  Send("op", 2 * kSecond, 3);
  Send("op", kMs, 1);
  TestSpan timeout = Span("op", kMs);
  timeout.failed = true;
  timeout.error_type = "TimeoutError";
  driver_.Spans({timeout});
  Send("unrelated", kMs);
  TraceCopy trace;
  trace.spans.resize(3);
  trace.spans[0].service = trace.spans[1].service = trace.spans[2].service = "bot";
  trace.spans[0].name = trace.spans[1].name = "op";
  trace.spans[2].name = "never seen";
  const auto history = driver_.engine().GetHistory(trace);
  ASSERT_EQ(history.size(), 1u);
  EXPECT_EQ(history[0].operation, "op");
  EXPECT_EQ(history[0].calls, 5);
  EXPECT_EQ(history[0].over_threshold, 0.6);
  EXPECT_EQ(history[0].timeouts, 1);
  driver_.At(70 * kMinute);
  EXPECT_TRUE(driver_.engine().GetHistory(trace).empty()) << "more than an hour ago";
}

TEST_F(OverviewTest, HistoryOfATemplateIsFoundByTheNameOfTheSpan) {
  Limits limits;
  limits.span_names = {"GET /users/{id}"};
  driver_.Reload(nullptr, limits);
  Send("GET /users/42", kMs, 2);
  Send("GET /users/43", kMs);
  TraceCopy trace;
  trace.spans.resize(1);
  trace.spans[0].service = "bot";
  trace.spans[0].name = "GET /users/99";
  const auto history = driver_.engine().GetHistory(trace);
  ASSERT_EQ(history.size(), 1u);
  EXPECT_EQ(history[0].operation, "GET /users/99");
  EXPECT_EQ(history[0].calls, 3);
}

TEST_F(OverviewTest, RestoreStartsAfresh) {
  Send("op", kMs, 5);
  const std::string checkpoint = driver_.engine().Checkpoint();
  EngineDriver other;
  ASSERT_TRUE(other.engine().Restore({}, checkpoint));
  EXPECT_EQ(other.engine().GetOverview().since_ns, 0);
  ASSERT_TRUE(driver_.engine().Restore({}, checkpoint));
  EXPECT_TRUE(View().operations.empty()) << "its numbers may mean others now";
  driver_.At(kMinute);
  Send("op", kMs, 2);
  EXPECT_EQ(Of("op").windows[0].calls, 2);
  EXPECT_EQ(View().since_ns, kStart + kMinute);
}

}  // namespace
}  // namespace spanwatch::core
